// Moderations: what texts are, by OpenAI's categories.

import assert from "node:assert/strict";
import { test } from "node:test";

import { BadRequestError } from "openai";

import { client, refused } from "./given.mjs";

const HARMLESS = "The otter lives at the river and eats fish.";
const THREAT = "I will kill you tonight. I know where you live, and I will stab you to death.";

test("a threat is flagged, and a harmless text is not", async () => {
  const { id, model, results } = await client.moderations.create({ input: [HARMLESS, THREAT] });
  assert.ok(id && model);
  assert.deepEqual(results.map(({ flagged }) => flagged), [false, true]);
  const [harmless, threat] = results;
  assert.ok(Object.values(harmless.categories).every((holds) => holds === false));
  assert.ok(threat.categories.violence || threat.categories["harassment/threatening"]);
  for (const { categories, category_scores } of results) {
    assert.deepEqual(Object.keys(category_scores).toSorted(), Object.keys(categories).toSorted());
    assert.ok(Object.values(category_scores).every((score) => score >= 0 && score <= 1));
  }
});

test("a text alone and a part of type text are the same", async () => {
  const [alone] = (await client.moderations.create({ input: THREAT })).results;
  const [part] = (await client.moderations.create({ input: [{ type: "text", text: THREAT }] })).results;
  assert.deepEqual(part.category_scores, alone.category_scores);
  assert.equal(part.category_applied_input_types.violence[0], "text");
});

test("what is no text is refused", async () => {
  for (const input of [3, []]) {
    assert.equal((await refused(BadRequestError, () => client.moderations.create({ input }))).param, "input");
  }
});
