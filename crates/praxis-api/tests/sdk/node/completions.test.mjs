// Completions: texts that go on as they began.

import assert from "node:assert/strict";
import { test } from "node:test";

import { BadRequestError, NotFoundError } from "openai";

import { client, MODEL, refused } from "./given.mjs";

const asked = (options = {}) => ({
  model: MODEL, prompt: "One, two, three, four,", temperature: 0, max_tokens: 8, ...options,
});
const ask = (options) => client.completions.create(asked(options));

test("a text goes on, whole and streamed", async () => {
  const whole = await ask();
  const [{ text, finish_reason, index }] = whole.choices;
  assert.deepEqual([whole.object, index], ["text_completion", 0]);
  assert.ok(text.trim());
  assert.ok(["stop", "length"].includes(finish_reason));
  assert.equal(whole.usage.total_tokens, whole.usage.prompt_tokens + whole.usage.completion_tokens);
  const pieces = [];
  let usage = null;
  for await (const chunk of await ask({ stream: true, stream_options: { include_usage: true } })) {
    assert.equal(chunk.object, "text_completion");
    pieces.push(...chunk.choices.map((choice) => choice.text));
    usage = chunk.usage ?? usage;
  }
  assert.ok(pieces.filter(Boolean).length > 1);
  assert.equal(pieces.join(""), text);
  assert.equal(usage.completion_tokens, whole.usage.completion_tokens);
});

test("several prompts have a choice each, in their order", async () => {
  const prompts = ["One, two, three, four,", "Once upon a time there was a"];
  const { choices } = await ask({ prompt: prompts });
  assert.deepEqual(choices.map(({ index }) => index), [0, 1]);
  for (const [n, prompt] of prompts.entries()) {
    assert.equal(choices[n].text, (await ask({ prompt })).choices[0].text);
  }
});

test("length and stop end a text", async () => {
  const [long] = (await ask({ max_tokens: 3 })).choices;
  assert.equal(long.finish_reason, "length");
  const [whole] = (await ask({ max_tokens: 16 })).choices;
  const stop = whole.text.slice(Math.floor(whole.text.length / 2)).slice(0, 3);
  const [cut] = (await ask({ max_tokens: 16, stop })).choices;
  assert.deepEqual([cut.finish_reason, cut.text], ["stop", whole.text.slice(0, whole.text.indexOf(stop))]);
});

test("log probabilities are told token by token", async () => {
  const [{ text, logprobs }] = (await ask({ max_tokens: 3, logprobs: 2 })).choices;
  assert.equal(logprobs.tokens.join(""), text);
  assert.equal(logprobs.token_logprobs.length, logprobs.tokens.length);
  assert.ok(logprobs.token_logprobs.every((logprob) => logprob <= 0));
  for (const likely of logprobs.top_logprobs) assert.ok(Object.keys(likely).length >= 1);
});

test("what is wrong is refused", async () => {
  assert.equal((await refused(BadRequestError, () => ask({ temperature: 9 }))).param, "temperature");
  await refused(NotFoundError, () => ask({ model: "nothing" }));
});
