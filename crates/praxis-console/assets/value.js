// JSON laid out for who decides on it: fields by name, what is long folded, and all of it text. Characters that are not
// seen, or that turn those beside them round, are written as their numbers (Unicode Technical Report 36, "Bidirectional
// Text Spoofing"), as the command line does it: nothing is hidden.

import { count } from "./api.js";
import { element, speak } from "./element.js";
import { Digits } from "./exact.js";

// A text beyond one of these is folded, and so much of it is shown as its title.
const LONG = 400;
const LINES = 8;
const TITLE = 100;

// Fields and items that are shown at once, and by each press of a button.
const FEW = 20;
const STEP = 200;

const RANGES = String.raw`\0-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f`
  + String.raw`\ufe00-\ufe0f\ufeff\ufff9-\ufffb\u{e0000}-\u{e0fff}`;
const UNSEEN = new RegExp(`([${RANGES}])`, "u");

/** A value as an element. */
export function laidOut(value) {
  const node = element("div", "value");
  node.append(shown(value));
  return node;
}

/** Puts a text into an element with nothing of it hidden, and gives the element. */
export function written(node, text) {
  text.split(UNSEEN).forEach((piece, at) => {
    const number = at % 2 ? piece.codePointAt(0).toString(16).toUpperCase() : "";
    if (number) node.append(element("span", "unseen", `\\u{${number}}`));
    else if (piece) node.append(piece);
  });
  speak(node, text);
  return node;
}

function shown(value) {
  if (typeof value === "string") return words(value);
  if (value instanceof Digits) return element("code", "", value.text);
  if (Array.isArray(value)) {
    return value.length ? fields(value.map((item, at) => [`${at + 1}.`, item])) : element("code", "", "[]");
  }
  if (value && typeof value === "object") {
    const pairs = Object.entries(value);
    return pairs.length ? fields(pairs) : element("code", "", "{}");
  }
  return element("code", "", String(value));
}

// Names and values, the first of them at once.
function fields(pairs) {
  const frame = element("div");
  const list = frame.appendChild(element("dl"));
  let next = 0;
  const grow = (number) => {
    const first = list.children.length;
    for (const [name, value] of pairs.slice(next, next + number)) {
      const isWhole = Boolean(value) && typeof value === "object" && !(value instanceof Digits);
      list.append(name ? written(element("dt"), name) : element("dt", "", "\"\""));
      list.appendChild(element("dd", isWhole ? "whole" : "")).append(shown(value));
    }
    next += number;
    return list.children[first];
  };
  grow(FEW);
  if (next < pairs.length) frame.append(rest(() => pairs.length - next, grow));
  return frame;
}

function rest(left, grow) {
  const button = element("button", "plain");
  button.type = "button";
  const say = () => {
    button.textContent = `Show ${Math.min(left(), STEP)} more of ${count(left(), "value")}`;
  };
  say();
  button.addEventListener("click", () => {
    const first = grow(STEP);
    first.tabIndex = -1;
    first.focus();
    if (left() > 0) say();
    else button.remove();
  });
  return button;
}

function words(text) {
  if (!text) return element("code", "", "\"\"");
  const lines = text.split("\n").length;
  if (text.length <= LONG && lines <= LINES) return written(element("span", "words"), text);
  const fold = element("details");
  const summary = fold.appendChild(element("summary"));
  const title = [...text.slice(0, 2 * TITLE)].slice(0, TITLE).join("").split("\n")[0];
  written(summary.appendChild(element("span")), title);
  summary.append(` … (${count([...text].length, "character")}${lines > 1 ? `, ${count(lines, "line")}` : ""})`);
  unfolded(fold, () => {
    const whole = written(element("pre"), text);
    whole.tabIndex = 0;
    return [whole];
  });
  return fold;
}

/** Fills a folded element when it is opened the first time. */
export function unfolded(fold, fill) {
  fold.addEventListener("toggle", () => fold.open && fold.append(...fill()), { once: true });
}
