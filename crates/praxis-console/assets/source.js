// The panel beside the conversation: a cited passage in its surroundings.

import { element, speak } from "./element.js";

const $ = (id) => document.getElementById(id);
const panel = $("source");

// The button that opened the panel; it gets the focus back.
let opener = null;

/** Shows what a citation points to. */
export async function openSource(citation, from) {
  opener?.setAttribute("aria-expanded", "false");
  opener = from;
  from.setAttribute("aria-expanded", "true");
  $("source-title").textContent = citation.title;
  const where = place(citation.uri.replace(/^(\.\.\/)+/, ""), citation);
  $("source-place").replaceChildren(isWeb(citation.uri) ? outward(citation.uri, where) : where);
  $("source-open").href = `/documents/${encodeURIComponent(citation.document)}?start=${citation.start}&end=${citation.end}#passage`;
  const text = $("source-text");
  speak(text, citation.text);
  text.replaceChildren(element("mark", "", flowing(citation.text)));
  panel.hidden = false;
  $("source-title").focus();
  try {
    const response = await fetch(`/praxis/v1/passages/${encodeURIComponent(citation.chunk)}`);
    if (!response.ok) throw new Error(String(response.status));
    const { before, passage, after } = await response.json();
    if (opener !== from) return;
    text.replaceChildren(
      flowing(before.length > 500 ? before.replace(/^[^\s。]*[\s。]/, "… ") : before),
      element("mark", "", flowing(passage.text)),
      flowing(after.length > 500 ? after.replace(/[\s。][^\s。]*$/, " …") : after),
    );
  } catch {
    if (opener === from) {
      text.append(element("p", "notice", "The document has changed since this answer, or cannot be reached."));
    }
  }
  // A few lines before it stay in sight.
  text.scrollTop = text.querySelector("mark").offsetTop - 74;
}

/** Closes the panel; false where it was closed. */
export function closeSource() {
  if (panel.hidden) return false;
  panel.hidden = true;
  opener?.setAttribute("aria-expanded", "false");
  opener?.focus();
  opener = null;
  return true;
}

/** Where a passage stands, in words: its document's `name`, headings, page. */
export function place(name, citation) {
  const headings = citation.headings.filter((h) => h !== citation.title);
  return [name, ...headings].join(" › ") + (citation.page ? `, page ${citation.page}` : "");
}

// Whether a browser may follow it: other addresses could be scripts.
function isWeb(uri) {
  return /^https?:\/\//.test(uri);
}

// A link to the page that a document was read from.
function outward(uri, words) {
  const link = element("a", "", words);
  link.href = uri;
  link.target = "_blank";
  link.rel = "noopener noreferrer";
  return link;
}

// Lines that an editor broke flow anew in the narrow panel; rows of a table do not.
function flowing(text) {
  return text.replace(/^(?!.* \| )(.{60,})\n(?=[^\s\d|*-])/gm, "$1 ");
}

$("source-close").addEventListener("click", closeSource);
