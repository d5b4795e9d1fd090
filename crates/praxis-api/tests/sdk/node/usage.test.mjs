// Usage and costs: what keys used, as OpenAI reports it.

import assert from "node:assert/strict";
import { test } from "node:test";

import { BadRequestError } from "openai";

import { client, EMBEDDER, eventually, MODEL, refused, user, withKey } from "./given.mjs";

const DAY = 86_400;
const now = () => Math.floor(Date.now() / 1000);

/** A report of today. */
async function report(by, path, more = "") {
  const { object, data } = await by.get(`/organization/${path}?start_time=${now()}${more}`);
  assert.equal(object, "page");
  // A day may have ended meanwhile.
  const bucket = data.at(-1);
  assert.equal(bucket.end_time - bucket.start_time, DAY);
  return bucket.results;
}

/** What a key used, once it is counted. */
const used = (kind, key) => eventually(async () => {
  const results = await report(client, `usage/${kind}`, "&group_by=api_key_id");
  return results.find(({ api_key_id }) => api_key_id === key) ?? null;
});

test("what a key used is reported by what it was for", async (t) => {
  const spender = await withKey(t, "node/spender", []);
  if (!spender) return;
  const asked = { model: MODEL, messages: user("Say hello."), max_tokens: 8 };
  const answer = await spender.chat.completions.create(asked);
  const embedded = await spender.embeddings.create({ model: EMBEDDER, input: "counted" });
  await spender.moderations.create({ input: "How do I renew my passport?" });
  const [chats, vectors, judged] = [
    await used("completions", "node/spender"),
    await used("embeddings", "node/spender"),
    await used("moderations", "node/spender"),
  ];
  for (const { num_model_requests } of [chats, vectors, judged]) assert.equal(num_model_requests, 1);
  const { prompt_tokens, completion_tokens } = answer.usage;
  assert.deepEqual([chats.input_tokens, chats.output_tokens], [prompt_tokens, completion_tokens]);
  assert.equal(vectors.input_tokens, embedded.usage.prompt_tokens);
  assert.ok(judged.input_tokens > 0);
});

test("a key that may not read everything sees its own use alone", async (t) => {
  const own = await withKey(t, "node/own", []);
  if (!own) return;
  await client.embeddings.create({ model: EMBEDDER, input: "another's" });
  await own.embeddings.create({ model: EMBEDDER, input: "its own" });
  await used("embeddings", "node/own");
  const [{ num_model_requests }] = await report(own, "usage/embeddings");
  assert.equal(num_model_requests, 1);
});

test("costs are told in dollars", async () => {
  await client.embeddings.create({ model: EMBEDDER, input: "counted" });
  const { amount } = await eventually(async () => (await report(client, "costs")).at(0) ?? null);
  assert.equal(amount.currency, "usd");
  assert.ok(amount.value >= 0);
});

test("what is wrong is refused by name", async () => {
  for (const [query, param] of [
    ["", "start_time"],
    ["start_time=1&bucket_width=1h", "bucket_width"],
    ["start_time=9&end_time=9", "end_time"],
  ]) {
    const asking = () => client.get(`/organization/usage/completions?${query}`);
    assert.equal((await refused(BadRequestError, asking)).param, param);
  }
});
