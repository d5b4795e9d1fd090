// Tools: calls whole and streamed, and the SDK's loop around them. The small model has never seen a tool: what holds
// here holds by the constraint.

import assert from "node:assert/strict";
import { test } from "node:test";

import { BadRequestError } from "openai";
import { zodFunction } from "openai/helpers/zod";
import { z } from "zod";

import { checked, client, connect, MODEL, refused, user } from "./given.mjs";

const City = z.object({ city: z.string().max(20), unit: z.enum(["celsius", "fahrenheit"]) });
const about = { name: "get_weather", description: "The weather of a city.", parameters: City };
const weather = zodFunction(about);

const asked = (options = {}) => ({
  model: MODEL, messages: user("Weather in Oslo?"), max_tokens: 120, temperature: 0, parallel_tool_calls: false,
  tools: [weather], ...options,
});

test("a call is made, and its result is read", async () => {
  const [choice] = (await client.chat.completions.create(asked({ tool_choice: "required" }))).choices;
  assert.deepEqual([choice.finish_reason, choice.message.content], ["tool_calls", null]);
  const [call, ...more] = choice.message.tool_calls;
  assert.deepEqual([call.type, call.function.name, more], ["function", "get_weather", []]);
  City.parse(JSON.parse(call.function.arguments));
  const result = { role: "tool", tool_call_id: call.id, content: "Snow." };
  const messages = [...user("Weather in Oslo?"), choice.message, result];
  const [told] = (await client.chat.completions.create(asked({ messages, tool_choice: "none" }))).choices;
  assert.equal(told.message.tool_calls, undefined);
  assert.ok(told.message.content);
});

test("a streamed call is the same, and the helper parses its arguments", async () => {
  const wanted = { tool_choice: { type: "function", function: { name: "get_weather" } } };
  const whole = (await client.chat.completions.parse(asked(wanted))).choices[0].message.tool_calls[0];
  const stream = client.chat.completions.stream(asked(wanted));
  let pieces = "";
  stream.on("tool_calls.function.arguments.delta", (event) => { pieces += event.arguments_delta; });
  const [choice] = (await stream.finalChatCompletion()).choices;
  const [call] = choice.message.tool_calls;
  assert.equal(call.function.arguments, whole.function.arguments);
  assert.equal(pieces, whole.function.arguments);
  assert.deepEqual(call.function.parsed_arguments, City.parse(JSON.parse(pieces)));
  assert.deepEqual(call.function.parsed_arguments, whole.function.parsed_arguments);
});

// The model would call for ever where it must, and never where it may: so it must until it has a result.
const untilItKnows = (path, init) => {
  const body = JSON.parse(init.body);
  body.tool_choice = body.messages.some(({ role }) => role === "tool") ? "none" : "required";
  return checked(path, { ...init, body: JSON.stringify(body) });
};

for (const stream of [false, true]) {
  test(`the SDK's loop calls what it is given and asks on, ${stream ? "streamed" : "whole"}`, async () => {
    const calls = [];
    const tool = zodFunction({
      ...about,
      function: (given) => {
        calls.push(given);
        return { sky: "snow" };
      },
    });
    const runner = connect({ fetch: untilItKnows }).chat.completions
      .runTools(asked({ tools: [tool], max_tokens: 60, stream }));
    const told = await runner.finalContent();
    assert.ok(told, "it answers in the end");
    assert.equal(calls.length, 1);
    City.parse(calls[0]);
    assert.deepEqual(runner.messages.map(({ role }) => role), ["user", "assistant", "tool", "assistant"]);
    assert.equal(await runner.finalFunctionToolCallResult(), JSON.stringify({ sky: "snow" }));
    assert.equal(runner.allChatCompletions().length, 2);
  });
}

test("what is wrong with tools is refused", async () => {
  const unknown = { tool_choice: { type: "function", function: { name: "no" } } };
  const orphan = { messages: [{ role: "tool", content: "x", tool_call_id: "" }] };
  const ofFunction = { model: "function:answer" };
  for (const [options, said, param] of [
    [unknown, /no tool `no`/], [orphan, /tool_call_id/], [ofFunction, /tools/, "tools"],
  ]) {
    const error = await refused(BadRequestError, () => client.chat.completions.create(asked(options)));
    assert.match(error.message, said);
    if (param) assert.equal(error.param, param);
  }
});
