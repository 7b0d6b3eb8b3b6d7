// What a model said of an episode up to some second, in words. The rules are those of the evaluation: an alarm is a
// P(attack) of at least the threshold, and a detection is the first alarm of a window that ends after the onset.

import { seconds, visible } from "./text.js";

export const called = (name) => visible(name.replace("_", " "), 60);

/** {words, alarms, delay} of one model by second `t`. */
export function saying(episode, model, t) {
  const windows = model.windows.filter((each) => each.end <= t + 1e-9);
  const onset = episode.onset(t);
  if (!windows.length) return { words: "no window has ended yet", delay: null };
  if (windows.every((each) => each.p === null)) return { words: "tells no attack from the rest", delay: null };
  if (model.threshold === null) {
    const top = windows.reduce((a, b) => ((b.p ?? -1) > (a.p ?? -1) ? b : a));
    return { words: `no alarm can be told, for want of a threshold; the highest P(attack) is ${top.p.toFixed(2)} at ${seconds(top.end)}`, delay: null };
  }
  const alarms = windows.filter((each) => each.p !== null && each.p >= model.threshold);
  const early = alarms.filter((each) => onset === null || each.end < onset).length;
  const first = onset === null ? null : alarms.find((each) => each.end >= onset);
  const before = early ? `; ${early} ${early === 1 ? "window" : "windows"} raised an alarm before it` : "";
  if (first) {
    const delay = first.end - onset;
    return { words: `detected ${seconds(delay)} after the infection began${before}`, delay };
  }
  if (onset !== null) return { words: `not detected in the ${seconds(Math.min(t, episode.end) - onset)} since the infection began${before}`, delay: null };
  if (!alarms.length) return { words: episode.ended && t >= episode.latest ? "no alarm" : "no alarm so far", delay: null };
  return { words: `first alarm at ${seconds(alarms[0].end)}`, delay: null };
}
