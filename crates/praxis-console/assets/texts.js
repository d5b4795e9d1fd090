// Texts compared by what they mean: shows the fields that the chosen work needs, calls the function, shows what it
// found, and keeps what was put in for as long as the tab is open.

import { count, notice, post } from "./api.js";
import { receive } from "./drop.js";
import { element, speak } from "./element.js";
import { EXAMPLE } from "./examples.js";
import { FINDINGS } from "./findings.js";
import { linesOf } from "./lines.js";

const KEY = "texts";
const MOST_CHARACTERS = 1_000_000;

// Texts among which one can choose at a time.
const PICKS = 60;

// From where on searching among the texts pays.
const MANY = 12;

const KINDS = ["liked", "disliked"];
const FIELDS = ["lines", "query", "labels", "topics", "threshold", "limit"];
const $ = (id) => document.getElementById(id);
const form = $("texts");
let running = null;

// What is liked and what is not, by the text: lines may move.
const opinions = new Map();
// How many texts one can choose among, but for a search, are not shown.
let unlisted = 0;

function begin() {
  restore();
  receive($("drop"), $("file"), async (file) => {
    try {
      const lines = await linesOf(file);
      const most = Number(form.dataset.most);
      $("lines").value = lines.slice(0, most).join("\n");
      arrange();
      keep();
      $("counted").textContent = `${count(Math.min(lines.length, most), "text")} from ${file.name}`
        + (lines.length > most ? `, the first of ${lines.length.toLocaleString("en")}` : "");
    } catch (error) {
      $("result").replaceChildren(notice(error));
    }
  });
  $("example").addEventListener("click", () => {
    for (const field of ["lines", "query", "labels"]) $(field).value = EXAMPLE[field];
    opinions.clear();
    for (const kind of KINDS) for (const text of EXAMPLE[kind]) opinions.set(text, kind);
    arrange();
    keep();
    $("go").focus();
  });
  for (const choice of form.elements.action) choice.addEventListener("change", arrange);
  $("lines").addEventListener("input", arrange);
  $("seek").addEventListener("input", showPicks);
  $("stop").addEventListener("click", () => running?.abort());
  form.addEventListener("change", keep);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!running) compare();
  });
  arrange();
}

const action = () => form.elements.action.value;

function texts() {
  return $("lines").value.split("\n").map((line) => line.trim()).filter(Boolean);
}

function arrange() {
  for (const field of form.querySelectorAll("[data-for]")) {
    field.hidden = !field.dataset.for.split(" ").includes(action());
    // What is not shown is not checked either.
    for (const control of field.querySelectorAll("input, textarea")) control.disabled = field.hidden;
  }
  const found = texts().length;
  $("counted").textContent = found ? count(found, "text") : "No texts yet";
  showPicks();
}

function showPicks() {
  if (action() !== "recommend") return;
  const all = [...new Set(texts())];
  $("seek").hidden = all.length <= MANY;
  const sought = $("seek").hidden ? "" : $("seek").value.trim().toLowerCase();
  const shown = all.filter((text) => text.toLowerCase().includes(sought));
  $("picks").replaceChildren(...shown.slice(0, PICKS).map(pick));
  unlisted = Math.max(0, shown.length - PICKS);
  sayPicked();
}

function sayPicked() {
  const all = [...new Set(texts())];
  const chosen = (kind) => all.filter((text) => opinions.get(text) === kind).length;
  const [liked, disliked] = KINDS.map(chosen);
  $("picked").textContent = !all.length ? "Put in texts, then choose one or more that are liked."
    : `${liked} liked, ${disliked} disliked.`
      + (unlisted ? ` ${unlisted.toLocaleString("en")} more texts are found by a search.` : "");
}

function pick(text) {
  const item = element("li");
  speak(item.appendChild(element("span", "", text)), text);
  const buttons = KINDS.map((kind) => {
    const name = kind === "liked" ? "Like" : "Dislike";
    const button = element("button", "toggle", name);
    button.type = "button";
    button.setAttribute("aria-label", `${name}: ${text}`);
    button.addEventListener("click", () => {
      if (opinions.get(text) === kind) opinions.delete(text);
      else opinions.set(text, kind);
      say();
      sayPicked();
      keep();
    });
    return button;
  });
  const say = () => buttons.forEach((button, at) => {
    button.setAttribute("aria-pressed", String(opinions.get(text) === KINDS[at]));
  });
  say();
  item.append(...buttons);
  return item;
}

