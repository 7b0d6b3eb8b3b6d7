// Text that nobody vouches for, and numbers, as people read them. All of it becomes text nodes, never markup.

/** The text with everything that is not seen, or turns the direction of reading, spelled out. */
export function visible(text, most = 200) {
  const kept = String(text).slice(0, most + 1).replace(
    /[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Cs}\p{Zl}\p{Zp}]/gu, (char) => `\\u{${char.codePointAt(0).toString(16)}}`);
  return kept.length > most ? `${kept.slice(0, most)}…` : kept;
}

export function seconds(s) {
  if (!Number.isFinite(s)) return "";
  if (s < 600) return `${round(s, 1)} s`;
  const minutes = Math.floor(s / 60);
  return minutes < 120 ? `${minutes} min ${Math.floor(s % 60)} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export const round = (x, digits) => String(Number(x.toFixed(digits)));

export function short(x) {
  if (!Number.isFinite(x)) return "";
  const size = Math.abs(x);
  for (const [unit, of] of [["G", 1e9], ["M", 1e6], ["k", 1e3]]) if (size >= of) return `${(x / of).toPrecision(3)} ${unit}`;
  return size >= 0.01 || size === 0 ? String(Number(x.toPrecision(3))) : x.toExponential(1);
}

/** An element with text, attributes and children; a text child is a text node. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.map((child) => (child instanceof Node ? child : document.createTextNode(String(child)))));
  return element;
}

/** A number that a program reads in full and a person rounded. */
export const figure = (value, shown) => make("data", { value: String(value) }, shown);
