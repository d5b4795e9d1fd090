// Calls of the server, and what is said when one fails.

import { element } from "./element.js";

/** What is said where no connection comes about, or one breaks. */
export const UNREACHABLE = "The server cannot be reached. Is `praxis serve` running?";

/** Posts a body and gives the response, which is good. An error has the server's own words, and its code. */
export function send(path, body, signal, headers = {}) {
  return answered(path, { method: "POST", body, signal, headers });
}

/** Gets what is at an address: the response, which is good. */
export function get(path, signal) {
  return answered(path, { signal });
}

async function answered(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error(UNREACHABLE);
  }
  if (response.status === 401) {
    throw Object.assign(new Error("You are no longer logged in. "), { login: true });
  }
  if (!response.ok) {
    const answer = await json(response);
    const message = answer?.error?.message ?? `The server answered ${response.status}.`;
    throw Object.assign(new Error(message), { code: answer?.error?.code });
  }
  return response;
}

/** Posts a body and gives the JSON that comes back. */
export async function post(path, body, signal, headers) {
  const answer = await json(await send(path, body, signal, headers));
  if (!answer) throw new Error("The answer broke off. Try again.");
  return answer;
}

function json(response) {
  return response.json().catch((error) => {
    if (error.name === "AbortError") throw error;
    return null;
  });
}

/** An error as a part of the page. */
export function notice(error) {
  const node = element("p", "notice", error.message);
  node.setAttribute("role", "alert");
  if (error.login) {
    const anchor = node.appendChild(element("a", "", "Log in again"));
    anchor.href = "/login";
  }
  return node;
}

/** A number with its noun. */
export function count(number, noun) {
  return `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
}
