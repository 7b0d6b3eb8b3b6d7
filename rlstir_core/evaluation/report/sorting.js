// Puts the rows of a table in the order of a column, by its first number or its words; a third click gives them back.
// Without a script the page says the same. What does not belong here: anything that changes what a table says.
"use strict";
const NUMBER = /^[<>]? ?([+-]?\d*\.?\d+)/;
const UNKNOWN = "–";

function keyOf(row, at) {
  const text = row.cells[at].textContent.trim();
  const found = text.replace(/(\d),(?=\d{3})/g, "$1").match(NUMBER);
  return found ? Number(found[1]) : text === UNKNOWN ? null : text;
}

function inOrder(a, b, down) {
  if (a === null || b === null) return (a === null) - (b === null); // what is not known stays last
  const both = typeof a === "number" && typeof b === "number";
  const order = both ? a - b : String(a).localeCompare(String(b));
  return down ? -order : order;
}

for (const table of document.querySelectorAll("main table")) {
  const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells], rows = [...body.rows];
  if (rows.length < 2) continue;
  heads.forEach((head, at) => {
    const button = document.createElement("button");
    const turns = at ? ["descending", "ascending"] : ["ascending", "descending"]; // figures: the highest first
    button.append(...head.childNodes);
    button.title = "sort by this column";
    head.append(button);
    button.addEventListener("click", () => {
      const next = turns[turns.indexOf(head.getAttribute("aria-sort")) + 1];
      for (const other of heads) other.removeAttribute("aria-sort");
      if (!next) return body.append(...rows);
      head.setAttribute("aria-sort", next);
      body.append(...[...rows].sort((a, b) => inOrder(keyOf(a, at), keyOf(b, at), next === "descending")));
    });
  });
}
