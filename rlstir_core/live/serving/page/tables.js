// Figures, speeds, queries and the lanes as tables of text. A figure is shown rounded and kept in full in its <data>.

import { cloud, lines } from "./draw.js";
import { called } from "./sayings.js";
import { figure, make, seconds, short, visible } from "./text.js";

const NAMES = { macro_f1: "Macro F1", accuracy: "Accuracy", attack_f1: "Attack F1", auroc: "AUROC", validation_macro_f1: "Macro F1 on validation" };
const GROUPS = { all: "All test episodes", profile: "By profile", host: "By host", phase: "By phase" };
const fixed = (x) => x.toFixed(3);

function estimate(each) {
  if (!each) return make("td", {}, "–");
  if (each.value === null) return make("td", { title: visible(each.note ?? "") }, each.note?.startsWith("untested") || !each.note ? "untested" : visible(each.note, 60));
  const cell = make("td", { class: "number" }, figure(each.value, fixed(each.value)));
  if (each.lo !== undefined && each.lo !== null && each.hi !== undefined && each.hi !== null) {
    cell.append(" [", figure(each.lo, fixed(each.lo)), ", ", figure(each.hi, fixed(each.hi)), "]");
  }
  if (each.note) cell.title = visible(each.note);
  return cell;
}

/** A table for each recipe and group: a row a model; columns are metrics or, in a group, its members. */
export function showFigures(state, into) {
  const groups = new Map();
  for (const each of state.figures.values()) {
    const group = each.group ?? "all", key = JSON.stringify([each.recipe ?? "", group, group === "all" ? "" : each.metric]);
    groups.set(key, [...(groups.get(key) ?? []), each]);
  }
  into.replaceChildren(...[...groups].map(([key, all]) => {
    const [recipe, group, metric] = JSON.parse(key), column = (each) => (group === "all" ? each.metric : each.of ?? "");
    const columns = [...new Set(all.map(column))].slice(0, 40), models = [...new Set(all.map((each) => each.model))];
    const by = new Map(all.map((each) => [JSON.stringify([each.model, column(each)]), each]));
    const tests = (name) => { const n = all.find((each) => column(each) === name)?.n_test; return n === undefined ? "" : ` (${n})`; };
    const title = `${GROUPS[group] ?? visible(group)}${metric ? `: ${NAMES[metric] ?? visible(metric)}` : ""}${recipe ? `, recipe ${visible(recipe, 40)}` : ""}${all.some((each) => each.lo !== undefined && each.lo !== null) ? ", with 95 % intervals" : ""}${group === "all" ? "" : "; test episodes in brackets"}`;
    return make("div", { class: "wide", tabindex: "0", role: "region", "aria-label": title }, make("table", { "data-group": group, "data-recipe": recipe }, make("caption", {}, title),
      make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "Model"), ...columns.map((name) => make("th", { scope: "col" }, (group === "all" ? NAMES[name] ?? visible(name, 40) : visible(name, 40)) + (group === "all" ? "" : tests(name)))))),
      make("tbody", {}, ...models.map((model) => make("tr", { "data-model": model }, make("th", { scope: "row" }, called(model)), ...columns.map((name) => estimate(by.get(JSON.stringify([model, name])))))))));
  }));
}

export function showSpeeds(state, body) {
  body.replaceChildren(...[...state.speeds.values()].sort((a, b) => a.p50_ms - b.p50_ms).map((each) => make("tr", { "data-model": each.model },
    make("th", { scope: "row" }, called(each.model)), ...[each.windows_per_s, each.p50_ms, each.p95_ms, each.n].map((value) => make("td", { class: "number" }, figure(value, short(value)))),
    make("td", {}, visible(each.device ?? "", 60)))));
}

