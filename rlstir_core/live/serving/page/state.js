// What was published, as data: episodes with their lanes and channels, figures, speeds. Bounded; nothing is drawn here.

const MOST_EPISODES = 12, MOST_POINTS = 1 << 17, MOST_WINDOWS = 1 << 14, MOST_STEPS = 500, MOST_NAMES = 64;
const MOST_FIGURES = 4000, MOST_LINE = 2000;

class Series { // bins of equal length, from `base` on
  constructor(step) { this.step = step; this.base = 0; this.size = 0; this.values = new Float64Array(1024).fill(NaN); }

  put(t, values) {
    let at = Math.round(t / this.step) - this.base;
    if (at < 0 || values.length > MOST_POINTS) return;
    const drop = at + values.length - MOST_POINTS;
    if (drop > 0) { // the oldest quarter, or as much as it takes
      const by = Math.min(Math.max(drop, MOST_POINTS >> 2), Math.max(this.size, drop));
      this.values.copyWithin(0, Math.min(by, this.values.length));
      this.values.fill(NaN, Math.max(0, this.size - by));
      this.base += by; this.size = Math.max(0, this.size - by); at -= by;
    }
    const end = at + values.length;
    if (end > this.values.length) {
      const more = new Float64Array(Math.min(MOST_POINTS, Math.max(end, 2 * this.values.length))).fill(NaN);
      more.set(this.values); this.values = more;
    }
    for (let i = 0; i < values.length; i++) this.values[at + i] = values[i] === null ? NaN : values[i];
    this.size = Math.max(this.size, end);
  }

  at(t) {
    const place = Math.floor(t / this.step + 1e-9) - this.base;
    return place >= 0 && place < this.size ? this.values[place] : NaN;
  }
}

class Model {
  constructor(name) { this.name = name; this.chosen = false; this.threshold = null; this.from = ""; this.sameAs = ""; this.windows = []; }

  put(window) {
    const all = this.windows;
    let at = all.length;
    while (at > 0 && all[at - 1].end > window.end) at--;
    if (at > 0 && all[at - 1].end === window.end && all[at - 1].start === window.start) all[at - 1] = window;
    else all.splice(at, 0, window);
    if (all.length > MOST_WINDOWS) all.splice(0, MOST_WINDOWS >> 2);
  }

  /** The last window that had ended by `t`. */
  at(t) {
    let low = 0, high = this.windows.length;
    while (low < high) { const mid = (low + high) >> 1; if (this.windows[mid].end <= t + 1e-9) low = mid + 1; else high = mid; }
    return low ? this.windows[low - 1] : null;
  }

  /** Stretches of one phase up to `t`; a window speaks for what it adds to the one before. */
  stretches(t) {
    const found = [];
    let since = 0;
    for (const window of this.windows) {
      if (window.end > t + 1e-9) break;
      const last = found.at(-1);
      if (last && last.phase === window.phase) { last.to = window.end; last.high = Math.max(last.high, window.p ?? -1); }
      else found.push({ phase: window.phase, from: found.length ? since : window.start, to: window.end, high: window.p ?? -1 });
      since = window.end;
    }
    return found;
  }
}

export class Episode {
  constructor(host, name) {
    this.host = host; this.name = name; this.key = JSON.stringify([host, name]);
    this.begin("");
  }

  begin(run) {
    this.run = run; this.duration = null; this.ended = false; this.latest = 0; this.note = "";
    this.phases = []; this.attack = []; this.onsetPhase = ""; this.truth = [];
    this.models = new Map(); this.channels = new Map(); this.steps = []; this.vectors = new Map();
  }

  model(name) {
    let found = this.models.get(name);
    if (!found && this.models.size < MOST_NAMES) this.models.set(name, found = new Model(name));
    return found;
  }

  channel(name, unit = "", shown = null, scale = "linear") {
    let found = this.channels.get(name);
    if (!found && this.channels.size < 512) this.channels.set(name, found = { name, unit, log: scale === "log", shown: shown ?? this.channels.size < 5, series: null });
    return found;
  }

  phase(name) { if (!this.phases.includes(name) && this.phases.length < MOST_NAMES) this.phases.push(name); return name; }

  get end() { return Math.max(this.duration ?? 0, this.latest, 1); }

  /** When the infection began, as far as was told by `t`: an episode that begins in that phase shows no onset. */
  onset(t) {
    const seen = this.truth.filter((each) => each.t <= t + 1e-9);
    if (!this.onsetPhase || !seen.length) return null;
    if (seen.length === 1) return seen[0].phase === this.onsetPhase && this.ended ? seen[0].t : null;
    return seen.slice(1).find((each) => each.phase === this.onsetPhase)?.t ?? null;
  }

  stretches(t) {
    return this.truth.filter((each) => each.t <= t + 1e-9)
      .map((each, i, all) => ({ phase: each.phase, from: each.t, to: Math.min(all[i + 1]?.t ?? Infinity, t, this.end), high: -1 }));
  }

