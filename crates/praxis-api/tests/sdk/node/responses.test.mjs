// Responses: whole, streamed, parsed, with tools, kept and continued.

import assert from "node:assert/strict";
import { test } from "node:test";

import { APIError, BadRequestError, NotFoundError } from "openai";
import { zodResponsesFunction, zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";

import { client, eventually, MODEL, refused } from "./given.mjs";

const asked = (options = {}) => ({
  model: MODEL, input: "Name a colour.", temperature: 0, max_output_tokens: 16, ...options,
});
const ask = (options) => client.responses.create(asked(options));
const STORY = { input: "Tell a long story.", max_output_tokens: 2000 };

const City = z.object({ city: z.string().max(20), unit: z.enum(["celsius", "fahrenheit"]) });
const weather = zodResponsesFunction({
  name: "get_weather", description: "The weather of a city.", parameters: City,
});

test("a whole response has text, a message and usage", async () => {
  const response = await ask();
  assert.deepEqual([response.object, response.error], ["response", null]);
  assert.ok(["completed", "incomplete"].includes(response.status));
  const [message] = response.output;
  assert.deepEqual([message.type, message.role], ["message", "assistant"]);
  assert.deepEqual(message.content.map(({ type }) => type), ["output_text"]);
  assert.ok(response.output_text.trim());
  const { input_tokens, output_tokens, total_tokens } = response.usage;
  assert.equal(total_tokens, input_tokens + output_tokens);
  assert.ok(output_tokens > 0 && output_tokens <= 16);
});

test("instructions and earlier messages are part of what is asked", async () => {
  const plain = await ask();
  const longer = await ask({
    instructions: "You are a painter, and you answer in one word.",
    input: [
      { role: "user", content: "Good morning." },
      { role: "assistant", content: "Good morning to you." },
      { role: "user", content: [{ type: "input_text", text: "Name a colour." }] },
    ],
  });
  assert.ok(longer.usage.input_tokens > plain.usage.input_tokens);
  assert.match(longer.instructions, /painter/);
});

test("a stream is its events in order, and the same text", async () => {
  const events = [];
  for await (const event of await ask({ stream: true })) events.push(event);
  assert.deepEqual(events.map(({ sequence_number }) => sequence_number), [...events.keys()]);
  const types = events.map(({ type }) => type);
  assert.equal(types[0], "response.created");
  assert.match(types.at(-1), /^response\.(completed|incomplete)$/);
  const order = [
    "response.output_item.added", "response.content_part.added", "response.output_text.delta",
    "response.output_text.done", "response.content_part.done", "response.output_item.done",
  ].map((type) => types.indexOf(type));
  assert.deepEqual(order, order.toSorted((a, b) => a - b));
  assert.ok(!order.includes(-1), `${types}`);
  const text = events.filter(({ type }) => type === "response.output_text.delta").map(({ delta }) => delta);
  assert.ok(text.length > 1);
  assert.equal(text.join(""), events.find(({ type }) => type === "response.output_text.done").text);
  assert.equal(text.join(""), (await ask()).output_text);
});

test("the helper for streams makes the response of its events", async () => {
  const stream = client.responses.stream(asked());
  let told = "";
  stream.on("response.output_text.delta", ({ delta, snapshot }) => {
    told += delta;
    assert.equal(snapshot, told);
  });
  const response = await stream.finalResponse();
  assert.equal(response.output_text, told);
  assert.equal(told, (await ask()).output_text);
});

test("a response that was cut off says so", async () => {
  const cut = await ask({ ...STORY, max_output_tokens: 16 });
  assert.deepEqual([cut.status, cut.incomplete_details.reason], ["incomplete", "max_output_tokens"]);
  assert.equal(cut.usage.output_tokens, 16);
});

test("a response is parsed into what zod describes", async () => {
  const Person = z.object({ name: z.string().max(12), kind: z.enum(["friend", "stranger"]) });
  const options = asked({
    input: "Invent a person, as JSON.", max_output_tokens: 100, text: { format: zodTextFormat(Person, "person") },
  });
  const whole = await client.responses.parse(options);
  assert.deepEqual(Person.parse(JSON.parse(whole.output_text)), whole.output_parsed);
  const streamed = await client.responses.stream(options).finalResponse();
  assert.deepEqual(streamed.output_parsed, whole.output_parsed);
});

test("log probabilities come with the text", async () => {
  const response = await ask({ include: ["message.output_text.logprobs"], top_logprobs: 2 });
  const [{ text, logprobs }] = response.output[0].content;
  assert.equal(logprobs.map(({ token }) => token).join(""), text);
  for (const { logprob, top_logprobs } of logprobs) {
    assert.ok(logprob <= 0);
    assert.equal(top_logprobs.length, 2);
  }
});

test("a function is called, and its result is read", async () => {
  const tools = { tools: [weather], max_output_tokens: 100, parallel_tool_calls: false };
  const options = asked({ ...tools, input: "Weather in Oslo?", tool_choice: "required" });
  const called = await client.responses.parse(options);
  const [call] = called.output.filter(({ type }) => type === "function_call");
  assert.equal(call.name, "get_weather");
  assert.deepEqual(City.parse(JSON.parse(call.arguments)), call.parsed_arguments);
  const result = { type: "function_call_output", call_id: call.call_id, output: "Snow." };
  const told = await ask({ ...tools, input: [result], previous_response_id: called.id, tool_choice: "none" });
  assert.ok(told.output_text);
  assert.equal(told.previous_response_id, called.id);
  let pieces = "";
  const stream = client.responses.stream(options);
  stream.on("response.function_call_arguments.delta", ({ delta }) => { pieces += delta; });
  const streamed = await stream.finalResponse();
  assert.equal(pieces, call.arguments);
  assert.deepEqual(streamed.output.map(({ type }) => type), called.output.map(({ type }) => type));
});

test("a response is kept, continued and deleted", async () => {
  const first = await ask({ input: "My name is Ada.", metadata: { made: "by a test" } });
  const kept = await client.responses.retrieve(first.id);
  assert.deepEqual([kept.output_text, kept.metadata], [first.output_text, { made: "by a test" }]);
  const second = await ask({ input: "What is my name?", previous_response_id: first.id });
  assert.ok(second.usage.input_tokens > first.usage.input_tokens, "it was told what came before");
  const items = [];
  for await (const item of client.responses.inputItems.list(first.id)) items.push(item);
  assert.deepEqual(items.map(({ content }) => content[0].text), ["My name is Ada."]);
  await client.responses.delete(first.id);
  await refused(NotFoundError, () => client.responses.retrieve(first.id));
  await client.responses.delete(second.id);
});

test("a response that is not to be stored is not kept", async () => {
  const { id } = await ask({ store: false });
  await refused(NotFoundError, () => client.responses.retrieve(id));
});

test("a response in the background is looked at until it is done, or called off", async () => {
  const begun = await ask({ background: true });
  assert.ok(["queued", "in_progress", "completed", "incomplete"].includes(begun.status));
  const done = await eventually(async () => {
    const seen = await client.responses.retrieve(begun.id);
    return ["queued", "in_progress"].includes(seen.status) ? null : seen;
  });
  assert.ok(done.output_text);
  const long = await ask({ ...STORY, background: true });
  assert.equal((await client.responses.cancel(long.id)).status, "cancelled");
  assert.equal((await client.responses.retrieve(long.id)).status, "cancelled");
});

test("what is wrong is refused", async () => {
  for (const [options, param] of [
    [{ input: 3 }, "input"],
    [{ temperature: 9 }, "temperature"],
    [{ top_logprobs: 200 }, "top_logprobs"],
  ]) {
    assert.equal((await refused(BadRequestError, () => ask(options))).param, param);
  }
  const unknown = await refused(APIError, () => ask({ previous_response_id: "resp_none" }));
  assert.ok([400, 404].includes(unknown.status));
  await refused(NotFoundError, () => ask({ model: "nothing" }));
  await refused(NotFoundError, () => client.responses.retrieve("resp_none"));
});
