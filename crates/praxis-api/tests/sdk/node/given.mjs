// What the tests share: the application's models, key and document, and clients of the server that `run.mjs` started.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { promisify } from "node:util";

import OpenAI from "openai";

import { checkedFetch } from "./openapi.mjs";

export const MODEL = "smollm2-135m-instruct";
export const EMBEDDER = "all-minilm-l6-v2";
export const SPEECH_MODEL = "whisper-base";
export const KEY = "sk-praxis-test";

export const DOCUMENT = `# Studying in Sendai

Anatomy was taught by Fujino Genkuro, a thin man who wore an old coat.
He corrected the lecture notes of Lu Xun in red ink every week.
`;

const { PRAXIS_BIN, PRAXIS_DESCRIPTION, PRAXIS_TEST_APP, PRAXIS_TEST_SPEECH, PRAXIS_URL } = process.env;
const description = PRAXIS_DESCRIPTION ? JSON.parse(readFileSync(PRAXIS_DESCRIPTION, "utf8")) : null;

/** Whether the server has the speech model. */
export const hasSpeech = PRAXIS_TEST_SPEECH === "yes";

/** What fetches, and holds answers to OpenAI's description. */
export const checked = checkedFetch(description);

/** A client; its every answer is held to the description. */
export function connect(options) {
  assert.ok(PRAXIS_URL, "the tests are run by run.mjs");
  return new OpenAI({
    baseURL: `${PRAXIS_URL}/v1`, apiKey: KEY, maxRetries: 0, timeout: 300_000, fetch: checked, ...options,
  });
}

/** The client of most tests. */
export const client = PRAXIS_URL ? connect() : null;

/** What is no part of OpenAI's API, by its path. */
export async function ours(path) {
  const answer = await fetch(`${PRAXIS_URL}${path}`, { headers: { authorization: `Bearer ${KEY}` } });
  return { status: answer.status, body: answer.ok ? await answer.json() : null };
}

/** A client with a new key, made by `praxis keys create NAME OPTION...`; the test is skipped where there is no
 *  application to make it in. */
export async function withKey(t, name, options, connection = {}) {
  if (!PRAXIS_TEST_APP) {
    t.skip("SKIPPED: the application of PRAXIS_URL is not at hand");
    return null;
  }
  const args = ["keys", "create", name, ...options, "--app", PRAXIS_TEST_APP, "--json"];
  const { stdout } = await promisify(execFile)(PRAXIS_BIN, args);
  return connect({ apiKey: JSON.parse(stdout).key, ...connection });
}

export const user = (content) => [{ role: "user", content }];

/** The error of what is asked, of the class that the SDK has for it. */
export async function refused(kind, asking) {
  try {
    await asking();
  } catch (error) {
    if (!(error instanceof kind)) throw error;
    return error;
  }
  return assert.fail(`it was not refused, as ${kind.name}`);
}

/** The first value of `look` that is not null, looked for ten times a second for two minutes. */
export async function eventually(look) {
  for (let tries = 0; tries < 1200; tries += 1) {
    const found = await look();
    if (found !== null) return found;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return assert.fail("it did not happen within two minutes");
}
