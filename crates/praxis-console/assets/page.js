// What all pages do: the switch between light and dark, times as the reader's clock has them, the
// cited passage in sight, how many calls wait for a person, and nothing left behind after logging out.

import { clock } from "./time.js";
import { recount } from "./waiting.js";

const root = document.documentElement;

document.getElementById("theme").addEventListener("click", () => {
  const dark = root.dataset.theme === "dark"
    || (!root.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
  root.dataset.theme = dark ? "light" : "dark";
  try {
    localStorage.setItem("theme", root.dataset.theme);
  } catch {
    // The choice holds for this page.
  }
});

for (const time of document.querySelectorAll("time")) {
  const at = new Date(time.dateTime);
  if (!Number.isNaN(at.getTime())) time.textContent = clock(at);
}

document.getElementById("passage")?.scrollIntoView({ block: "center" });

document.getElementById("logout")?.addEventListener("submit", () => sessionStorage.clear());

recount();
