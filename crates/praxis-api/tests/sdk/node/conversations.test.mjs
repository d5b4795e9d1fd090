// Conversations: made, changed and deleted, and carried on by responses.

import assert from "node:assert/strict";
import { test } from "node:test";

import { NotFoundError } from "openai";

import { client, MODEL, refused } from "./given.mjs";

const said = (text) => ({ type: "message", role: "user", content: text });

// A conversation for one test.
async function conversation(t, options) {
  const made = await client.conversations.create(options);
  t.after(() => client.conversations.delete(made.id).catch(() => {}));
  return made.id;
}

async function texts(id, query = {}) {
  const found = [];
  for await (const item of client.conversations.items.list(id, query)) found.push(item.content[0].text);
  return found;
}

test("a conversation is made, changed and deleted", async (t) => {
  const id = await conversation(t, { metadata: { topic: "otters" } });
  const kept = await client.conversations.retrieve(id);
  assert.deepEqual([kept.object, kept.metadata], ["conversation", { topic: "otters" }]);
  const changed = await client.conversations.update(id, { metadata: { topic: "lynxes" } });
  assert.deepEqual(changed.metadata, { topic: "lynxes" });
  assert.equal((await client.conversations.delete(id)).deleted, true);
  await refused(NotFoundError, () => client.conversations.retrieve(id));
});

test("items are added, listed page by page, and taken out", async (t) => {
  const id = await conversation(t, { items: [said("one")] });
  const { data } = await client.conversations.items.create(id, { items: [said("two"), said("three")] });
  assert.deepEqual(data.map(({ content }) => content[0].text), ["two", "three"]);
  assert.deepEqual(await texts(id, { order: "asc", limit: 2 }), ["one", "two", "three"]);
  assert.deepEqual(await texts(id, { limit: 2 }), ["three", "two", "one"], "the newest first");
  const [two] = data;
  const item = await client.conversations.items.retrieve(two.id, { conversation_id: id });
  assert.deepEqual([item.role, item.content[0].text], ["user", "two"]);
  await client.conversations.items.delete(two.id, { conversation_id: id });
  assert.deepEqual(await texts(id, { order: "asc" }), ["one", "three"]);
  await refused(NotFoundError, () => client.conversations.items.retrieve(two.id, { conversation_id: id }));
});

test("responses carry a conversation on", async (t) => {
  const id = await conversation(t, { items: [said("My name is Ada.")] });
  const asked = { model: MODEL, temperature: 0, max_output_tokens: 16, input: "What is my name?" };
  const alone = await client.responses.create(asked);
  const response = await client.responses.create({ ...asked, conversation: id });
  assert.equal(response.conversation.id, id);
  assert.ok(response.usage.input_tokens > alone.usage.input_tokens, "it was told what came before");
  assert.deepEqual(
    await texts(id, { order: "asc" }),
    ["My name is Ada.", "What is my name?", response.output_text],
  );
});

test("what is not there is not found", async () => {
  const asked = { model: MODEL, input: "x", conversation: "conv_none" };
  for (const asking of [
    () => client.conversations.retrieve("conv_none"),
    () => client.conversations.items.create("conv_none", { items: [said("x")] }),
    () => client.responses.create(asked),
  ]) {
    await refused(NotFoundError, asking);
  }
});
