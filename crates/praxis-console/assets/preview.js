// How a file would be cut: sends it, and shows the passages that it would become.

import { count, notice, post } from "./api.js";
import { receive } from "./drop.js";
import { element, speak } from "./element.js";
import { layOut } from "./layout.js";
import { bar, strip } from "./lane.js";

// Passages that are shown at once.
const STEP = 50;

// Passages from which on it pays to see the lengths of all beside each other.
const SEVERAL = 12;

const [base, drop, file, status, result] =
  ["base", "drop", "file", "status", "result"].map((id) => document.getElementById(id));
let running = null;
let last = null;

if (drop) {
  receive(drop, file, show);
  // Another base cuts otherwise.
  base.addEventListener("change", () => last && show(last));
}

async function show(chosen) {
  last = chosen;
  running?.abort();
  const mine = running = new AbortController();
  result.replaceChildren();
  result.setAttribute("aria-busy", "true");
  status.textContent = `Reading ${chosen.name} …`;
  let shown;
  try {
    shown = whole(await cut(chosen, mine.signal), chosen.name);
    status.textContent = "";
  } catch (error) {
    if (error.name === "AbortError") return;
    status.textContent = "";
    shown = [notice(error)];
  }
  if (running !== mine) return;
  running = null;
  result.removeAttribute("aria-busy");
  result.replaceChildren(...shown);
}

async function cut(chosen, signal) {
  const most = Number(base.selectedOptions[0].dataset.most);
  if (chosen.size > most) {
    const mib = (bytes) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
    throw new Error(`${chosen.name} has ${mib(chosen.size)}, and files of at most ${mib(most)} are read. `
      + "Split it, or raise max_file_bytes.");
  }
  const form = new FormData();
  form.append("file", chosen, chosen.name);
  return post(`/praxis/v1/knowledge/${base.value}/preview`, form, signal);
}

function whole(preview, name) {
  const { chunks } = preview;
  const head = element("header");
  const title = head.appendChild(element("h2", "", preview.title || name));
  speak(title, preview.title);
  const tokens = chunks.map((chunk) => chunk.tokens).sort((a, b) => a - b);
  head.append(element("p", "quiet", [
    name, preview.format, count(preview.characters, "character"), count(preview.blocks, "block"),
    `${count(chunks.length, "passage")} of at most ${count(preview.max_tokens, "token")} by ${preview.strategy}`,
  ].join(" · ")));
  for (const note of preview.notes) head.append(element("p", "notice", note));
  if (preview.approximate) {
    head.append(element("p", "notice", "Tokens are counted by rule of thumb, for want of the embedding model: "
      + "with it on this machine, passages may end elsewhere."));
  }
  if (chunks.length >= SEVERAL) {
    head.append(strip(chunks.map((chunk) => chunk.tokens / preview.max_tokens)));
    head.append(element("p", "quiet under", `Passages in their order, by their length: from ${tokens[0]} to `
      + `${tokens.at(-1)} tokens, half of them up to ${tokens[Math.floor((tokens.length - 1) / 2)]}.`));
  }
  const list = element("ol", "chunks");
  const more = element("button", "plain");
  more.type = "button";
  const grow = () => {
    const from = list.children.length;
    list.append(...chunks.slice(from, from + STEP).map((chunk, at) => passage(chunk, from + at + 1, preview)));
    const left = chunks.length - list.children.length;
    more.hidden = left === 0;
    more.textContent = `Show ${Math.min(left, STEP)} more of ${count(left, "passage")}`;
    return list.children[from];
  };
  grow();
  more.addEventListener("click", () => {
    const first = grow();
    first.tabIndex = -1;
    first.focus();
  });
  return [head, list, more];
}

function passage(chunk, number, preview) {
  const item = element("li", "chunk");
  const { headings, page } = chunk;
  const where = headings.join(" › ") + (page ? `${headings.length ? ", " : ""}page ${page}` : "");
  const line = item.appendChild(element("p", "place"));
  line.append(element("span", "kind", String(number)));
  const named = line.appendChild(element("span", "where", where));
  speak(named, where);
  line.append(element("span", "quiet", `${chunk.tokens} of ${preview.max_tokens} tokens`));
  item.append(bar(chunk.tokens / preview.max_tokens));
  const text = item.appendChild(element("div", "text"));
  speak(text, chunk.text);
  text.append(...layOut(chunk.text, preview.format === "source code"));
  return item;
}
