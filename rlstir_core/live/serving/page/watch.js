// One episode on the screen: which part of it, up to which second, and the rows that show it.

import * as draw from "./draw.js";
import { called, saying } from "./sayings.js";
import { make, seconds, short, visible } from "./text.js";

const $ = (id) => document.getElementById(id);

export class Watch {
  constructor(changed) {
    this.changed = changed; this.episode = null; this.speed = 20;
    this.rows = []; this.shape = "";
    this.reset();
    this.listen();
  }

  reset() { this.mode = "live"; this.head = 0; this.range = null; this.cursor = null; this.spoken = null; }

  show(episode) {
    if (this.episode === episode) return;
    this.episode = episode; this.shape = ""; this.reset(); this.changed();
  }

  get until() { return this.mode === "live" ? this.episode.latest : Math.min(this.head, this.episode.latest); }
  get from() { return this.range?.[0] ?? 0; }
  get to() { return this.range?.[1] ?? this.episode.end; }

  /** Moves the head of what is played; whether there is more to play. */
  tick(dt) {
    if (this.mode !== "play" || !this.episode) return false;
    this.head = Math.min(this.head + dt * this.speed, this.episode.latest);
    if (this.episode.ended && this.head >= this.episode.latest) this.mode = "pause";
    return true;
  }

  play() {
    if (this.mode === "play") this.mode = "pause";
    else {
      const at = this.cursor ?? (this.mode === "pause" ? this.head : this.from);
      this.head = at >= this.episode.latest ? this.from : at;
      this.mode = "play";
      this.cursor = null;
    }
    this.changed();
  }

  goLive() { this.mode = "live"; this.changed(); }

  zoom(by) {
    const middle = this.cursor ?? (this.from + this.to) / 2, half = (this.to - this.from) * by / 2;
    this.look(middle - half, middle + half);
  }

  look(from, to) {
    const end = this.episode.end, width = Math.min(Math.max(to - from, 0.05), end);
    const start = Math.min(Math.max(0, from), end - width);
    this.range = width >= end - 1e-9 ? null : [start, start + width];
    this.changed();
  }

  point(t) {
    this.cursor = t === null ? null : Math.min(Math.max(t, 0), this.episode.end);
    if (this.cursor !== null && this.range && (this.cursor < this.from || this.cursor > this.to)) {
      const half = (this.to - this.from) / 2;
      return this.look(this.cursor - half, this.cursor + half);
    }
    this.changed();
  }

  listen() {
    const plots = $("plots");
    let began = null;
    const time = (event) => { const box = $("axis").getBoundingClientRect(); return this.from + (event.clientX - box.left) / box.width * (this.to - this.from); };
    const inside = (event) => !event.target.closest(".name") && event.clientX >= $("axis").getBoundingClientRect().left;
    plots.addEventListener("pointermove", (event) => {
      if (!this.episode) return;
      if (began === null) { if (inside(event)) this.point(time(event)); return; }
      const box = $("axis").getBoundingClientRect(), origin = plots.getBoundingClientRect().left, x = Math.min(Math.max(event.clientX, box.left), box.right);
      const drag = $("drag");
      drag.hidden = Math.abs(x - began.x) < 4;
      drag.style.left = `${Math.min(x, began.x) - origin}px`; drag.style.width = `${Math.abs(x - began.x)}px`;
    });
    plots.addEventListener("pointerdown", (event) => {
      if (!this.episode || event.button !== 0 || !inside(event)) return;
      began = { x: event.clientX, t: time(event) };
      plots.setPointerCapture(event.pointerId);
    });
    const ended = (event) => {
      if (began === null) return;
      const from = began; began = null; $("drag").hidden = true;
      if (event.type === "pointercancel") return;
      if (Math.abs(event.clientX - from.x) < 4) this.point(time(event));
      else this.look(Math.max(this.from, Math.min(from.t, time(event))), Math.min(this.to, Math.max(from.t, time(event))));
    };
    plots.addEventListener("pointerup", ended);
    plots.addEventListener("pointercancel", ended);
    plots.addEventListener("pointerleave", () => { if (began === null && this.episode && document.activeElement !== $("axis")) this.point(null); });
    plots.addEventListener("dblclick", (event) => { if (inside(event)) this.look(0, Infinity); });
    document.addEventListener("keydown", (event) => this.key(event));
    $("live").onclick = () => this.goLive(); $("play").onclick = () => this.play();
    $("in").onclick = () => this.zoom(0.5); $("out").onclick = () => this.zoom(2); $("whole").onclick = () => this.look(0, Infinity);
    $("speed").onchange = () => { this.speed = Number($("speed").value); };
  }

