// A passage's text laid out for reading: what looks like a table is one, long lines flow, short ones stay. The server
// gives text only, so this is told from its shape.

import { element } from "./element.js";

// Lines at least this long were broken by an editor, and may flow anew.
const WRAPPED = 60;

// Between the cells of a table's row.
const CELL = " | ";

/** The text as elements; `code` keeps every space of it. */
export function layOut(text, code) {
  if (code) {
    const frame = element("pre", "", text);
    frame.tabIndex = 0;
    return [frame];
  }
  return text.split("\n\n").filter((part) => part.trim()).map((part) => {
    const rows = part.split("\n").map((line) => line.split(CELL));
    return isTable(rows) ? table(rows) : element("p", isProse(part) ? "" : "lines", part);
  });
}

// At least two rows, and none with more cells than the first.
function isTable(rows) {
  return rows.length > 1 && rows.every((row) => row.length > 1 && row.length <= rows[0].length);
}

function isProse(part) {
  return part.split("\n").slice(0, -1).every((line) => line.length >= WRAPPED);
}

function table(rows) {
  const frame = element("div", "wide");
  frame.tabIndex = 0;
  const grid = frame.appendChild(element("table"));
  for (const row of rows) {
    const line = grid.appendChild(element("tr"));
    line.append(...row.map((cell) => element("td", "", cell)));
  }
  return frame;
}
