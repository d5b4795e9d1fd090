// An answer's Markdown as elements. The vendored parser gives tokens, never HTML; here each token
// becomes an element of a known kind and all text a text node, so nothing that a model or a document
// writes can become markup. Marks such as [1] become buttons, wherever they stand.

import { lexer } from "./marked.min.js";
import { element } from "./element.js";

const LINKS = ["http:", "https:", "mailto:"];
const ENTITIES = { amp: "&", lt: "<", gt: ">", quot: "\"", apos: "'", nbsp: "\u00a0", "#39": "'" };

// The source of each block that is shown.
const shown = new WeakMap();

/** Shows a text. While it grows, blocks that are finished stay as they are: a selection in them
 *  survives, and long answers stay cheap. */
export function render(target, text) {
  const tokens = lexer(text).filter((token) => !["space", "def"].includes(token.type));
  tokens.forEach((token, index) => {
    const old = target.children[index];
    if (old && shown.get(old) === token.raw) return;
    const fresh = block(token);
    shown.set(fresh, token.raw);
    if (old) old.replaceWith(fresh);
    else target.append(fresh);
  });
  while (target.children.length > tokens.length) target.lastChild.remove();
}

/** Lets the marks of a finished answer open what they cite. */
export function connect(target, citations, open) {
  for (const mark of target.querySelectorAll(".cite")) {
    const citation = citations.find((c) => String(c.number) === mark.textContent);
    if (!citation) continue;
    mark.disabled = false;
    mark.title = citation.title;
    mark.addEventListener("click", () => open(citation, mark));
  }
}

function block(token) {
  switch (token.type) {
    case "heading": return inlines(element(`h${Math.min(token.depth + 2, 6)}`), token.tokens);
    case "code": return code(token);
    case "blockquote": return blocks(element("blockquote"), token.tokens);
    case "list": return list(token);
    case "table": return table(token);
    case "hr": return element("hr");
    case "html": return words(element("p"), token.raw);
    default: return token.tokens ? inlines(element("p"), token.tokens) : words(element("p"), token.raw);
  }
}

function blocks(target, tokens) {
  for (const token of tokens) {
    if (["space", "def", "checkbox"].includes(token.type)) continue;
    // The text of a tight list's item is no paragraph of its own.
    if (token.type === "text") inlines(target, token.tokens ?? [token]);
    else target.append(block(token));
  }
  return target;
}

function list(token) {
  const target = element(token.ordered ? "ol" : "ul");
  if (token.ordered && token.start > 1) target.start = token.start;
  for (const item of token.items) {
    const entry = element("li");
    if (item.task) entry.append(item.checked ? "☑ " : "☐ ");
    target.append(blocks(entry, item.tokens));
  }
  return target;
}

function code(token) {
  const target = element("div", "code");
  const text = element("code", "", token.text);
  const frame = element("pre");
  frame.tabIndex = 0;
  frame.append(text);
  target.append(frame);
  if (navigator.clipboard) {
    const button = element("button", "copy", "Copy");
    button.type = "button";
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(token.text);
      button.textContent = "Copied";
      setTimeout(() => (button.textContent = "Copy"), 1500);
    });
    target.append(button);
  }
  return target;
}

function table(token) {
  const target = element("div", "wide");
  target.tabIndex = 0;
  const grid = target.appendChild(element("table"));
  const row = (parent, cells, kind) => {
    const line = parent.appendChild(element("tr"));
    cells.forEach((cell, column) => {
      line.append(inlines(element(kind, token.align[column] ?? ""), cell.tokens));
    });
  };
  row(grid.appendChild(element("thead")), token.header, "th");
  const body = grid.appendChild(element("tbody"));
  for (const cells of token.rows) row(body, cells, "td");
  return target;
}

function inlines(target, tokens) {
  for (const token of tokens) {
    switch (token.type) {
      case "strong":
      case "em":
      case "del":
        target.append(inlines(element(token.type), token.tokens));
        break;
      case "codespan":
        target.append(element("code", "", token.text));
        break;
      case "br":
        target.append(element("br"));
        break;
      case "escape":
        target.append(token.text);
        break;
      case "link":
        link(target, token);
        break;
      // A picture from elsewhere would tell that host who reads: its words and address are enough.
      case "image":
        link(target, { ...token, tokens: [{ type: "text", raw: token.text || token.href, text: token.text }] });
        break;
      case "html":
        if (/^<br\s*\/?>$/i.test(token.raw)) target.append(element("br"));
        else words(target, token.raw);
        break;
      case "checkbox":
        break;
      default:
        if (token.tokens) inlines(target, token.tokens);
        else words(target, token.raw);
    }
  }
  return target;
}

function link(target, token) {
  const url = /^\[\d+\]$/.test(token.raw) ? null : address(token.href);
  if (!url) {
    if (/^\[\d+\]$/.test(token.raw)) words(target, token.raw);
    else inlines(target, token.tokens);
    return;
  }
  const anchor = element("a");
  anchor.href = url.href;
  anchor.rel = "noopener noreferrer";
  anchor.target = "_blank";
  target.append(inlines(anchor, token.tokens));
}

function address(href) {
  try {
    const url = new URL(href, location.href);
    return LINKS.includes(url.protocol) ? url : null;
  } catch {
    return null;
  }
}

// Text, with marks as buttons. CommonMark does not see that **“…”** is bold before a Chinese
// character, and Chinese answers are full of it.
function words(target, text) {
  for (const piece of text.split(/(\[\d+\]|\*\*[^*\s][^*\n]*\*\*)/)) {
    const number = piece.match(/^\[(\d+)\]$/);
    if (number) {
      const mark = element("button", "cite", number[1]);
      mark.type = "button";
      mark.disabled = true;
      mark.setAttribute("aria-label", `Source ${number[1]}`);
      target.append(mark);
    } else if (/^\*\*.+\*\*$/.test(piece)) {
      target.append(words(element("strong"), piece.slice(2, -2)));
    } else if (piece) {
      target.append(piece.replace(/&(amp|lt|gt|quot|apos|nbsp|#39);/g, (_, name) => ENTITIES[name]));
    }
  }
  return target;
}
