// Batches: requests in a file, answered in a file.

import assert from "node:assert/strict";
import { test } from "node:test";

import { APIError, BadRequestError } from "openai";

import { client, EMBEDDER, eventually, MODEL, refused, user } from "./given.mjs";

const ENDED = ["completed", "failed", "expired", "cancelled"];
const CHAT = "/v1/chat/completions";

const chat = (custom_id, body = {}) => ({
  custom_id, method: "POST", url: CHAT,
  body: { model: MODEL, messages: user("Name a colour."), temperature: 0, max_tokens: 4, ...body },
});
const jsonl = (requests) => requests.map((request) => JSON.stringify(request)).join("\n");

async function send(text) {
  const file = new File([text], "requests.jsonl");
  return (await client.files.create({ file, purpose: "batch" })).id;
}

async function begin(text, endpoint = CHAT, options = {}) {
  const input_file_id = await send(text);
  return client.batches.create({ input_file_id, endpoint, completion_window: "24h", ...options });
}

const ended = ({ id }) => eventually(async () => {
  const batch = await client.batches.retrieve(id);
  return ENDED.includes(batch.status) ? batch : null;
});

async function lines(id) {
  const text = await (await client.files.content(id)).text();
  return text.trim().split("\n").map((line) => JSON.parse(line));
}

test("each request is answered, and one that is wrong fails alone", async () => {
  const requests = [chat("one"), chat("two"), chat("wrong", { temperature: 9 })];
  const begun = await begin(jsonl(requests), CHAT, { metadata: { made: "by a test" } });
  assert.deepEqual([begun.object, begun.endpoint, begun.metadata], ["batch", CHAT, { made: "by a test" }]);
  const done = await ended(begun);
  assert.deepEqual([done.status, done.request_counts], ["completed", { total: 3, completed: 2, failed: 1 }]);
  const answers = await lines(done.output_file_id);
  assert.deepEqual(answers.map(({ custom_id }) => custom_id).toSorted(), ["one", "two"]);
  const asked = await client.chat.completions.create(requests[0].body);
  for (const { error, response } of answers) {
    assert.deepEqual([error, response.status_code], [null, 200]);
    assert.equal(response.body.choices[0].message.content, asked.choices[0].message.content);
  }
  const [wrong] = await lines(done.error_file_id);
  assert.equal(wrong.custom_id, "wrong");
  assert.ok(wrong.error || wrong.response.status_code === 400);
});

test("texts are embedded in a batch", async () => {
  const request = {
    custom_id: "a", method: "POST", url: "/v1/embeddings", body: { model: EMBEDDER, input: "an otter" },
  };
  const done = await ended(await begin(jsonl([request]), "/v1/embeddings"));
  const [{ response }] = await lines(done.output_file_id);
  assert.equal(response.body.data[0].embedding.length, 384);
});

test("a file that holds no requests fails, and says where", async () => {
  for (const text of ["not JSON", jsonl([chat("same"), chat("same")]), jsonl([{ ...chat("a"), url: "/v1/files" }])]) {
    const failed = await ended(await begin(text));
    assert.equal(failed.status, "failed", text);
    const [{ message, line }] = failed.errors.data;
    assert.ok(message && line >= 1, text);
  }
});

test("a batch is called off, and listed", async () => {
  const long = { messages: user("Tell a long story."), max_tokens: 400 };
  const begun = await begin(jsonl(Array.from({ length: 40 }, (_, n) => chat(`${n}`, long))));
  await client.batches.cancel(begun.id);
  const off = await ended(begun);
  assert.equal(off.status, "cancelled");
  assert.ok(off.request_counts.completed < 40);
  const listed = [];
  for await (const { id } of client.batches.list({ limit: 2 })) listed.push(id);
  assert.equal(listed[0], begun.id, "the newest first");
});

test("what is wrong is refused", async () => {
  assert.equal((await refused(BadRequestError, () => begin(jsonl([chat("a")]), "/v1/files"))).param, "endpoint");
  const none = { input_file_id: "file-none", endpoint: CHAT, completion_window: "24h" };
  const error = await refused(APIError, () => client.batches.create(none));
  assert.ok([400, 404].includes(error.status));
});
