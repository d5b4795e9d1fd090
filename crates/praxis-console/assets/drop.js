// Files that are chosen in a dialog or dropped on a part of the page.

/** Hands each file that comes by `input` or onto `zone` to `take`; of several, the first. */
export function receive(zone, input, take) {
  input.addEventListener("change", () => {
    const [file] = input.files;
    if (file) take(file);
    // The same file may be chosen again after it was changed.
    input.value = "";
  });
  // The browser asks at every step over the zone, also over what is inside of it.
  let inside = 0;
  const mark = () => zone.classList.toggle("over", inside > 0);
  const carries = (event) => event.dataTransfer?.types.includes("Files");
  zone.addEventListener("dragenter", (event) => {
    if (!carries(event)) return;
    event.preventDefault();
    inside += 1;
    mark();
  });
  zone.addEventListener("dragover", (event) => carries(event) && event.preventDefault());
  zone.addEventListener("dragleave", (event) => {
    if (!carries(event)) return;
    inside = Math.max(0, inside - 1);
    mark();
  });
  zone.addEventListener("drop", (event) => {
    if (!carries(event)) return;
    event.preventDefault();
    inside = 0;
    mark();
    const [file] = event.dataTransfer.files;
    if (file) take(file);
  });
}
