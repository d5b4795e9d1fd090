// A call that waits for a person, as a card: what it does, for whom, with what, the decision on it, and what became of
// it. A card stays where it is when it does not wait any more: nothing else comes under the pointer.

import { notice, post } from "./api.js";
import { element } from "./element.js";
import { ahead, moment } from "./time.js";
import { laidOut, unfolded, written } from "./value.js";

// What an effect means, of a call.
const EFFECTS = {
  read: "it looks at something",
  write: "it changes something",
  external: "what it is given leaves this machine",
  irreversible: "what it does cannot be undone",
};

const MOST_NOTE = 2000;

/** Who calls, in words. */
export function whom({ name, labels }, user) {
  const key = name ?? (labels ? "nobody named" : "the owner of the server");
  return user ? `${key}, for the user ${user}` : key;
}

/** What a function does, in words. */
export function effects(words) {
  const line = element("p", "effects");
  for (const word of words.length ? words : ["read"]) {
    const item = line.appendChild(element("span"));
    item.append(element("span", word === "irreversible" ? "kind grave" : "kind", word), ` ${EFFECTS[word] ?? ""}`);
  }
  return line;
}

/** A link to a trace. */
export function trace(id) {
  const link = element("a", "", id);
  link.href = `/traces/${encodeURIComponent(id)}`;
  return link;
}

/** Names and what they are, in two columns. */
export function facts(pairs) {
  const list = element("dl", "facts");
  for (const [name, ...told] of pairs) {
    list.append(element("dt", "", name));
    list.appendChild(element("dd")).append(...told);
  }
  return list;
}

export class Card {
  /** The card of a pending approval. `reader` is the name of the key of who reads, and `changed` is called after each
   *  decision, made or refused. */
  constructor(approval, reader, changed) {
    this.approval = approval;
    this.changed = changed;
    this.node = element("li", "chunk approval");
    const title = written(this.node.appendChild(element("h3")), approval.function);
    title.id = approval.id;
    this.left = element("span");
    this.node.append(
      effects(approval.effects),
      facts([
        ["because", written(element("span"), approval.reason)],
        ["asked by", written(element("bdi"), whom(approval.caller, approval.user)), ...labels(approval.caller)],
        ["asked", moment(approval.created_ms)],
        ["waits until", moment(approval.expires_ms), this.left],
        ["trace", trace(approval.trace_id)],
        ["digest", element("code", "", approval.digest)],
      ]),
      element("h4", "", "Arguments"),
      laidOut(approval.arguments),
    );
    this.outcome = element("div", "outcome");
    this.outcome.tabIndex = -1;
    this.outcome.setAttribute("role", "status");
    this.area = element("div", "decide");
    const isOwn = reader !== undefined && reader === approval.caller.name;
    if (isOwn) this.area.append(element("p", "quiet", "Your own key asked for this: another key has to decide on it."));
    else this.area.append(...this.controls());
    this.node.append(this.outcome, this.area);
    this.tick();
  }

  /** Whether it waits for a decision. */
  get isWaiting() {
    return this.approval.state === "pending";
  }

  /** Whether something may become of it that this page does not know yet. */
  get isOpen() {
    return ["approved", "consumed"].includes(this.approval.state);
  }

  /** Says anew how much time is left. */
  tick() {
    this.left.textContent = this.isWaiting ? `, ${ahead(this.approval.expires_ms)}` : "";
  }

  controls() {
    const label = element("label", "", "Reason, which the caller can read; it may be empty");
    this.note = label.appendChild(element("input"));
    this.note.maxLength = MOST_NOTE;
    const button = (words, name, decision) => {
      const node = element("button", name, words);
      node.type = "button";
      node.setAttribute("aria-describedby", this.approval.id);
      node.addEventListener("click", () => this.decide(decision, node));
      return node;
    };
    return [label, button("Approve", "primary", "approve"), button("Deny", "refuse", "deny")];
  }