  key(event) {
    if (!this.episode || event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
    const onAxis = document.activeElement === $("axis"), step = (this.to - this.from) / 100, now = this.cursor ?? this.until;
    const moves = { ArrowLeft: -step, ArrowRight: step, ArrowDown: -step, ArrowUp: step, PageDown: -10 * step, PageUp: 10 * step };
    if (onAxis && event.key in moves) this.point(now + moves[event.key]);
    else if (onAxis && event.key === "Home") this.point(this.from);
    else if (onAxis && event.key === "End") this.point(this.to);
    else if (event.key === "+" || event.key === "=") this.zoom(0.5);
    else if (event.key === "-") this.zoom(2);
    else if (event.key === "0") this.look(0, Infinity);
    else if (event.key === "l" || event.key === "L") this.goLive();
    else if (event.key === "Escape") { this.point(null); this.look(0, Infinity); }
    else if (event.key === " " && !event.target.closest("button, summary")) this.play();
    else return;
    event.preventDefault();
  }

  /** Makes the rows anew where there are others to show. */
  shaped() {
    const it = this.episode, shown = [...it.channels.values()].filter((each) => each.shown);
    if (!this.spoken || !it.models.has(this.spoken)) this.spoken = it.chosen?.name ?? null;
    const shape = JSON.stringify([it.key, it.run, this.spoken, [...it.models.values()].map((each) => [each.name, each.chosen, each.sameAs]), shown.map((each) => each.name), it.channels.size, it.phases, it.attack]);
    if (shape === this.shape) return;
    this.shape = shape;
    this.rows = [];
    const row = (kind, name, paint, value) => {
      const box = make("div", { class: `row ${kind}` }, make("div", { class: "name" }, name, make("output")), make("div", { class: "plot" }, make("canvas", { "aria-hidden": "true" })));
      this.rows.push({ box, canvas: box.querySelector("canvas"), output: box.querySelector("output"), paint, value });
    };
    const labelled = (all) => all.map((each) => ({ ...each, label: visible(each.phase, 40) }));
    const look = (view) => ({ ...view, phases: it.phases, attack: it.attack });
    const phaseAt = (all, t) => visible(all.find((each) => each.from <= t && t < each.to)?.phase ?? (all.at(-1)?.to === t ? all.at(-1).phase : ""), 30);
    row("truth", make("b", {}, "truth"), (canvas, view) => draw.lane(canvas, labelled(it.stretches(view.until)), look(view)), (t, until) => phaseAt(it.stretches(until), t));
    const models = [...it.models.values()].sort((a, b) => (b === it.chosen) - (a === it.chosen));
    for (const model of models.slice(0, 1)) this.modelRow(row, model, labelled, look);
    const spoken = it.models.get(this.spoken);
    if (spoken) {
      row("chance", make("b", {}, "P(attack) ", make("span", {}, called(spoken.name))), (canvas, view) => {
        const points = spoken.windows.filter((each) => each.p !== null && each.end <= view.until + 1e-9).map((each) => [each.end, each.p]);
        draw.chance(canvas, points, { ...view, threshold: spoken.threshold, words: spoken.threshold === null ? "" : `alarm from ${spoken.threshold.toFixed(3)}` });
      }, (t) => spoken.at(t)?.p?.toFixed(3) ?? "");
    }
    for (const model of models.slice(1)) this.modelRow(row, model, labelled, look);
    for (const channel of shown) {
      row("channel", make("span", {}, visible(channel.name, 60)), (canvas, view) => draw.curve(canvas, channel.series, { ...view, label: short, log: channel.log }),
        (t) => { const value = channel.series?.at(Math.min(t, it.latest - 1e-6)) ?? NaN; return Number.isNaN(value) ? "" : `${short(value)} ${visible(channel.unit, 12)}`; });
    }
    $("rows").replaceChildren(...this.rows.map((each) => each.box));
    this.observe();
    this.legend();
    $("choices").replaceChildren(...[...it.channels.values()].map((channel) => {
      const box = make("input", { type: "checkbox" });
      box.checked = channel.shown;
      box.onchange = () => { channel.shown = box.checked; this.changed(); };
      return make("label", {}, box, ` ${visible(channel.name, 60)}`);
    }));
    $("channels").hidden = !it.channels.size;
  }

  modelRow(row, model, labelled, look) {
    const button = make("button", { "aria-pressed": String(model.name === this.spoken), title: "show its P(attack)" }, called(model.name), model.chosen ? make("span", {}, ", chosen") : "");
    button.onclick = () => { this.spoken = model.name; this.changed(); };
    row("lane", button, (canvas, view) => draw.lane(canvas, labelled(model.stretches(view.until)), look(view)), (t) => visible(model.at(t)?.phase ?? "", 30));
  }

  observe() {
    this.sizes?.disconnect();
    this.sizes = new ResizeObserver(() => this.changed());
    this.sizes.observe($("plots"));
  }

  legend() {
    $("legend").replaceChildren(...this.episode.phases.map((name) => make("li", {}, make("canvas", { "aria-hidden": "true" }), visible(name, 60), this.episode.attack.includes(name) ? " (attack)" : "")));
    this.episode.phases.forEach((name, at) => draw.swatch($("legend").children[at].firstChild, at, this.episode.attack.includes(name)));
  }

  paint() {
    const it = this.episode, until = this.until, view = { from: this.from, to: this.to, until };
    this.shaped();
    const t = Math.min(this.cursor ?? until, until);
    for (const row of this.rows) { row.paint(row.canvas, view); const words = row.value(t, until); if (row.output.textContent !== words) row.output.textContent = words; }
    draw.axis($("axis").firstChild, view, (s) => (this.to - this.from < 600 ? `${Number(s.toFixed(3))} s` : seconds(s)));
    const cursor = $("cursor"), line = this.cursor ?? (this.mode === "live" && it.ended ? null : until);
    cursor.hidden = line === null || line < this.from || line > this.to;
    if (!cursor.hidden) {
      const left = $("axis").offsetLeft;
      cursor.style.transform = `translateX(${left + (line - this.from) / (this.to - this.from) * $("axis").clientWidth}px)`;
    }
    this.words(t, until);
  }

  words(t, until) {
    const it = this.episode, chosen = it.chosen, put = (id, words) => { if ($(id).textContent !== words) $(id).textContent = words; };
    put("answer", chosen ? `${called(chosen.name)}: ${saying(it, chosen, until).words}` : `${visible(it.name)}: no model speaks of it yet`);
    const where = [`${visible(it.name)} of ${visible(it.host)}`, it.duration ? `${seconds(it.duration)} long` : "", it.ended ? "it has ended" : "", visible(it.note, 300),
      chosen?.threshold === null && chosen.from ? `threshold: ${visible(chosen.from, 200)}` : chosen?.from ? `alarm from ${chosen.threshold.toFixed(3)}, ${visible(chosen.from, 200)}` : ""];
    put("about", where.filter(Boolean).join("; "));
    put("clock", `${this.cursor === null ? "" : `cursor ${seconds(this.cursor)} · `}${this.mode === "live" ? "live" : this.mode === "play" ? "playing" : "paused"} at ${seconds(until)}`);
    const axis = $("axis");
    axis.setAttribute("aria-valuemax", this.to.toFixed(1)); axis.setAttribute("aria-valuemin", this.from.toFixed(1)); axis.setAttribute("aria-valuenow", t.toFixed(1));
    axis.setAttribute("aria-valuetext", `${seconds(t)}: ${this.rows.slice(0, 3).map((row) => `${row.box.querySelector(".name").firstChild.textContent} ${row.output.textContent}`).join(", ")}`);
    $("live").setAttribute("aria-pressed", String(this.mode === "live"));
    put("play", this.mode === "play" ? "Pause" : "Play");
    if ($("others").open) {
      $("sayings").replaceChildren(...[...it.models.values()].map((model) => make("li", { "data-model": model.name }, `${called(model.name)}: ${saying(it, model, until).words}${model.sameAs ? `; it has the channels and weights of ${called(model.sameAs)}` : ""}`)));
    }
  }
}
