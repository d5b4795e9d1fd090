// Points in time as the reader's clock has them.

import { count } from "./api.js";
import { element } from "./element.js";

const two = (number) => String(number).padStart(2, "0");

/** A date with the time of day. */
export function clock(at) {
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} `
    + [at.getHours(), at.getMinutes(), at.getSeconds()].map(two).join(":");
}

/** Milliseconds since 1970 as an element. */
export function moment(ms) {
  const at = new Date(ms);
  const node = element("time", "", clock(at));
  node.dateTime = at.toISOString();
  return node;
}

/** How far ahead a point in time is, in words. */
export function ahead(ms) {
  const minutes = Math.floor((ms - Date.now()) / 60_000);
  if (minutes < 1) return "in less than a minute";
  if (minutes < 120) return `in ${count(minutes, "minute")}`;
  if (minutes < 48 * 60) return `in ${count(Math.floor(minutes / 60), "hour")}`;
  return `in ${count(Math.floor(minutes / (24 * 60)), "day")}`;
}
