// What was found among texts, as tables and groups. Texts are those that were sent, in their order.

import { count } from "./api.js";
import { element, speak } from "./element.js";
import { bar } from "./lane.js";

// Rows of a table, and members of a group, before a button shows the rest.
const ROWS = 100;
const MEMBERS = 5;

/** One line that says what came out, and the elements that show it. */
export const FINDINGS = {
  similar: (data) => [`${count(data.length, "text")}, the nearest first.`, [ranked(data)]],
  recommend: (data) => [
    data.length ? `${count(data.length, "text")}, the most fitting first.` : "There is no text but those that you chose.",
    data.length ? [ranked(data)] : [],
  ],
  duplicates: (data, texts) => {
    const twins = data.reduce((sum, group) => sum + group.length - 1, 0);
    if (!twins) return ["No two texts are that much alike.", []];
    return [`${twins} of ${count(texts.length, "text")} ${twins === 1 ? "says" : "say"} what another one says.`,
      data.map((group) => members("", group, texts))];
  },
  classify: (data, texts) => {
    const sizes = new Map();
    for (const [best] of data) sizes.set(best.label, (sizes.get(best.label) ?? 0) + 1);
    const order = [...sizes].sort(([, a], [, b]) => b - a);
    return [order.map(([label, size]) => `${label} ${size}`).join(" · "), [classes(data, texts)]];
  },
  cluster: (data, texts) => [
    count(data.length, "topic"),
    [...data].sort((a, b) => b.members.length - a.members.length)
      .map((topic) => members(topic.terms.join(", ") || "without words of its own", topic.members, texts)),
  ],
};

function cell(row, kind, text, name = "") {
  const node = row.appendChild(element(kind, name, text));
  if (kind === "td") speak(node, text);
  return node;
}

// A table of rows, the first of them at once.
function table(heads, rows, fill) {
  const frame = element("div");
  const grid = frame.appendChild(element("table", "found"));
  const head = grid.appendChild(element("thead")).appendChild(element("tr"));
  for (const [text, name] of heads) cell(head, "th", text, name).scope = "col";
  const body = grid.appendChild(element("tbody"));
  const grow = (from, to) => rows.slice(from, to).forEach((row, at) => {
    fill(body.appendChild(element("tr")), row, from + at);
  });
  grow(0, ROWS);
  if (rows.length > ROWS) frame.append(rest(rows.length - ROWS, () => grow(ROWS)));
  return frame;
}

function rest(number, grow) {
  const button = element("button", "plain", `Show ${number} more`);
  button.type = "button";
  button.addEventListener("click", () => {
    grow();
    button.remove();
  });
  return button;
}

function ranked(data) {
  return table([["cosine", "right"], ["text"], ["line", "right"]], data, (row, found) => {
    cell(row, "td", found.cosine.toFixed(3), "right number");
    cell(row, "td", found.text);
    cell(row, "td", String(found.index + 1), "right number quiet");
  });
}

function classes(data, texts) {
  const rows = data.map((found, at) => ({ found, at }));
  return table([["text"], ["class"], ["share", "right"]], rows, (row, { found, at }) => {
    const [best, next] = found;
    cell(row, "td", texts[at]);
    const label = cell(row, "td", best.label);
    if (next) label.append(element("span", "quiet", `then ${next.label}, ${percent(next.share)}`));
    const share = cell(row, "td", percent(best.share), "right number");
    share.append(bar(best.share));
  });
}

function percent(share) {
  return `${Math.round(100 * share)}\u00a0%`;
}

// A group of texts, the most typical first.
function members(name, places, texts) {
  const section = element("section", "group");
  if (name) speak(section.appendChild(element("h3", "", name)), name);
  section.append(element("p", "quiet", count(places.length, "text")));
  const list = section.appendChild(element("ul"));
  const grow = (from, to) => places.slice(from, to).forEach((place) => {
    const item = list.appendChild(element("li", "", texts[place]));
    speak(item, texts[place]);
  });
  grow(0, MEMBERS);
  if (places.length > MEMBERS) section.append(rest(places.length - MEMBERS, () => grow(MEMBERS)));
  return section;
}