  async decide(decision, button) {
    const controls = [...this.area.querySelectorAll("input, button")];
    const lock = (yes) => controls.forEach((control) => (control.disabled = yes));
    this.area.querySelector(".notice")?.remove();
    lock(true);
    const path = `/praxis/v1/approvals/${encodeURIComponent(this.approval.id)}`;
    const body = JSON.stringify({ decision, note: this.note?.value });
    try {
      this.tell(await post(path, body, undefined, { "content-type": "application/json" }));
      this.outcome.focus();
    } catch (error) {
      this.area.append(notice(error));
      lock(false);
      button.focus();
    }
    this.changed();
  }

  /** Shows where the approval stands now. What was asked before a decision and comes after it says nothing. */
  tell(approval) {
    const before = this.approval;
    if ((approval.decided_ms ?? 0) < (before.decided_ms ?? 0) || approval.state === before.state) return;
    this.approval = approval;
    this.tick();
    this.settle(...OUTCOMES[approval.state](approval), ...given(approval));
    if (approval.state !== "approved") return;
    const back = element("button", "plain", "Take the approval back");
    back.type = "button";
    back.addEventListener("click", () => this.decide("deny", back));
    this.area.append(back);
    this.area.hidden = false;
  }

  /** Says that there is no such approval any more. */
  gone() {
    this.approval = { ...this.approval, state: "expired" };
    this.tick();
    this.settle(said("There is no such approval any more, for this key at least."));
  }

  // Puts words in the place of the controls. Who was there finds the focus on the words.
  settle(...nodes) {
    const wasThere = this.area.contains(document.activeElement);
    this.outcome.replaceChildren(...nodes);
    this.area.replaceChildren();
    this.area.hidden = true;
    this.note = null;
    if (wasThere) this.outcome.focus();
  }
}

function labels({ name, labels: all }) {
  const read = all?.length ? `, with ${all.length === 1 ? "the label" : "the labels"} ${all.join(", ")}` : "";
  return name && !all ? [", which may read everything"] : [read];
}

function said(...parts) {
  const line = element("p");
  line.append(...parts);
  return line;
}

function decided({ decided_by: by, note }) {
  const line = element("p", "quiet");
  line.append("By ", written(element("bdi"), by ?? "somebody"));
  if (note) line.append(": ", written(element("q"), note));
  return line;
}

// What a state means, and what happens next.
const OUTCOMES = {
  approved: (approval) => [
    said(element("strong", "", "Approved, and not made yet."), " It is made once, when ",
      written(element("bdi"), whom(approval.caller, approval.user)), " makes the same call again, until ",
      moment(approval.expires_ms), ": by the same request, in its conversation, or by ",
      element("code", "", "praxis/approved"), " with ", element("code", "", approval.id),
      ". With other arguments it is another call."),
    decided(approval),
  ],
  denied: (approval) => [
    said(element("strong", "", "Denied."), " It is not made. Who makes the same call again before ",
      moment(approval.expires_ms), " is told so; after that it may be asked for anew."),
    decided(approval),
  ],
  consumed: (approval) => [
    said(element("strong", "", "Begun"), " at ", moment(approval.consumed_ms),
      ", and its end is not known yet. It is not begun again by itself. If it stays so, look whether it was made; ",
      element("code", "", `praxis approvals approve ${approval.id} --again`), " lets it run again."),
    decided(approval),
  ],
  done: (approval) => [
    said(element("strong", "", "Made once"), ", at ", moment(approval.ended_ms),
      ". The approval is used up: the same call, made anew, needs another one."),
    decided(approval),
  ],
  failed: (approval) => [
    said(element("strong", "bad", "Begun once, and failed"), " at ", moment(approval.ended_ms), ": ",
      written(element("span"), approval.error ?? ""),
      ". That does not say that nothing happened. The same call, made anew, needs another approval."),
    decided(approval),
  ],
  expired: (approval) => [
    said(element("strong", "", "Run out."), approval.decided_ms
      ? " It was approved, and nobody made the call in time."
      : " Nobody decided in time.", " The same call, made anew, waits for another approval."),
  ],
};

// What the call gave, folded.
function given({ result }) {
  if (result === null || result === undefined) return [];
  const fold = element("details");
  fold.append(element("summary", "", "What it gave"));
  unfolded(fold, () => [laidOut(result)]);
  return [fold];
}