  get chosen() {
    const all = [...this.models.values()];
    return all.find((each) => each.chosen) ?? all[0] ?? null;
  }
}

export class State {
  constructor() { this.episodes = new Map(); this.figures = new Map(); this.lines = new Map(); this.speeds = new Map(); }

  episode(data) {
    const key = JSON.stringify([data.host, data.episode]);
    let found = this.episodes.get(key);
    if (!found) {
      this.episodes.set(key, found = new Episode(data.host, data.episode));
      if (this.episodes.size > MOST_EPISODES) this.episodes.delete(this.episodes.keys().next().value);
    }
    const run = data.run ?? "";
    if (run !== found.run && found.run !== "" || run && !found.run && found.latest) found.begin(run);
    found.run = run;
    return found;
  }

  /** Takes in one event; what it changed: an episode, or a word for what stands beside them. */
  apply({ type, data }) {
    switch (type) {
      case "io.rlstir.episode.v1": {
        const it = this.episode(data);
        if (data.state === "ended") { it.ended = true; it.latest = Math.max(it.latest, data.duration_s ?? 0); return it; }
        if (data.duration_s !== undefined) it.duration = data.duration_s;
        it.attack = data.attack_phases ?? it.attack; it.onsetPhase = data.onset_phase ?? it.onsetPhase;
        it.note = data.note ?? ""; (data.phases ?? []).forEach((name) => it.phase(name));
        for (const each of data.models ?? []) {
          const model = it.model(each.name);
          if (model) { model.chosen = each.chosen ?? false; model.threshold = each.threshold ?? null; model.from = each.threshold_from ?? ""; model.sameAs = each.same_as ?? ""; }
        }
        for (const each of data.channels ?? []) it.channel(each.name, each.unit, each.shown ?? true, each.scale);
        return it;
      }
      case "io.rlstir.telemetry.v1": {
        const it = this.episode(data);
        for (const [name, values] of Object.entries(data.values)) {
          const channel = it.channel(name);
          if (!channel) continue;
          if (channel.series?.step !== data.step_s) channel.series = new Series(data.step_s);
          channel.series.put(data.t_s, values);
          it.latest = Math.max(it.latest, data.t_s + values.length * data.step_s);
        }
        return it;
      }
      case "io.rlstir.phase.v1": {
        const it = this.episode(data);
        it.truth.push({ t: data.t_s, phase: it.phase(data.phase) });
        it.truth.sort((a, b) => a.t - b.t);
        if (it.truth.length > MOST_STEPS) it.truth.shift();
        it.latest = Math.max(it.latest, data.t_s);
        return it;
      }
      case "io.rlstir.prediction.v1": {
        const it = this.episode(data);
        it.model(data.model)?.put({ start: data.start_s, end: data.end_s, phase: it.phase(data.phase), p: data.p_attack ?? null });
        it.latest = Math.max(it.latest, data.end_s);
        return it;
      }
      case "io.rlstir.embedding.v1": {
        const it = this.episode(data);
        const points = it.vectors.get(data.model) ?? [];
        if (it.vectors.size < MOST_NAMES) it.vectors.set(data.model, points);
        points.push([data.vector[0], data.vector[1]]);
        if (points.length > MOST_LINE) points.shift();
        it.latest = Math.max(it.latest, data.t_s);
        return it;
      }
      case "io.rlstir.investigation_step.v1": {
        const it = this.episode(data);
        if (data.kind === "alert") it.steps = it.steps.filter((each) => each.policy !== data.policy);
        it.steps.push(data);
        if (it.steps.length > MOST_STEPS) it.steps.shift();
        return it;
      }
      case "io.rlstir.model_metric.v1": {
        if (data.step !== undefined) {
          const key = JSON.stringify([data.recipe ?? "", data.metric, data.model]);
          const line = this.lines.get(key) ?? { metric: data.metric, model: data.model, points: [] };
          this.lines.delete(key); this.lines.set(key, line);
          if (this.lines.size > MOST_NAMES) this.lines.delete(this.lines.keys().next().value);
          if (line.points.length && data.step <= line.points.at(-1)[0]) line.points.length = 0; // it began anew
          line.points.push([data.step, data.value]);
          if (line.points.length > MOST_LINE) line.points.shift();
          return "lines";
        }
        this.figures.set(JSON.stringify([data.recipe ?? "", data.group ?? "all", data.of ?? "", data.metric, data.model]), data);
        if (this.figures.size > MOST_FIGURES) this.figures.delete(this.figures.keys().next().value);
        return "figures";
      }
      case "io.rlstir.model_perf.v1":
        this.speeds.set(data.model, data);
        if (this.speeds.size > MOST_NAMES) this.speeds.delete(this.speeds.keys().next().value);
        return "speeds";
      default:
        return null; // of a later version
    }
  }
}
