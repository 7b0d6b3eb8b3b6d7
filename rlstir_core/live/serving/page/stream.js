// Follows the events of this live view, from the last one that was seen, for as long as the page is open.

const PAUSES_MS = [200, 400, 800, 1500, 3000];
const SILENCE_MS = 25000; // the server says something every ten seconds

/** Calls `onEvents([[number, event], ...])`, `onLost(before)` and `onState(state, words)`; never returns. */
export async function follow(token, { onEvents, onLost, onState }) {
  let last = "0";
  for (let attempt = 0; ; attempt = Math.min(attempt + 1, PAUSES_MS.length - 1)) {
    const stop = new AbortController();
    let watch = setTimeout(() => stop.abort(), SILENCE_MS);
    try {
      const answer = await fetch("/events", {
        headers: { authorization: `Bearer ${token}`, "last-event-id": last },
        cache: "no-store", credentials: "omit", signal: stop.signal,
      });
      if (answer.status === 401) return onState("token", "the token is not that of this live view");
      if (!answer.ok) throw new Error(`answer ${answer.status}`);
      onState("on", "connected");
      attempt = 0;
      const decoder = new TextDecoder();
      let rest = "";
      for (const reader = answer.body.getReader(); ;) {
        const { done, value } = await reader.read();
        if (done) throw new Error("the stream ended");
        clearTimeout(watch);
        watch = setTimeout(() => stop.abort(), SILENCE_MS);
        const blocks = (rest + decoder.decode(value, { stream: true })).split("\n\n");
        rest = blocks.pop();
        const found = [];
        for (const block of blocks) {
          const fields = {};
          for (const line of block.split("\n")) {
            const at = line.indexOf(": ");
            if (at > 0) fields[line.slice(0, at)] = line.slice(at + 2);
          }
          if (fields.event === "lost") onLost(JSON.parse(fields.data).before);
          else if (fields.id && fields.data) {
            found.push([Number(fields.id), JSON.parse(fields.data)]);
            last = fields.id;
          }
        }
        if (found.length) onEvents(found);
      }
    } catch {
      clearTimeout(watch);
      onState("off", "not connected; trying again");
    }
    await new Promise((go) => setTimeout(go, PAUSES_MS[attempt]));
  }
}
