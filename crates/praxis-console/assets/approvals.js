// Calls of tools that wait for a person: asks for them now and then while the page is seen, and shows each until it is
// put away. Decisions are the cards' (`approval.js`), the log stands below (`calls.js`).

import { count, get, notice } from "./api.js";
import { Card } from "./approval.js";
import { Log } from "./calls.js";
import { element } from "./element.js";
import { exact } from "./exact.js";
import { recount } from "./waiting.js";

const ADDRESS = "/praxis/v1/approvals";
const EVERY = 5_000;

// Calls that are shown at first and by each press of a button, and the most of all, which the API gives at a time.
const STEP = 20;
const MOST = 100;

// Names that the filter proposes, at most.
const MOST_NAMES = 200;

const $ = (id) => document.getElementById(id);
const { reader } = $("main").dataset;
const cards = new Map();
const names = new Set();
let limit = STEP;
let timer = null;
let turn = 0;

const log = new Log(
  { tool: $("tool"), outcome: $("outcome"), found: $("found"), calls: $("calls"), older: $("older") },
  meet,
);

async function refresh() {
  clearTimeout(timer);
  if (document.hidden) return;
  const mine = ++turn;
  try {
    const page = await exact(await get(`${ADDRESS}?state=pending&order=asc&limit=${limit}`));
    if (mine !== turn) return;
    const waiting = new Set(page.data.map((approval) => approval.id));
    for (const approval of page.data) if (!cards.has(approval.id)) add(approval);
    await follow(waiting);
    await log.refresh();
    say(null);
    arrange(page.has_more);
  } catch (error) {
    if (error.code === "forbidden") return close();
    say(error);
    if (error.login) return;
  }
  if (mine === turn) timer = setTimeout(refresh, EVERY);
}

function add(approval) {
  meet(approval.function);
  const card = new Card(approval, reader, () => {
    recount();
    refresh();
  });
  cards.set(approval.id, card);
  $("cards").append(card.node);
}

// Asks what became of those that were decided on elsewhere or have run out, and of those that may be made by now.
async function follow(waiting) {
  for (const [id, card] of [...cards].slice(-MOST)) {
    card.tick();
    if (!card.isOpen && (!card.isWaiting || waiting.has(id))) continue;
    try {
      card.tell(await exact(await get(`${ADDRESS}/${encodeURIComponent(id)}`)));
    } catch (error) {
      if (error.code !== "not_found") throw error;
      card.gone();
    }
  }
}

function arrange(hasMore) {
  const all = [...cards.values()];
  const waiting = all.filter((card) => card.isWaiting).length;
  const shown = waiting === 1 ? "1 call waits." : `${count(waiting, "call")} wait, the oldest first.`;
  const more = limit < MOST ? " There are more." : " There are more, which come when some of these are decided on.";
  const words = waiting ? shown + (hasMore ? more : "") : "No call waits.";
  if ($("summary").textContent !== words) $("summary").textContent = words;
  $("more").hidden = !hasMore || limit >= MOST;
  $("clear").hidden = waiting === all.length;
}

function close() {
  $("closed").hidden = false;
  $("open").hidden = true;
}

// What is wrong, once and not at each try.
function say(error) {
  const before = $("problem").textContent;
  const node = error && notice(error);
  if ((node?.textContent ?? "") !== before) $("problem").replaceChildren(...(node ? [node] : []));
}

// Proposes a function, and its tool, for the filter.
function meet(name) {
  for (const known of [name.split("/")[0], name]) {
    if (names.has(known) || names.size >= MOST_NAMES) continue;
    names.add(known);
    const option = $("tools").appendChild(element("option"));
    option.value = known;
  }
}

const attempt = (work) => work.then(() => say(null), say);

$("more").addEventListener("click", () => {
  limit = Math.min(MOST, limit + STEP);
  refresh();
});
$("clear").addEventListener("click", () => {
  for (const [id, card] of cards) {
    if (card.isWaiting) continue;
    card.node.remove();
    cards.delete(id);
  }
  $("summary").tabIndex = -1;
  $("summary").focus();
  refresh();
});
$("filter").addEventListener("submit", (event) => event.preventDefault());
$("filter").addEventListener("change", () => attempt(log.load()));
$("older").addEventListener("click", () => attempt(log.more()));
document.addEventListener("visibilitychange", refresh);
refresh();
