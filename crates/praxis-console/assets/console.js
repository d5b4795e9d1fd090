// The conversation: sends a question, shows the answer as it is written, opens what it cites.
"use strict";

const $ = (id) => document.getElementById(id);

// Light or dark: as the system has it, until somebody chooses.
const chosen = localStorage.getItem("theme");
if (chosen) document.documentElement.dataset.theme = chosen;
$("theme").addEventListener("click", () => {
  const now = document.documentElement.dataset.theme
    || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  const next = now === "dark" ? "light" : "dark";
  document.documentElement.dataset.theme = next;
  localStorage.setItem("theme", next);
});

const marked = $("passage");
if (marked) marked.scrollIntoView({ block: "center" });

if (document.querySelector("[data-chat]")) chat();

function chat() {
  const [form, question, send, stop, log] = ["ask", "question", "send", "stop", "log"].map($);
  const history = [];
  let running = null;

  const grow = () => {
    question.style.height = "auto";
    question.style.height = question.scrollHeight + "px";
    send.disabled = !question.value.trim() || running;
  };
  question.addEventListener("input", grow);
  grow();

  question.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      form.requestSubmit();
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      if (!$("source").hidden) closeSource();
      else if (running) running.abort();
    } else if (event.key === "/" && !["TEXTAREA", "INPUT", "SELECT"].includes(document.activeElement.tagName)) {
      event.preventDefault();
      question.focus();
    }
  });
  stop.addEventListener("click", () => running && running.abort());
  $("source-close").addEventListener("click", closeSource);
  for (const button of document.querySelectorAll("[data-suggestion]")) {
    button.addEventListener("click", () => {
      question.value = button.textContent;
      form.requestSubmit();
    });
  }
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const text = question.value.trim();
    if (!text || running) return;
    question.value = "";
    ask(text);
  });

  async function ask(text) {
    if ($("welcome")) $("welcome").remove();
    add("turn user").appendChild(element("p", "", text));
    const turn = add("turn");
    const status = turn.appendChild(element("p", "status", "Searching the documents"));
    const answer = turn.appendChild(element("div", "answer", ""));
    const started = performance.now();
    const state = { text: "", citations: [], trace: null, failed: null, first: null };
    history.push({ role: "user", content: text });
    running = new AbortController();
    stop.hidden = false; send.hidden = true;
    grow();
    scroll();
    try {
      const response = await fetch(`/praxis/v1/functions/${encodeURIComponent($("function").value)}/chat`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ messages: history }),
        signal: running.signal,
      });
      if (!response.ok) {
        const body = await response.json().catch(() => null);
        throw new Error(body ? body.error.message : `The server answered ${response.status}.`);
      }
      for await (const { name, value } of events(response.body)) {
        if (name === "retrieved") {
          status.textContent = value.passages ? `Reading ${value.passages} passages` : "Thinking";
        } else if (name === "delta") {
          if (state.first === null) state.first = performance.now() - started;
          status.hidden = true;
          state.text += value.text;
          render(answer, state);
        } else if (name === "cited") {
          state.text = value.text;
          state.citations = value.citations;
          render(answer, state);
        } else if (name === "done") {
          state.trace = value.trace_id;
        } else if (name === "error") {
          throw new Error(value.error.message);
        }
        scroll();
      }
      if (!state.trace) throw new Error("The answer broke off. Ask again.");
    } catch (error) {
      state.failed = error.name === "AbortError" ? "Stopped." :
        error instanceof TypeError ? "The server cannot be reached. Is `praxis serve` running?" : error.message;
    }
    running = null;
    stop.hidden = true; send.hidden = false;
    status.remove();
    if (state.text) history.push({ role: "assistant", content: state.text }); else history.pop();
    finish(turn, state, performance.now() - started);
    grow();
    question.focus();
    scroll();
  }

  function finish(turn, state, elapsed) {
    if (state.failed) {
      const note = turn.appendChild(element("p", "notice", state.failed));
      note.setAttribute("role", "alert");
    }
    if (state.citations.length) {
      const list = turn.appendChild(element("ul", "sources", ""));
      for (const citation of state.citations) {
        const button = element("button", "", "");
        button.type = "button";
        button.appendChild(element("b", "", String(citation.number)));
        button.append([citation.title, ...citation.headings.filter((h) => h !== citation.title)].join(" › ")
          + (citation.page ? `, page ${citation.page}` : ""));
        button.addEventListener("click", () => openSource(citation, button));
        list.appendChild(element("li", "", "")).appendChild(button);
      }
    }
    if (state.trace) {
      const meta = turn.appendChild(element("p", "meta", ""));
      meta.append(`${(elapsed / 1000).toFixed(1)} s, first word after ${((state.first ?? elapsed) / 1000).toFixed(1)} s · `);
      const link = meta.appendChild(element("a", "", "trace"));
      link.href = `/traces/${state.trace}`;
    }
  }

  function add(className) {
    return log.appendChild(element("div", className, ""));
  }

  function scroll() {
    window.scrollTo({ top: document.body.scrollHeight });
  }
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
      const field = (key) => block.split("\n").filter((l) => l.startsWith(key + ":")).map((l) => l.slice(key.length + 1).trimStart()).join("\n");
      const data = field("data");
      if (data) yield { name: field("event"), value: JSON.parse(data) };
    }
  }
}

