// The part of the address after #, which no server is sent: the token once, then host, episode and time.

const KEPT = "rlstir-live-token";

/** The token of the address or of this tab, and what is to be looked at; the token leaves the address. */
export function opened() {
  const said = new URLSearchParams(location.hash.slice(1));
  const token = said.get("token") ?? sessionStorage.getItem(KEPT) ?? "";
  if (said.has("token")) { sessionStorage.setItem(KEPT, token); said.delete("token"); write(said); }
  const number = (name) => { const x = Number.parseFloat(said.get(name)); return Number.isFinite(x) && x >= 0 ? x : null; };
  return { token, host: said.get("host"), episode: said.get("episode"), t: number("t"), from: number("from"), to: number("to") };
}

export function keep(token) { sessionStorage.setItem(KEPT, token); }

export function forget() { sessionStorage.removeItem(KEPT); }

function write(said) { history.replaceState(null, "", said.size ? `#${said}` : location.pathname); }

export function tell(watch) {
  const said = new URLSearchParams({ host: watch.episode.host, episode: watch.episode.name });
  if (watch.cursor !== null) said.set("t", watch.cursor.toFixed(2));
  if (watch.range) { said.set("from", watch.range[0].toFixed(2)); said.set("to", watch.range[1].toFixed(2)); }
  if (`#${said}` !== location.hash) write(said);
}
