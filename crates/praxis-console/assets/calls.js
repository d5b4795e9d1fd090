// The log of calls of tools: the newest first, by tool and outcome, page by page, and what comes while it is read.

import { get } from "./api.js";
import { effects, facts, trace, whom } from "./approval.js";
import { element } from "./element.js";
import { exact } from "./exact.js";
import { moment } from "./time.js";
import { laidOut, unfolded, written } from "./value.js";

// Calls of a page, the most that are added at a time, and the most that are kept in sight.
const PAGE = 20;
const MOST_NEW = 100;
const MOST = 500;

// How an outcome is marked: a sign, and whether it is good, bad or neither.
const SIGNS = { done: ["✓", "good"], repeated: ["✓", "good"], began: ["▸", ""], waits: ["…", "bad"] };

export class Log {
  /** The log in the elements of a page, each by its name; `met` is told of each function that is seen. */
  constructor(elements, met) {
    Object.assign(this, elements);
    this.met = met;
    // Which page was asked for last: an earlier one that comes after it is dropped.
    this.turn = 0;
    // Numbers of the newest and the oldest call that are shown; none before the first page.
    this.newest = null;
    this.oldest = null;
  }

  /** The first page, by what is chosen. */
  async load() {
    const mine = ++this.turn;
    const page = await this.asked({ limit: PAGE });
    if (mine !== this.turn) return;
    this.calls.replaceChildren(...page.data.map((call) => this.row(call)));
    this.newest = page.data[0]?.number ?? 0;
    this.end(page);
    const isChosen = this.tool.value.trim() || this.outcome.value;
    const empty = isChosen ? "No call is so." : "No tool was called yet.";
    this.found.textContent = page.data.length ? "" : empty;
  }

  /** What was added since. */
  async refresh() {
    if (this.newest === null) return this.load();
    const [mine, after] = [this.turn, this.newest];
    const page = await this.asked({ limit: MOST_NEW, order: "asc", after });
    // Another page may have come meanwhile, or the same news.
    if (mine !== this.turn || after !== this.newest || !page.data.length) return;
    this.newest = page.last;
    this.calls.prepend(...page.data.map((call) => this.row(call)).reverse());
    this.found.textContent = "";
    this.oldest ??= page.data[0].number;
    while (this.calls.children.length > MOST) {
      this.calls.lastElementChild.remove();
      this.oldest = Number(this.calls.lastElementChild.dataset.number);
      this.older.hidden = false;
    }
  }

  /** The next page of older ones. */
  async more() {
    const mine = ++this.turn;
    const page = await this.asked({ limit: PAGE, after: this.oldest });
    if (mine !== this.turn) return;
    const rows = page.data.map((call) => this.row(call));
    this.calls.append(...rows);
    this.end(page);
    if (!rows.length) return;
    rows[0].tabIndex = -1;
    rows[0].focus();
  }

  end(page) {
    this.oldest = page.last;
    this.older.hidden = !page.has_more;
  }

  async asked(page) {
    const query = new URLSearchParams(page);
    if (this.tool.value.trim()) query.set("tool", this.tool.value.trim());
    if (this.outcome.value) query.set("outcome", this.outcome.value);
    return exact(await get(`/praxis/v1/audit?${query}`));
  }

  row(call) {
    this.met(call.function);
    const node = element("li");
    node.dataset.number = call.number;
    const [sign, tone] = SIGNS[call.outcome] ?? ["!", "bad"];
    const state = node.appendChild(element("span", `state ${tone}`, sign));
    state.setAttribute("aria-hidden", "true");
    const told = node.appendChild(element("div"));
    const line = told.appendChild(element("p"));
    line.append(written(element("strong"), call.function), " ", element("span", tone, call.outcome), " ");
    const when = line.appendChild(element("span", "quiet"));
    when.append(moment(call.at_ms), " · ", written(element("bdi"), whom(call.caller, call.user)));
    told.append(written(element("p", "quiet"), call.decision));
    if (call.message) told.append(written(element("p", "quiet"), call.message));
    const fold = told.appendChild(element("details"));
    fold.append(element("summary", "", "Arguments and trace"));
    unfolded(fold, () => [laidOut(call.arguments), effects(call.effects), facts([
      ...(call.tainted_by ? [["read before", written(element("span"), call.tainted_by)]] : []),
      ...(call.approval ? [["approval", element("code", "", call.approval)]] : []),
      ["trace", trace(call.trace_id)],
      ["digest", element("code", "", call.digest)],
    ])]);
    return node;
  }
}
