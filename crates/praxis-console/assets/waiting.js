// How many calls of tools wait for this key's decision, in the navigation. The server is asked while the page is seen,
// and no more once it has said that this key has nothing to do with it.

import { get } from "./api.js";

const EVERY = 20_000;
const badge = document.getElementById("waiting");
let isOver = !badge;
let timer = null;

/** Asks now, and from then on now and then. */
export async function recount() {
  clearTimeout(timer);
  if (isOver || document.hidden) return;
  try {
    const { count } = await (await get("/praxis/v1/approvals/waiting")).json();
    badge.firstElementChild.textContent = count.toLocaleString("en");
    badge.hidden = !count;
  } catch (error) {
    // A server that is not reached may be reached the next time.
    isOver = Boolean(error.login) || error.code === "forbidden";
    badge.hidden = true;
  }
  clearTimeout(timer);
  if (!isOver) timer = setTimeout(recount, EVERY);
}

document.addEventListener("visibilitychange", recount);
