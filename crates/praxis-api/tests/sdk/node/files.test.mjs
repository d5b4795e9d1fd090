// Files: sent from all that the SDK takes, read, listed and deleted.

import assert from "node:assert/strict";
import { createReadStream, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { test } from "node:test";

import { APIError, BadRequestError, NotFoundError, toFile } from "openai";

import { client, refused } from "./given.mjs";

const TEXT = "An otter eats fish. 水獭吃鱼。";
const send = (file, options = {}) => client.files.create({ file, purpose: "assistants", ...options });
const named = (name, text = TEXT) => new File([text], name);

test("a file is sent from a stream, a buffer, a blob or a response, and read again", async () => {
  const folder = mkdtempSync(join(tmpdir(), "praxis-file-"));
  const path = join(folder, "otter.md");
  writeFileSync(path, TEXT);
  try {
    for (const [what, file] of [
      ["a stream of the disk", createReadStream(path)],
      ["a stream of pieces", await toFile(Readable.from([Buffer.from(TEXT)]), "otter.md")],
      ["a buffer", await toFile(Buffer.from(TEXT), "otter.md")],
      ["a blob", named("otter.md")],
      ["a response", await toFile(new Response(TEXT), "otter.md")],
    ]) {
      const sent = await send(file);
      assert.deepEqual([sent.filename, sent.bytes], ["otter.md", Buffer.byteLength(TEXT)], what);
      assert.deepEqual(await client.files.retrieve(sent.id), sent);
      assert.equal((await client.files.waitForProcessing(sent.id)).status, "processed");
      assert.equal(await (await client.files.content(sent.id)).text(), TEXT, what);
      const gone = await client.files.delete(sent.id);
      assert.deepEqual([gone.id, gone.deleted], [sent.id, true]);
      await refused(NotFoundError, () => client.files.retrieve(sent.id));
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("the contents of a file are a stream", async () => {
  const { id } = await send(named("long.txt", "otter ".repeat(100_000)));
  const { body } = await client.files.content(id);
  let bytes = 0;
  for await (const piece of body) bytes += piece.length;
  assert.equal(bytes, 600_000);
  await client.files.delete(id);
});

test("files are listed page by page", async () => {
  const sent = [];
  for (let n = 0; n < 5; n += 1) sent.push((await send(named(`水獭-${n}.md`), { purpose: "user_data" })).id);
  const first = await client.files.list({ purpose: "user_data", order: "asc", limit: 2, after: sent[0] });
  assert.deepEqual(first.data.map(({ id }) => id), sent.slice(1, 3));
  assert.ok(first.hasNextPage());
  const seen = [];
  for await (const file of client.files.list({ purpose: "user_data", limit: 2 })) seen.push(file.id);
  assert.deepEqual(seen.slice(0, 5), sent.toReversed());
  for (const id of sent) await client.files.delete(id);
});

test("a file may go by itself", async () => {
  const file = await send(named("a.md"), { expires_after: { anchor: "created_at", seconds: 3600 } });
  assert.equal(file.expires_at, file.created_at + 3600);
  await client.files.delete(file.id);
});

test("what is no file is refused", async () => {
  const error = await refused(BadRequestError, () => send(named("a.md"), { purpose: "fun" }));
  assert.equal(error.param, "purpose");
  const large = await refused(APIError, () => send(named("a.md", "x".repeat(1_200_000))));
  assert.deepEqual([large.status, large.code], [413, "too_large"]);
});
