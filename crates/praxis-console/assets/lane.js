// Shares as bars, drawn for the eye: what they say stands beside them in words.

const NAMESPACE = "http://www.w3.org/2000/svg";

// The most bars of a strip; more are thinner than a point.
const MOST = 400;

function drawn(name, attributes) {
  const node = document.createElementNS(NAMESPACE, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
}

const within = (share) => Math.min(1, Math.max(0, share));

/** A bar that is filled so far. */
export function bar(share) {
  const lane = drawn("svg", { class: "lane thin", "aria-hidden": "true" });
  lane.append(drawn("rect", { class: "ground", width: "100%", height: "100%", rx: 2 }));
  lane.append(drawn("rect", { width: `${100 * within(share)}%`, height: "100%", rx: 2 }));
  return lane;
}

/** Bars beside each other, one for each share; of very many, the largest of neighbours. */
export function strip(shares) {
  const each = Math.ceil(shares.length / MOST);
  const bars = [];
  for (let at = 0; at < shares.length; at += each) bars.push(within(Math.max(...shares.slice(at, at + each))));
  const image = drawn("svg", {
    class: "strip", "aria-hidden": "true", viewBox: `0 0 ${bars.length} 1`, preserveAspectRatio: "none",
  });
  bars.forEach((share, at) => {
    image.append(drawn("rect", { x: at + 0.1, width: 0.8, y: 1 - share, height: share }));
  });
  return image;
}
