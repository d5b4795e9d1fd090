// Vector stores: documents are thrown in, and asked in plain words.

import assert from "node:assert/strict";
import { test } from "node:test";

import { BadRequestError, NotFoundError } from "openai";

import { client, refused } from "./given.mjs";

const TEXTS = {
  "otter.md": "# The otter\n\nAn otter lives at the river and eats fish.",
  "lynx.md": "# The lynx\n\nA lynx lives in the forest and hunts hares.",
  "library.txt": "The library is closed on Mondays.",
};
const OFTEN = { pollIntervalMs: 100 };
const named = (name, text) => new File([text], name);
const send = (name, text) => client.files.create({ file: named(name, text), purpose: "assistants" });

// A vector store for one test.
async function store(t, options = {}) {
  const made = await client.vectorStores.create({ name: "animals", ...options });
  t.after(() => client.vectorStores.delete(made.id));
  return made.id;
}

test("documents are sent together, waited for, and found", async (t) => {
  const id = await store(t);
  const files = Object.entries(TEXTS).map(([name, text]) => named(name, text));
  const batch = await client.vectorStores.fileBatches.uploadAndPoll(id, { files }, OFTEN);
  assert.deepEqual([batch.status, batch.file_counts.completed], ["completed", 3]);
  const filled = await client.vectorStores.retrieve(id);
  assert.deepEqual([filled.status, filled.file_counts.total], ["completed", 3]);
  assert.ok(filled.usage_bytes > 0);
  for (const [query, name] of [
    ["What does an otter eat?", "otter.md"],
    ["Who hunts hares?", "lynx.md"],
    ["When is the library closed?", "library.txt"],
  ]) {
    const { data } = await client.vectorStores.search(id, { query, max_num_results: 2 });
    assert.equal(data[0].filename, name, query);
    assert.ok(data[0].score >= 0 && data[0].score <= 1);
    assert.equal(data[0].content[0].type, "text");
  }
  const several = await client.vectorStores.search(id, { query: ["otter", "lynx"] });
  assert.deepEqual(several.data.slice(0, 2).map(({ filename }) => filename).toSorted(), ["lynx.md", "otter.md"]);
  const listed = await client.vectorStores.fileBatches.listFiles(batch.id, { vector_store_id: id });
  assert.deepEqual(listed.data.map(({ status }) => status), ["completed", "completed", "completed"]);
});

test("a file is uploaded and waited for, changed and taken out", async (t) => {
  const id = await store(t);
  const uploaded = await client.vectorStores.files.uploadAndPoll(id, named("otter.md", TEXTS["otter.md"]), OFTEN);
  assert.deepEqual([uploaded.status, uploaded.last_error], ["completed", null]);
  const years = async (filters) => {
    const { data } = await client.vectorStores.search(id, { query: "otter", filters });
    return data.map(({ attributes }) => attributes.year);
  };
  await client.vectorStores.files.update(uploaded.id, { vector_store_id: id, attributes: { year: 2020, final: true } });
  assert.deepEqual(await years({ type: "gte", key: "year", value: 2020 }), [2020]);
  assert.deepEqual(await years({ type: "gt", key: "year", value: 2020 }), []);
  const [part] = (await client.vectorStores.files.content(uploaded.id, { vector_store_id: id })).data;
  assert.match(part.text, /eats fish/);
  const { data } = await client.vectorStores.files.list(id, { filter: "completed" });
  assert.deepEqual(data.map((file) => file.id), [uploaded.id]);
  await client.vectorStores.files.delete(uploaded.id, { vector_store_id: id });
  await refused(NotFoundError, () => client.vectorStores.files.retrieve(uploaded.id, { vector_store_id: id }));
});

test("a file that cannot be read says why", async (t) => {
  const id = await store(t);
  for (const [name, text, code] of [["a.rtf", "{\\rtf1 x}", "unsupported_file"], ["b.md", " ", "invalid_file"]]) {
    const { id: file_id } = await send(name, text);
    const added = await client.vectorStores.files.createAndPoll(id, { file_id }, OFTEN);
    assert.deepEqual([added.status, added.last_error.code], ["failed", code]);
    assert.ok(added.last_error.message.includes(name));
  }
});

test("a vector store is changed, listed and deleted", async (t) => {
  const id = await store(t, { metadata: { made: "by a test" } });
  const changed = await client.vectorStores.update(id, {
    name: "beasts", expires_after: { anchor: "last_active_at", days: 3 },
  });
  assert.deepEqual([changed.name, changed.metadata], ["beasts", { made: "by a test" }]);
  assert.equal(changed.expires_at, changed.last_active_at + 3 * 86_400);
  const { id: file } = await send("adder.md", "An adder.");
  const other = await client.vectorStores.create({ file_ids: [file] });
  const listed = [];
  for await (const { id } of client.vectorStores.list({ limit: 1 })) listed.push(id);
  assert.deepEqual(listed.slice(0, 2), [other.id, id]);
  assert.equal((await client.vectorStores.delete(other.id)).deleted, true);
  await refused(NotFoundError, () => client.vectorStores.retrieve(other.id));
  await refused(NotFoundError, () => client.vectorStores.search(other.id, { query: "adder" }));
});

test("what is wrong is refused by name", async (t) => {
  const id = await store(t);
  for (const [asking, param] of [
    [() => client.vectorStores.search(id, { query: "x", max_num_results: 51 }), "max_num_results"],
    [() => client.vectorStores.search(id, { query: [] }), "query"],
    [() => client.vectorStores.list({ limit: 1000 }), "limit"],
    [() => client.vectorStores.create({ expires_after: { anchor: "last_active_at", days: 0 } }), "expires_after.days"],
  ]) {
    assert.equal((await refused(BadRequestError, asking)).param, param);
  }
  for (const asking of [
    () => client.vectorStores.files.create(id, { file_id: "file-none" }),
    () => client.vectorStores.fileBatches.retrieve("vsfb_none", { vector_store_id: id }),
  ]) {
    await refused(NotFoundError, asking);
  }
});
