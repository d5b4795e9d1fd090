// The conversation of this tab, so that it is still there after a look at a document. It ends with
// the tab, and is bounded: what is oldest is forgotten first.

const KEY = "conversation";
const MOST_TURNS = 30;
const MOST_CHARACTERS = 1_000_000;

// An address may serve another application tomorrow; its conversations are its own.
const app = () => document.querySelector(".brand span").textContent;

/** The turns that were kept, oldest first. */
export function recall() {
  try {
    const kept = JSON.parse(sessionStorage.getItem(KEY));
    return kept?.app === app() ? kept.turns : [];
  } catch {
    return [];
  }
}

/** Keeps the turns, as many of the latest as there is room for. */
export function keep(turns) {
  for (let kept = turns.slice(-MOST_TURNS); ; kept = kept.slice(1)) {
    const text = JSON.stringify({ app: app(), turns: kept });
    if (text.length > MOST_CHARACTERS && kept.length) continue;
    try {
      sessionStorage.setItem(KEY, text);
      return;
    } catch {
      if (!kept.length) return;
    }
  }
}
