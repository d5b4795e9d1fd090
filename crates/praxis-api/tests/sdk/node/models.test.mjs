// Models and functions, which clients call alike.

import assert from "node:assert/strict";
import { test } from "node:test";

import { NotFoundError } from "openai";

import { client, EMBEDDER, MODEL, refused } from "./given.mjs";

test("functions and models are listed", async () => {
  const names = [];
  for await (const model of client.models.list()) names.push(model.id);
  for (const name of ["function:answer", MODEL, EMBEDDER]) {
    assert.ok(names.includes(name), name);
    assert.equal((await client.models.retrieve(name)).id, name);
  }
});

test("an unknown model is not found", async () => {
  const error = await refused(NotFoundError, () => client.models.retrieve("nothing"));
  assert.equal(error.code, "not_found");
});
