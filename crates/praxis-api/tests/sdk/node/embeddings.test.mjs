// Vectors of texts. The SDK asks for base64 where it is not told otherwise.

import assert from "node:assert/strict";
import { test } from "node:test";

import { BadRequestError } from "openai";

import { client, connect, EMBEDDER, refused } from "./given.mjs";

const embed = (input, options = {}) => client.embeddings.create({ model: EMBEDDER, input, ...options });

test("base64 and floats are the same unit vectors", async () => {
  const formats = [];
  const watched = connect({
    fetch: (path, init) => {
      formats.push(JSON.parse(init.body).encoding_format);
      return fetch(path, init);
    },
  });
  const texts = ["a red coat", "a cold winter"];
  const packed = await watched.embeddings.create({ model: EMBEDDER, input: texts });
  assert.deepEqual(formats, ["base64"]);
  const plain = await embed(texts, { encoding_format: "float" });
  assert.deepEqual(packed.data.map(({ index }) => index), [0, 1]);
  for (const [n, { embedding }] of packed.data.entries()) {
    assert.equal(embedding.length, 384);
    assert.ok(Math.abs(Math.hypot(...embedding) - 1) < 0.001);
    embedding.forEach((value, i) => assert.ok(Math.abs(value - plain.data[n].embedding[i]) < 1e-6));
  }
  assert.ok(packed.usage.prompt_tokens > 0);
  assert.equal(packed.usage.total_tokens, packed.usage.prompt_tokens);
});

test("one text is a list of one, and near texts are near", async () => {
  const [otter] = (await embed("an otter eats fish")).data;
  const { data } = await embed(["an animal that hunts fish in a river", "the interest rate of a loan"]);
  const near = data.map(({ embedding }) => embedding.reduce((sum, value, i) => sum + value * otter.embedding[i], 0));
  assert.ok(near[0] > near[1] + 0.1, near);
});

test("what cannot be embedded is refused by name", async () => {
  for (const [input, options, param] of [
    [[1, 2, 3], {}, "input"],
    [[], {}, "input"],
    ["a", { dimensions: 100 }, "dimensions"],
    ["a", { encoding_format: "octal" }, "encoding_format"],
  ]) {
    const error = await refused(BadRequestError, () => embed(input, options));
    assert.equal(error.param, param);
  }
});
