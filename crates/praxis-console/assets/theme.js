// Light or dark as the reader last chose, before anything is painted; else as the system has it.
"use strict";

try {
  const chosen = localStorage.getItem("theme");
  if (chosen) document.documentElement.dataset.theme = chosen;
} catch {
  // A browser that keeps nothing follows the system.
}