export function showLines(state, into) {
  const metrics = new Map();
  for (const line of state.lines.values()) metrics.set(line.metric, [...(metrics.get(line.metric) ?? []), { ...line, label: called(line.model).slice(0, 18) }]);
  while (into.children.length > metrics.size) into.lastChild.remove();
  [...metrics].forEach(([metric, all], at) => {
    const box = into.children[at] ?? into.appendChild(make("figure", {}, make("figcaption"), make("div", { class: "sketch" }, make("canvas", { role: "img" }))));
    const last = all.map((line) => `${line.label} ${short(line.points.at(-1)?.[1] ?? NaN)} at ${short(line.points.at(-1)?.[0] ?? NaN)}`).join("; ");
    box.firstChild.textContent = `${NAMES[metric] ?? visible(metric, 60)} by step. Latest: ${last}`;
    box.querySelector("canvas").setAttribute("aria-label", `${visible(metric, 60)}: ${last}`);
    lines(box.querySelector("canvas"), all, short);
  });
}

export function showClouds(episode, into) {
  const all = [...episode.vectors];
  while (into.children.length > all.length) into.lastChild.remove();
  all.forEach(([model, points], at) => {
    const box = into.children[at] ?? into.appendChild(make("figure", {}, make("figcaption"), make("div", { class: "sketch square" }, make("canvas", { "aria-hidden": "true" }))));
    box.firstChild.textContent = `${called(model)}: ${points.length} moments, the latest in red`;
    cloud(box.querySelector("canvas"), points);
  });
}

/** How many rows, the first of them, and the others behind a fold. */
function folded(n, rows) {
  if (!rows.length) return [String(n)];
  const more = rows.length > 1 ? [make("details", {}, make("summary", {}, n > rows.length ? `the first ${rows.length} of ${n}` : `all ${n}`), ...rows.slice(1))] : [];
  return [rows[0], ...more];
}

export function showSteps(episode, into, body) {
  const p = (x) => (x === undefined || x === null ? make("td", {}, "–") : make("td", { class: "number" }, figure(x, x.toFixed(2))));
  const last = episode.steps.at(-1);
  const found = Object.entries(last?.techniques ?? {}).sort((a, b) => b[1] - a[1]).slice(0, 3).map(([id, x]) => `${visible(id, 20)} ${x.toFixed(2)}`).join(", ");
  into.textContent = last ? `${visible(last.policy, 60)}, ${last.kind === "verdict" ? "ended" : "asking"}; spent ${short(last.spent ?? 0)}${found ? `; likeliest: ${found}` : ""}` : "";
  body.replaceChildren(...episode.steps.map((each) => {
    const rows = (each.rows ?? []).map((row) => make("div", {}, visible(row, 140)));
    const what = each.kind === "query" ? visible(each.sentence || each.query || "", 300) : each.kind === "alert" ? "the alert it begins with" : `verdict: ${visible(each.sentence ?? "", 300)}`;
    return make("tr", { "data-kind": each.kind }, make("th", { scope: "row" }, each.step), make("td", { class: "words" }, what), make("td", { class: "words" }, visible(each.entity ?? "", 120)),
      make("td", { class: "number" }, short(each.cost ?? 0)), make("td", { class: "number" }, short(each.spent ?? 0)), p(each.p_attack), p(each.p_tampered),
      make("td", { class: "rows" }, ...folded(each.n_rows ?? rows.length, rows)));
  }));
}

export function showStretches(episode, until, body) {
  const row = (who, each) => make("tr", {}, make("th", { scope: "row" }, who), make("td", { class: "number" }, figure(each.from, seconds(each.from))),
    make("td", { class: "number" }, figure(each.to, seconds(each.to))), make("td", {}, visible(each.phase, 60)), make("td", { class: "number" }, each.high < 0 ? "–" : figure(each.high, fixed(each.high))));
  const all = episode.stretches(until).map((each) => row("truth", each));
  for (const model of episode.models.values()) all.push(...model.stretches(until).slice(0, 200).map((each) => row(called(model.name), each)));
  body.replaceChildren(...all);
}