// The input of the chosen function; an error says what is missing.
function input(all) {
  const most = Number(form.dataset.most);
  const wanted = (id, message) => {
    if (!$(id).value.trim()) throw Object.assign(new Error(message), { field: id });
    return $(id).value.trim();
  };
  wanted("lines", "Put in some texts first, one a line.");
  if (all.length > most) {
    throw Object.assign(new Error(`${count(all.length, "text")} are too many at once: ${most.toLocaleString("en")} `
      + "are the most. On the command line there is no such bound."), { field: "lines" });
  }
  const number = (id) => ($(id).value === "" ? {} : { [id]: Number($(id).value) });
  const places = (kind) => all.flatMap((text, at) => (opinions.get(text) === kind ? [at] : []));
  switch (action()) {
    case "similar":
      return { query: wanted("query", "Put in a question first."), texts: all, ...number("limit") };
    case "duplicates":
      return { texts: all, ...number("threshold") };
    case "classify":
      return { texts: all, labels: classes(wanted("labels", "Name two classes or more, one a line.")) };
    case "cluster":
      return { texts: all, ...number("topics") };
    default: {
      const liked = places("liked");
      if (!liked.length) throw new Error("Choose a text or more that are liked.");
      return { texts: all, liked, disliked: places("disliked"), ...number("limit") };
    }
  }
}

// Lines of names and descriptions; a name alone describes itself.
function classes(text) {
  const labels = new Map();
  for (const line of text.split("\n").filter((l) => l.trim())) {
    const [, name, told] = line.match(/^([^:：]+)[:：](.*)$/) ?? [];
    const label = (name ?? line).trim();
    const described = told?.trim() || label;
    labels.set(label, [...(labels.get(label) ?? []), described]);
  }
  if (labels.size < 2) throw Object.assign(new Error("Name two classes or more, one a line."), { field: "labels" });
  return Object.fromEntries(labels);
}

async function compare() {
  const all = texts();
  const word = action();
  const { function: name } = form.querySelector("[name=action]:checked").dataset;
  $("result").replaceChildren();
  let body;
  try {
    body = JSON.stringify({ input: input(all) });
  } catch (error) {
    $("result").replaceChildren(notice(error));
    $(error.field ?? "go").focus();
    return;
  }
  keep();
  const started = performance.now();
  running = new AbortController();
  busy(true);
  try {
    const path = `/praxis/v1/functions/${encodeURIComponent(name)}/call`;
    const headers = { "content-type": "application/json" };
    const { output, trace_id: trace } = await post(path, body, running.signal, headers);
    const [said, nodes] = FINDINGS[word](output.data, all);
    const seconds = (performance.now() - started) / 1000;
    $("result").replaceChildren(element("h2", "", said), ...nodes, meta(seconds, trace));
    $("status").textContent = "Done.";
  } catch (error) {
    $("status").textContent = error.name === "AbortError" ? "Stopped." : "";
    if (error.name !== "AbortError") $("result").replaceChildren(notice(error));
  }
  running = null;
  busy(false);
  $("result").scrollIntoView({ block: "nearest" });
}

function busy(yes) {
  // Who pressed a button that goes finds the focus on the one that comes.
  const focused = [$("go"), $("stop")].includes(document.activeElement);
  $("go").hidden = yes;
  $("stop").hidden = !yes;
  if (focused) $(yes ? "stop" : "go").focus();
  if (yes) $("status").textContent = "Comparing …";
  $("result").setAttribute("aria-busy", String(yes));
}

function meta(seconds, trace) {
  const line = element("p", "meta", `${seconds.toFixed(1)} s · `);
  line.appendChild(element("a", "", "trace")).href = `/traces/${trace}`;
  return line;
}

// An address may serve another application tomorrow; what was put in is this one's.
const app = () => document.querySelector(".brand span").textContent;

function keep() {
  const values = Object.fromEntries(FIELDS.map((id) => [id, $(id).value]));
  const kept = JSON.stringify({ app: app(), action: action(), values, opinions: [...opinions] });
  try {
    if (kept.length <= MOST_CHARACTERS) sessionStorage.setItem(KEY, kept);
  } catch {
    // What is put in holds for this page.
  }
}

function restore() {
  try {
    const kept = JSON.parse(sessionStorage.getItem(KEY));
    if (kept?.app !== app()) return;
    for (const id of FIELDS) $(id).value = kept.values[id];
    for (const [text, kind] of kept.opinions) opinions.set(text, kind);
    const choice = [...form.elements.action].find((c) => c.value === kept.action);
    if (choice) choice.checked = true;
  } catch {
    // Nothing was kept.
  }
}

if (form) begin();
