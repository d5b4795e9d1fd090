// JSON as it is written: a number that a browser would round keeps its digits, so that who decides on it sees what is
// meant.

/** A number by its digits. */
export class Digits {
  constructor(text) {
    this.text = text;
  }
}

/** Reads JSON; a number that is written otherwise than a browser writes it is given as `Digits`. */
export function parse(text) {
  return JSON.parse(text, (_, value, written) => {
    if (typeof value !== "number" || written?.source === String(value)) return value;
    if (written?.source !== undefined) return new Digits(written.source);
    // A browser that does not tell what is written: where digits may be lost, it is said.
    return Number.isSafeInteger(value) || !Number.isInteger(value) ? value : new Digits(`about ${value}`);
  });
}

/** Reads the JSON of a response so. */
export async function exact(response) {
  try {
    return parse(await response.text());
  } catch {
    throw new Error("The answer broke off. Try again.");
  }
}