// A small, safe part of Markdown: paragraphs, lists, code, emphasis. Everything is a text node.
function render(target, state) {
  target.replaceChildren();
  let list = null;
  const parts = state.text.split(/```(?:\w*\n)?/);
  parts.forEach((part, index) => {
    if (index % 2) {
      target.appendChild(element("pre", "", "")).appendChild(element("code", "", part.replace(/\n$/, "")));
      return;
    }
    for (const block of part.split(/\n{2,}|\n(?=\s*(?:[-*]|\d+\.)\s)/)) {
      if (!block.trim()) continue;
      const item = block.match(/^\s*([-*]|\d+\.)\s+([\s\S]*)/);
      if (item) {
        const kind = /\d/.test(item[1]) ? "ol" : "ul";
        if (!list || list.localName !== kind) list = target.appendChild(element(kind, "", ""));
        inline(list.appendChild(element("li", "", "")), item[2], state);
      } else {
        list = null;
        inline(target.appendChild(element("p", "", "")), block, state);
      }
    }
  });
}

function inline(target, text, state) {
  for (const piece of text.split(/(\*\*[^*]+\*\*|`[^`]+`|\[\d+\])/)) {
    const number = piece.match(/^\[(\d+)\]$/);
    if (number) {
      const citation = state.citations.find((c) => c.number === Number(number[1]));
      const chip = element("button", "cite", number[1]);
      chip.type = "button";
      chip.setAttribute("aria-label", `Source ${number[1]}`);
      chip.disabled = !citation;
      if (citation) chip.addEventListener("click", () => openSource(citation, chip));
      target.appendChild(chip);
    } else if (piece.startsWith("**") && piece.length > 4) {
      target.appendChild(element("strong", "", piece.slice(2, -2)));
    } else if (piece.startsWith("`") && piece.length > 2) {
      target.appendChild(element("code", "", piece.slice(1, -1)));
    } else {
      target.append(piece);
    }
  }
}

let opener = null;

async function openSource(citation, from) {
  if (opener) opener.removeAttribute("aria-expanded");
  opener = from;
  from.setAttribute("aria-expanded", "true");
  const panel = $("source");
  $("source-title").textContent = citation.title;
  $("source-place").textContent = [citation.uri, ...citation.headings].join(" › ")
    + (citation.page ? `, page ${citation.page}` : "") + ` · characters ${citation.start}–${citation.end}`;
  $("source-open").href = `/documents/${citation.document}?start=${citation.start}&end=${citation.end}#passage`;
  const text = $("source-text");
  text.replaceChildren(element("mark", "", citation.text));
  panel.hidden = false;
  $("source-title").focus();
  try {
    const response = await fetch(`/praxis/v1/passages/${encodeURIComponent(citation.chunk)}`);
    if (!response.ok) throw new Error();
    const excerpt = await response.json();
    text.replaceChildren(excerpt.before, element("mark", "", excerpt.passage.text), excerpt.after);
  } catch {
    text.append(element("p", "notice", "The document has changed since this answer."));
  }
  const mark = text.querySelector("mark");
  if (mark) mark.scrollIntoView({ block: "nearest" });
}

function closeSource() {
  $("source").hidden = true;
  if (opener) {
    opener.removeAttribute("aria-expanded");
    opener.focus();
    opener = null;
  }
}

function element(name, className, text) {
  const node = document.createElement(name);
  if (className) node.className = className;
  node.textContent = text;
  return node;
}
