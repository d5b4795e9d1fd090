// Answers held to schemas, by the SDK's helper for zod.

import assert from "node:assert/strict";
import { test } from "node:test";

import { BadRequestError } from "openai";
import { LengthFinishReasonError } from "openai/error";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";

import { client, MODEL, refused, user } from "./given.mjs";

const Person = z.object({
  name: z.string().max(12),
  age: z.number().int().min(0).max(120),
  kind: z.enum(["friend", "stranger"]),
  home: z.object({ town: z.string().max(12), street: z.string().max(12).nullable() }),
});

const asked = (options = {}) => ({
  model: MODEL, messages: user("Invent a person, as JSON."), max_tokens: 160, seed: 1,
  response_format: zodResponseFormat(Person, "person"), ...options,
});

test("an answer is parsed into what zod describes", async () => {
  const answer = await client.chat.completions.parse(asked());
  const { content, parsed, refusal } = answer.choices[0].message;
  assert.equal(refusal, null);
  assert.deepEqual(Person.parse(JSON.parse(content)), parsed);
  assert.deepEqual(Object.keys(parsed), ["name", "age", "kind", "home"]);
});

test("a streamed answer is parsed when it is done", async () => {
  const stream = client.chat.completions.stream(asked());
  let done;
  stream.on("content.done", ({ parsed }) => { done = parsed; });
  const { parsed } = (await stream.finalChatCompletion()).choices[0].message;
  assert.deepEqual(Person.parse(parsed), parsed);
  assert.deepEqual(done, parsed);
});

test("an answer that was cut off is not taken for one", async () => {
  await refused(LengthFinishReasonError, () => client.chat.completions.parse(asked({ max_tokens: 4 })));
});

test("any JSON object, and one of a few texts", async () => {
  const any = await client.chat.completions.create(
    asked({ response_format: { type: "json_object" }, max_tokens: 60, temperature: 0 }),
  );
  const [{ message, finish_reason }] = any.choices;
  if (finish_reason === "stop") assert.equal(typeof JSON.parse(message.content), "object");
  else assert.ok(message.content.startsWith("{"));
  const choice = ["a friend", "a stranger"];
  const few = await client.chat.completions.create(
    asked({ response_format: undefined, structured_outputs: { choice } }),
  );
  assert.ok(choice.includes(few.choices[0].message.content));
});

test("a schema that cannot be kept is refused with its place", async () => {
  const schema = { properties: { a: { not: { pattern: "x" } } } };
  const format = { type: "json_schema", json_schema: { name: "a", schema } };
  const wrong = asked({ response_format: format });
  const error = await refused(BadRequestError, () => client.chat.completions.create(wrong));
  assert.match(error.message, /\/properties\/a/);
});
