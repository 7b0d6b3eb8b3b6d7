// Lanes and curves on canvases, in the colours of the style sheet. What is drawn is decided elsewhere.

let colours = {}, rem = 16;

export function readColours() {
  const style = getComputedStyle(document.documentElement);
  colours = Object.fromEntries(["ink", "faint", "grid", "edge", "line", "alarm", "card"].map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
  rem = Number.parseFloat(style.fontSize) || 16;
  colours.phases = [0, 1, 2, 3, 4, 5].map((at) => style.getPropertyValue(`--phase-${at}`).trim());
}

/** A context in CSS pixels on a clean canvas, with its size; null where it is not shown. */
export function opened(canvas) {
  const wide = canvas.clientWidth, tall = canvas.clientHeight, by = Math.min(devicePixelRatio || 1, 3);
  if (!wide || !tall) return null;
  if (canvas.width !== Math.round(wide * by) || canvas.height !== Math.round(tall * by)) {
    canvas.width = Math.round(wide * by); canvas.height = Math.round(tall * by);
  }
  const pen = canvas.getContext("2d");
  pen.setTransform(by, 0, 0, by, 0, 0);
  pen.clearRect(0, 0, wide, tall);
  pen.font = `${0.6875 * rem}px system-ui, sans-serif`;
  pen.textBaseline = "middle";
  return { pen, wide, tall };
}

/** The fill of a phase; an attack has a bar below, so that colour is not all that tells. */
function fill({ pen, tall }, place, attack, x, width) {
  pen.fillStyle = colours.phases[place % colours.phases.length];
  pen.fillRect(x, 0, width, tall);
  if (place >= colours.phases.length) hatch(pen, x, width, tall);
  if (attack) { pen.fillStyle = colours.alarm; pen.fillRect(x, tall - 3, width, 3); }
}

function hatch(pen, x, width, tall) {
  pen.save(); pen.beginPath(); pen.rect(x, 0, width, tall); pen.clip(); pen.strokeStyle = colours.edge; pen.beginPath();
  for (let at = x - tall; at < x + width; at += 7) { pen.moveTo(at, tall); pen.lineTo(at + tall, 0); }
  pen.stroke(); pen.restore();
}

export function swatch(canvas, place, attack) {
  const open = opened(canvas);
  if (open) fill(open, place, attack, 0, open.wide);
}

/** Stretches of phases between `from` and `to` seconds. */
export function lane(canvas, stretches, { from, to, phases, attack }) {
  const open = opened(canvas);
  if (!open) return;
  const { pen, wide, tall } = open, by = wide / (to - from);
  for (const each of stretches) {
    const x = Math.max(0, (each.from - from) * by), end = Math.min(wide, (each.to - from) * by);
    if (end <= 0 || x >= wide || end <= x) continue;
    fill(open, phases.indexOf(each.phase), attack.includes(each.phase), x, Math.max(1, end - x));
    if (end - x > 2) { pen.fillStyle = colours.edge; pen.fillRect(end - 0.5, 0, 0.5, tall); }
    const words = each.label;
    if (pen.measureText(words).width + 8 < end - x) { pen.fillStyle = colours.ink; pen.fillText(words, x + 4, tall / 2); }
  }
}

/** Points joined by lines, with a dashed line where an alarm begins. */
export function chance(canvas, points, { from, to, threshold, words }) {
  const open = opened(canvas);
  if (!open) return;
  const { pen, wide, tall } = open, by = wide / (to - from), y = (p) => 4 + (1 - p) * (tall - 8);
  pen.strokeStyle = colours.grid; pen.fillStyle = colours.faint; pen.lineWidth = 1;
  for (const p of [0, 0.5, 1]) { pen.beginPath(); pen.moveTo(0, y(p)); pen.lineTo(wide, y(p)); pen.stroke(); pen.fillText(p, 3, Math.min(tall - 7, Math.max(7, y(p) - 6))); }
  if (threshold !== null) {
    pen.strokeStyle = colours.alarm; pen.setLineDash([5, 4]); pen.beginPath(); pen.moveTo(0, y(threshold)); pen.lineTo(wide, y(threshold)); pen.stroke(); pen.setLineDash([]);
    pen.fillStyle = colours.alarm; pen.textAlign = "right"; pen.fillText(words, wide - 4, y(threshold) + (threshold > 0.5 ? 9 : -8)); pen.textAlign = "left";
  }
  pen.strokeStyle = pen.fillStyle = colours.line; pen.lineWidth = 1.5; pen.beginPath();
  const dots = points.length < wide / 8;
  points.forEach(([t, p], i) => { const x = (t - from) * by; if (i) pen.lineTo(x, y(p)); else pen.moveTo(x, y(p)); });
  pen.stroke();
  for (const [t, p] of points) {
    const alarm = threshold !== null && p >= threshold;
    if (!dots && !alarm) continue;
    pen.fillStyle = alarm ? colours.alarm : colours.line;
    pen.beginPath(); pen.arc((t - from) * by, y(p), alarm ? 3 : 2, 0, 7); pen.fill();
  }
}

/** A series up to `until`; where there are more bins than pixels, the lowest and highest of each pixel. */
export function curve(canvas, series, { from, to, until, label, log }) {
  const open = opened(canvas);
  if (!open || !series) return;
  const { pen, wide, tall } = open, { step, base, values } = series;
  const first = Math.max(0, Math.floor(from / step) - base), last = Math.min(series.size, Math.ceil(Math.min(to, until) / step + 1e-9) - base);
  let low = Infinity, high = -Infinity;
  for (let i = first; i < last; i++) { const v = values[i]; if (v < low) low = v; if (v > high) high = v; }
  if (!(high >= low)) return;
  const flat = high === low, on = log ? Math.asinh : (v) => v, least = on(low), most = on(high); // asinh: a logarithm that knows zero
  const y = (v) => (flat ? tall / 2 : 4 + (1 - (on(v) - least) / (most - least)) * (tall - 8));
  const by = wide / (to - from), x = (i) => ((base + i + 0.5) * step - from) * by;
  pen.strokeStyle = colours.line; pen.lineWidth = 1; pen.beginPath();
  let down = false;
  if ((last - first) <= 2 * wide) {
    for (let i = first; i < last; i++) {
      const v = values[i];
      if (Number.isNaN(v)) { down = false; continue; }
      if (down) pen.lineTo(x(i), y(v)); else pen.moveTo(x(i), y(v));
      if (!down && (i + 1 === last || Number.isNaN(values[i + 1]))) pen.lineTo(x(i) + 1, y(v)); // a value on its own
      down = true;
    }
  } else {
    for (let i = first; i < last;) {
      const px = Math.floor(x(i));
      let lowest = Infinity, highest = -Infinity;
      for (; i < last && Math.floor(x(i)) === px; i++) { const v = values[i]; if (v < lowest) lowest = v; if (v > highest) highest = v; }
      if (highest >= lowest) { pen.moveTo(px + 0.5, y(highest)); pen.lineTo(px + 0.5, y(lowest) + 1); }
    }
  }
  pen.stroke();
  note(pen, label(high), 3, 0.5 * rem);
  if (!flat) note(pen, label(low), 3, tall - 0.45 * rem);
}

/** Words that lines do not run through. */
function note(pen, words, x, y) {
  pen.globalAlpha = 0.85; pen.fillStyle = colours.card; pen.fillRect(x - 2, y - 0.42 * rem, pen.measureText(words).width + 4, 0.84 * rem);
  pen.globalAlpha = 1; pen.fillStyle = colours.faint; pen.fillText(words, x, y);
}

export function axis(canvas, { from, to }, label) {
  const open = opened(canvas);
  if (!open) return;
  const { pen, wide } = open, by = wide / (to - from);
  const rough = (to - from) / Math.max(2, wide / (5.6 * rem)), size = 10 ** Math.floor(Math.log10(rough));
  const step = size * ([1, 2, 5, 10].find((each) => each * size >= rough) ?? 10);
  pen.fillStyle = colours.faint; pen.strokeStyle = colours.edge; pen.beginPath();
  for (let n = Math.ceil(from / step - 1e-9); n * step <= to + 1e-9; n++) {
    const x = (n * step - from) * by, words = label(n * step), width = pen.measureText(words).width;
    pen.moveTo(x, 0); pen.lineTo(x, 4); pen.fillText(words, Math.min(wide - width, Math.max(0, x - width / 2)), 0.8 * rem);
  }
  pen.stroke();
}

/** Lines over steps, a label at each end. */
export function lines(canvas, all, label) {
  const open = opened(canvas);
  if (!open) return;
  const { pen, wide, tall } = open, points = all.flatMap((line) => line.points).filter(([, v]) => v !== null);
  if (!points.length) return;
  const range = (place) => [Math.min(...points.map((p) => p[place])), Math.max(...points.map((p) => p[place]))];
  const [x0, x1] = range(0), [y0, y1] = range(1), right = wide - 110;
  const x = (s) => 6 + (x1 > x0 ? (s - x0) / (x1 - x0) : 0.5) * (right - 12), y = (v) => 10 + (y1 > y0 ? 1 - (v - y0) / (y1 - y0) : 0.5) * (tall - 20);
  pen.fillStyle = colours.faint; pen.fillText(label(y1), 3, 8); pen.fillText(label(y0), 3, tall - 7);
  all.forEach((line, at) => {
    pen.strokeStyle = pen.fillStyle = at % 2 ? colours.alarm : colours.line; pen.setLineDash([[], [6, 3], [2, 3]][Math.floor(at / 2) % 3]); pen.lineWidth = 1.5; pen.beginPath();
    let end = null;
    for (const [s, v] of line.points) { if (v === null) continue; if (end) pen.lineTo(x(s), y(v)); else pen.moveTo(x(s), y(v)); end = [x(s), y(v)]; }
    pen.stroke(); pen.setLineDash([]);
    if (end) { pen.fillRect(end[0] - 1.5, end[1] - 1.5, 3, 3); pen.fillText(line.label, end[0] + 5, end[1]); }
  });
}

/** Points in a plane, the latest one largest. */
export function cloud(canvas, points) {
  const open = opened(canvas);
  if (!open || !points.length) return;
  const { pen, wide, tall } = open, xs = points.map((p) => p[0]), ys = points.map((p) => p[1]);
  const [x0, x1, y0, y1] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  points.forEach(([a, b], at) => {
    pen.globalAlpha = 0.25 + 0.75 * (at + 1) / points.length;
    pen.fillStyle = at + 1 === points.length ? colours.alarm : colours.line;
    pen.beginPath(); pen.arc(10 + (wide - 20) * (x1 > x0 ? (a - x0) / (x1 - x0) : 0.5), 10 + (tall - 20) * (y1 > y0 ? 1 - (b - y0) / (y1 - y0) : 0.5), at + 1 === points.length ? 5 : 2.5, 0, 7); pen.fill();
  });
  pen.globalAlpha = 1;
}
