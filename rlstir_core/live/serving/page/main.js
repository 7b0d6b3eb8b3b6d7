// Joins the stream, the state and the screen. What was published is taken in at once and drawn with the next frame.

import { forget, keep, opened, tell } from "./address.js";
import { readColours } from "./draw.js";
import { State } from "./state.js";
import { follow } from "./stream.js";
import { showClouds, showFigures, showLines, showSpeeds, showSteps, showStretches } from "./tables.js";
import { visible } from "./text.js";
import { Watch } from "./watch.js";

const $ = (id) => document.getElementById(id);
const state = new State(), started = Date.now(), lags = [];
let dirty = new Set(["all"]), asked = opened(), picked = false, waiting = [], lastFrame = 0, toldAt = 0, tableAt = 0, later = 0;

/** What a test, or a person at the console, may ask. */
const told = { events: 0, first: 0, last: 0, gaps: 0, repeats: 0, lost: 0, lags, state, shown: null };
globalThis.rlstirLive = told;

let framed = false;
function changed(what = "watch") {
  dirty.add(what);
  if (!framed) { framed = true; requestAnimationFrame(frame); }
}

const watch = new Watch(() => changed());

function frame(now) {
  framed = false;
  const dt = Math.min(0.25, (now - lastFrame) / 1000);
  lastFrame = now;
  const what = dirty;
  dirty = new Set();
  if (watch.tick(dt)) changed();
  if (what.has("episodes")) choose();
  const it = watch.episode;
  $("empty").hidden = state.episodes.size + state.figures.size + state.speeds.size + state.lines.size > 0;
  $("watch").hidden = !it;
  if (it) {
    watch.paint();
    told.shown = { host: it.host, name: it.name };
    if (what.has(it)) {
      $("asked").hidden = !it.steps.length;
      if (it.steps.length) showSteps(it, $("asker"), $("steps").tBodies[0]);
      $("maps").hidden = !it.vectors.size;
      if (it.vectors.size) showClouds(it, $("points"));
    }
    if ($("astable").open) {
      if (now - tableAt > 500) { tableAt = now; showStretches(it, watch.until, $("stretches").tBodies[0]); }
      else later ||= setTimeout(() => { later = 0; changed(); }, 520);
    }
    if (now - toldAt > 300) { toldAt = now; tell(watch); } else if (!framed) setTimeout(() => changed("address"), 320);
  }
  if (what.has("figures")) { $("figures").hidden = false; showFigures(state, $("tables")); }
  if (what.has("speeds")) { $("speeds").hidden = false; showSpeeds(state, $("perf").tBodies[0]); }
  if (what.has("lines")) { $("curves").hidden = false; showLines(state, $("lines")); }
  if (waiting.length) {
    const at = Date.now();
    for (const time of waiting) if (time > started) lags.push(at - time);
    waiting = [];
    if (lags.length > 500) lags.splice(0, lags.length - 500);
    if (lags.length) {
      const sorted = [...lags].sort((a, b) => a - b), share = (p) => sorted[Math.min(sorted.length - 1, Math.floor(p * sorted.length))];
      $("lag").textContent = `${told.events.toLocaleString("en")} events; from event to pixel ${share(0.5)} ms, 95 % within ${share(0.95)} ms (the last ${lags.length})`;
    } else $("lag").textContent = `${told.events.toLocaleString("en")} events`;
  }
}

/** The list of episodes; the one of the address, else the one that was published to last, until somebody picks. */
function choose() {
  const list = $("episode"), all = [...state.episodes.values()].reverse();
  const words = JSON.stringify(all.map((each) => each.key));
  if (list.dataset.words !== words) {
    list.dataset.words = words;
    list.disabled = false;
    list.replaceChildren(...all.map((each) => new Option(`${visible(each.name, 80)} · ${visible(each.host, 80)}`, each.key)));
  }
  const wanted = asked.episode !== null && all.find((each) => each.name === asked.episode && (asked.host === null || each.host === asked.host));
  if (wanted && !picked) {
    watch.show(wanted);
    if (asked.t !== null) watch.cursor = asked.t;
    if (asked.from !== null && asked.to !== null && asked.to > asked.from) watch.range = [asked.from, asked.to];
    picked = true;
  } else if (!picked && newest) watch.show(newest);
  else if (watch.episode && !state.episodes.has(watch.episode.key)) { picked = false; watch.show(all[0]); }
  if (watch.episode) list.value = watch.episode.key;
}

$("episode").onchange = () => { picked = true; watch.show(state.episodes.get($("episode").value)); changed("episodes"); changed(watch.episode); };
for (const id of ["astable", "others"]) $(id).addEventListener("toggle", () => { tableAt = 0; changed(); });
addEventListener("resize", () => { for (const each of ["lines", watch.episode]) if (each && (each !== "lines" || state.lines.size)) changed(each); });
addEventListener("hashchange", () => { asked = opened(); picked = false; changed("episodes"); if (asked.token) begin(asked.token); });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { readColours(); watch.shape = ""; changed(); if (state.lines.size) changed("lines"); });

let newest = null, following = "";

function begin(token) {
  if (following === token) return;
  following = token;
  $("ask").hidden = true;
  follow(token, {
    onEvents(events) {
      for (const [number, event] of events) {
        if (told.last && number <= told.last) { told.repeats++; continue; }
        if (told.last && number !== told.last + 1) told.gaps++;
        told.first ||= number;
        told.last = number; told.events++;
        const what = state.apply(event);
        if (what === null) continue;
        if (typeof what === "object") { newest = what; changed("episodes"); }
        changed(what);
        if (event.time) waiting.push(Date.parse(event.time));
      }
    },
    onLost(before) {
      told.lost++;
      told.last = before - 1;
      $("connection").textContent = "connected; this page was too slow, and what it missed is not kept any more";
    },
    onState(name, words) {
      $("connection").dataset.state = name === "on" ? "on" : "off";
      $("connection").textContent = words;
      if (name === "token") { forget(); following = ""; $("ask").hidden = false; }
    },
  });
}

$("ask").onsubmit = (event) => { event.preventDefault(); const token = $("token").value.trim(); if (token) { keep(token); begin(token); } };

readColours();
if (asked.token) begin(asked.token);
else { $("ask").hidden = false; $("connection").dataset.state = "off"; $("connection").textContent = "this address holds no token"; }
