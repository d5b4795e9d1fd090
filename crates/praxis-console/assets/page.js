// What all pages do: the switch between light and dark, times as the reader's clock has them, the
// cited passage in sight, and nothing left behind after logging out.

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

const two = (number) => String(number).padStart(2, "0");
for (const time of document.querySelectorAll("time")) {
  const at = new Date(time.dateTime);
  if (Number.isNaN(at.getTime())) continue;
  time.textContent = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} `
    + [at.getHours(), at.getMinutes(), at.getSeconds()].map(two).join(":");
}

document.getElementById("passage")?.scrollIntoView({ block: "center" });

document.getElementById("logout")?.addEventListener("submit", () => sessionStorage.clear());
