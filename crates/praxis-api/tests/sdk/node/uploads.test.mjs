// Uploads: a file that is sent in parts.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";

import { APIError, BadRequestError, NotFoundError, toFile } from "openai";

import { client, refused } from "./given.mjs";

const PARTS = ["An otter lives at the river. ", "It eats fish, 水獭吃鱼, ", "and sleeps by day."];
const TEXT = PARTS.join("");
const BYTES = Buffer.byteLength(TEXT);

const begin = (options = {}) => client.uploads.create({
  bytes: BYTES, filename: "otter.md", mime_type: "text/markdown", purpose: "assistants", ...options,
});
const part = async (id, text) => client.uploads.parts.create(id, { data: await toFile(Buffer.from(text), "part") });

test("parts are joined in the order that is asked for", async () => {
  const begun = await begin();
  assert.deepEqual([begun.status, begun.bytes, begun.filename], ["pending", BYTES, "otter.md"]);
  assert.ok(begun.expires_at > begun.created_at);
  // All at once: what counts is the order in the end.
  const sent = await Promise.all(PARTS.toReversed().map((text) => part(begun.id, text)));
  assert.ok(sent.every(({ upload_id }) => upload_id === begun.id));
  const done = await client.uploads.complete(begun.id, {
    part_ids: sent.map(({ id }) => id).toReversed(),
    md5: createHash("md5").update(TEXT).digest("hex"),
  });
  assert.equal(done.status, "completed");
  assert.deepEqual([done.file.filename, done.file.bytes, done.file.purpose], ["otter.md", BYTES, "assistants"]);
  assert.equal(await (await client.files.content(done.file.id)).text(), TEXT);
  await refused(APIError, () => part(begun.id, "more"));
  await client.files.delete(done.file.id);
});

test("an upload is called off", async () => {
  const begun = await begin();
  const { id } = await part(begun.id, TEXT);
  assert.equal((await client.uploads.cancel(begun.id)).status, "cancelled");
  await refused(APIError, () => client.uploads.complete(begun.id, { part_ids: [id] }));
});

test("what is not whole is no file", async () => {
  const begun = await begin();
  const { id } = await part(begun.id, TEXT.slice(0, 9));
  await refused(BadRequestError, () => client.uploads.complete(begun.id, { part_ids: [id] }));
  const other = await begin();
  const whole = await part(other.id, TEXT);
  const wrong = { part_ids: [whole.id], md5: createHash("md5").update("x").digest("hex") };
  await refused(BadRequestError, () => client.uploads.complete(other.id, wrong));
  const strange = { part_ids: ["part_none"] };
  const error = await refused(APIError, () => client.uploads.complete(other.id, strange));
  assert.ok([400, 404].includes(error.status));
});

test("what is wrong is refused by name", async () => {
  assert.equal((await refused(BadRequestError, () => begin({ purpose: "fun" }))).param, "purpose");
  await refused(APIError, () => begin({ bytes: 1_200_000 }));
  await refused(NotFoundError, () => part("upload_none", "x"));
});
