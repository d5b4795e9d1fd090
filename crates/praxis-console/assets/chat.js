// The conversation: sends a question, shows the answer as it is written, and keeps both for as long
// as the tab is open.

import { UNREACHABLE, send as request } from "./api.js";
import { keep, recall } from "./memory.js";
import { atEnd, follow } from "./scroll.js";
import { closeSource } from "./source.js";
import { TurnView } from "./turn.js";

// Earlier turns that a question is sent with: enough for "and the second one?", few enough that a
// local model answers soon.
const REMEMBERED = 6;

const [form, question, send, stop, anew, log, welcome] =
  ["ask", "question", "send", "stop", "anew", "log", "welcome"].map((id) => document.getElementById(id));
const api = document.getElementById("function");
let turns = recall();
let running = null;

for (const turn of turns) new TurnView(log, turn).finish();
arrange();
if (turns.length) follow(true);

function arrange() {
  welcome.hidden = turns.length > 0;
  anew.hidden = turns.length === 0;
  log.setAttribute("aria-busy", String(Boolean(running)));
  stop.hidden = !running;
  send.hidden = Boolean(running);
  send.disabled = !question.value.trim() || !api.value;
  question.style.height = "auto";
  question.style.height = `${question.scrollHeight}px`;
}

question.addEventListener("input", arrange);
question.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    form.requestSubmit();
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    if (!closeSource()) running?.abort();
  } else if (event.key === "/" && !event.target.closest("textarea, input, select")) {
    event.preventDefault();
    question.focus();
  }
});
stop.addEventListener("click", () => running?.abort());
for (const button of document.querySelectorAll("[data-suggestion]")) {
  button.addEventListener("click", () => ask(button.textContent));
}
form.addEventListener("submit", (event) => {
  event.preventDefault();
  const text = question.value.trim();
  if (!text || running || !api.value) return;
  question.value = "";
  ask(text);
});
anew.addEventListener("click", () => {
  running?.abort();
  closeSource();
  turns = [];
  keep(turns);
  log.replaceChildren();
  arrange();
  question.focus();
});
// Leaving the page ends a running answer; what there is of it is kept. Not every browser tells both.
addEventListener("beforeunload", () => running?.abort());
addEventListener("pagehide", () => running && keep(turns));

async function ask(text) {
  const started = performance.now();
  const elapsed = () => (performance.now() - started) / 1000;
  const messages = turns.slice(-REMEMBERED).filter((turn) => turn.text).flatMap((turn) => [
    { role: "user", content: turn.question },
    { role: "assistant", content: turn.text },
  ]);
  messages.push({ role: "user", content: text });
  const turn = {
    question: text, text: "", reasoning: "", confidence: null, citations: [], trace: null, failed: "Stopped.", seconds: 0, first: null,
  };
  turns.push(turn);
  const view = new TurnView(log, turn);
  const mine = running = new AbortController();
  arrange();
  follow(true);
  try {
    await converse(messages, turn, view, elapsed);
    turn.failed = null;
  } catch (error) {
    if (error.name !== "AbortError") {
      turn.failed = error instanceof TypeError ? UNREACHABLE : error.message;
      turn.login = Boolean(error.login);
    }
  }
  turn.seconds = elapsed();
  if (running === mine) running = null;
  // A new conversation may have begun since.
  if (!turns.includes(turn)) return arrange();
  const near = atEnd();
  view.finish();
  if (turn.failed && !turn.text && !question.value) question.value = text;
  keep(turns);
  arrange();
  if (document.getElementById("source").hidden) question.focus({ preventScroll: true });
  follow(near);
}

async function converse(messages, turn, view, elapsed) {
  const path = `/praxis/v1/functions/${encodeURIComponent(api.value)}/chat`;
  const headers = { "content-type": "application/json" };
  const response = await request(path, JSON.stringify({ messages }), running.signal, headers);
  for await (const { name, value } of events(response.body)) {
    if (name === "retrieved") {
      view.say(value.passages ? `Reading ${value.passages} passage${value.passages === 1 ? "" : "s"}` : "Thinking");
    } else if (name === "reasoning") {
      turn.reasoning += value.text;
      view.grow();
    } else if (name === "tool_called") {
      turn.reasoning += `\n→ ${value.name}(${value.arguments})\n`;
      view.grow();
    } else if (name === "tool_answered") {
      turn.reasoning += `← ${value.text.length > 400 ? `${value.text.slice(0, 400)}…` : value.text}\n`;
      view.grow();
    } else if (name === "concluded") {
      // Of several samples, that of the one that was taken.
      turn.reasoning = value.reasoning ?? turn.reasoning;
      turn.confidence = value.confidence;
    } else if (name === "delta") {
      turn.first ??= elapsed();
      turn.text += value.text;
      view.grow();
    } else if (name === "cited") {
      turn.text = value.text;
      turn.citations = value.citations;
    } else if (name === "done") {
      turn.trace = value.trace_id;
    } else if (name === "error") {
      throw new Error(value.error.message);
    }
  }
  if (!turn.trace) throw new Error("The answer broke off. Ask again.");
}

// Server-sent events of a response body.
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    rest += value;
    const blocks = rest.split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const field = (key) => block.split("\n").filter((l) => l.startsWith(`${key}:`))
        .map((l) => l.slice(key.length + 1).trimStart()).join("\n");
      const data = field("data");
      if (data) yield { name: field("event"), value: JSON.parse(data) };
    }
  }
}
