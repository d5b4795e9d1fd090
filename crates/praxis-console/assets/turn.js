// A question and its answer on the page, while it is written and when it is done.

import { connect, render } from "./answer.js";
import { notice } from "./api.js";
import { element, speak } from "./element.js";
import { atEnd, follow } from "./scroll.js";
import { openSource, place } from "./source.js";

/** Puts a turn at the end of the log. `turn` is plain data: question, text, reasoning, confidence,
 *  citations, trace, failed, and seconds that it took. */
export class TurnView {
  constructor(log, turn) {
    this.turn = turn;
    this.frame = null;
    const asked = log.appendChild(element("div", "turn user"));
    speak(asked.appendChild(element("p", "", turn.question)), turn.question);
    this.node = log.appendChild(element("div", "turn"));
    this.status = this.node.appendChild(element("p", "status", "Searching the documents"));
    this.status.setAttribute("role", "status");
    this.thought = this.node.appendChild(element("details", "thought"));
    this.thought.hidden = true;
    this.thought.append(element("summary", "", "Reasoning"), element("p"));
    this.answer = this.node.appendChild(element("div", "answer"));
  }

  /** Shows the reasoning: open while there is nothing else to read. */
  think() {
    const { reasoning, text } = this.turn;
    if (!reasoning) return;
    this.thought.hidden = false;
    // Who has opened or closed it since the answer began keeps it so.
    if (!text) this.thought.open = true;
    else if (!this.began) this.thought.open = false;
    this.began = Boolean(text);
    const body = this.thought.lastChild;
    body.textContent = reasoning.trim();
    speak(body, reasoning);
  }

  say(status) {
    this.status.firstChild.data = status;
  }

  /** Shows the text so far, at most once in each frame of the screen. */
  grow() {
    this.frame ??= requestAnimationFrame(() => {
      const near = atEnd();
      this.frame = null;
      this.status.hidden = true;
      this.think();
      render(this.answer, this.turn.text);
      follow(near);
    });
  }

  /** Shows the whole turn. */
  finish() {
    const { turn, node } = this;
    cancelAnimationFrame(this.frame);
    this.status.remove();
    this.think();
    speak(this.answer, turn.text);
    render(this.answer, turn.text);
    connect(this.answer, turn.citations, openSource);
    if (turn.failed) node.append(notice({ message: turn.failed, login: turn.login }));
    if (turn.citations.length) node.append(sources(turn.citations));
    if (turn.trace) node.append(meta(turn));
  }
}

function sources(citations) {
  const list = element("ul", "sources");
  list.setAttribute("aria-label", "Sources");
  for (const citation of citations) {
    const button = element("button");
    button.type = "button";
    button.append(element("b", "", String(citation.number)));
    button.append(place(citation.title, citation));
    speak(button, button.textContent);
    button.addEventListener("click", () => openSource(citation, button));
    list.appendChild(element("li")).append(button);
  }
  return list;
}

function meta(turn) {
  const line = element("p", "meta", `${turn.seconds.toFixed(1)} s`);
  if (turn.first !== null) line.append(`, first word after ${turn.first.toFixed(1)} s`);
  if (turn.confidence != null) line.append(`, ${Math.round(turn.confidence * 100)} % of the samples agree`);
  line.append(" · ");
  const link = line.appendChild(element("a", "", "trace"));
  link.href = `/traces/${turn.trace}`;
  if (navigator.clipboard) {
    line.append(" · ");
    const copy = line.appendChild(element("button", "plain", "copy"));
    copy.type = "button";
    copy.setAttribute("aria-label", "Copy the answer");
    copy.addEventListener("click", async () => {
      await navigator.clipboard.writeText(turn.text);
      copy.textContent = "copied";
      setTimeout(() => (copy.textContent = "copy"), 1500);
    });
  }
  return line;
}
