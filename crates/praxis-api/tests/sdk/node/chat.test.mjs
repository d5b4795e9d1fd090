// Chat completions: whole, streamed, by the SDK's helper for streams, and broken off.

import assert from "node:assert/strict";
import { test } from "node:test";

import { APIUserAbortError } from "openai";

import { client, eventually, MODEL, ours, refused, user } from "./given.mjs";

const asked = (options = {}) => ({
  model: MODEL, messages: user("Name a colour."), temperature: 0, max_tokens: 8, ...options,
});
const ask = (options) => client.chat.completions.create(asked(options));

async function all(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

test("a whole answer has text, reason and usage", async () => {
  const answer = await ask();
  const [choice] = answer.choices;
  assert.deepEqual([answer.object, choice.message.role], ["chat.completion", "assistant"]);
  assert.ok(choice.message.content.trim());
  assert.ok(["stop", "length"].includes(choice.finish_reason));
  const { prompt_tokens, completion_tokens, total_tokens } = answer.usage;
  assert.equal(total_tokens, prompt_tokens + completion_tokens);
  assert.ok(completion_tokens > 0 && completion_tokens <= 8);
});

test("a streamed answer is the same text, in pieces, with one reason at its end", async () => {
  const chunks = await all(await ask({ stream: true, stream_options: { include_usage: true } }));
  assert.equal(chunks[0].choices[0].delta.role, "assistant");
  assert.deepEqual(chunks.at(-1).choices, []);
  assert.ok(chunks.at(-1).usage.completion_tokens > 0);
  const choices = chunks.flatMap((chunk) => chunk.choices);
  const pieces = choices.map((choice) => choice.delta.content ?? "").filter(Boolean);
  assert.ok(pieces.length > 1);
  assert.equal(pieces.join(""), (await ask()).choices[0].message.content);
  assert.equal(choices.filter((choice) => choice.finish_reason).length, 1);
  assert.ok(choices.at(-1).finish_reason);
});

test("the helper for streams tells pieces, and what came of them", async () => {
  const stream = client.chat.completions.stream(asked({ stream_options: { include_usage: true } }));
  let told = "";
  stream.on("content", (delta, snapshot) => {
    told += delta;
    assert.equal(snapshot, told);
  });
  const whole = await stream.finalChatCompletion();
  assert.equal(told, whole.choices[0].message.content);
  assert.equal(told, await stream.finalContent());
  assert.equal(told, (await ask()).choices[0].message.content);
  assert.ok((await stream.totalUsage()).completion_tokens > 0);
});

test("a stream that a server of one's own hands on is read by the helper again", async () => {
  const { ChatCompletionStream } = await import("openai/lib/ChatCompletionStream");
  const handed = client.chat.completions.stream(asked()).toReadableStream();
  const read = ChatCompletionStream.fromReadableStream(handed);
  assert.equal(await read.finalContent(), (await ask()).choices[0].message.content);
});

test("length and stop end an answer", async () => {
  const counting = { messages: user("Count from one to twenty in words.") };
  assert.equal((await ask({ ...counting, max_tokens: 3 })).choices[0].finish_reason, "length");
  const whole = (await ask({ ...counting, max_tokens: 24 })).choices[0].message.content;
  const stop = whole.slice(Math.floor(whole.length / 2)).slice(0, 4);
  const [cut] = (await ask({ ...counting, max_tokens: 24, stop: [stop] })).choices;
  assert.equal(cut.finish_reason, "stop");
  assert.equal(cut.message.content, whole.slice(0, whole.indexOf(stop)));
});

test("equal seeds give equal answers", async () => {
  const dice = { temperature: 1.5, seed: 7 };
  const [one, other] = [await ask(dice), await ask(dice)];
  assert.equal(one.choices[0].message.content, other.choices[0].message.content);
});

test("log probabilities are those of the tokens that were written, whole and streamed", async () => {
  const wanted = { max_tokens: 3, logprobs: true, top_logprobs: 2 };
  const [choice] = (await ask(wanted)).choices;
  const tokens = choice.logprobs.content;
  assert.equal(tokens.map((token) => token.token).join(""), choice.message.content);
  for (const { logprob, bytes, token, top_logprobs } of tokens) {
    assert.ok(logprob <= 0);
    assert.equal(Buffer.from(bytes).toString(), token);
    assert.equal(top_logprobs.length, 2);
    assert.ok(Math.abs(top_logprobs[0].logprob - logprob) < 0.001, "temperature 0 takes the likeliest");
  }
  const chunks = await all(await ask({ ...wanted, stream: true }));
  const streamed = chunks.flatMap((chunk) => chunk.choices.flatMap(({ logprobs }) => logprobs?.content ?? []));
  assert.deepEqual(streamed.map(({ token }) => token), tokens.map(({ token }) => token));
});

test("a function answers from its documents, and its citations are marks of the text", async () => {
  const about = { model: "function:answer", messages: user("Who taught anatomy to Lu Xun?"), max_tokens: 40 };
  const answer = await ask(about);
  const { content, annotations } = answer.choices[0].message;
  assert.ok(annotations.length, content);
  for (const { url_citation: { start_index, end_index, url } } of annotations) {
    assert.match([...content].slice(start_index, end_index).join(""), /^\[\d\]$/);
    assert.ok(new URL(url).pathname.startsWith("/documents/"));
  }
  const chunks = await all(await ask({ ...about, stream: true }));
  const streamed = chunks.flatMap((chunk) => chunk.choices.flatMap(({ delta }) => delta.annotations ?? []));
  assert.deepEqual(streamed, annotations);
});

// The trace of an answer says how it ended, as soon as it has ended.
const cancelled = (id) => eventually(async () => {
  const { body } = await ours(`/praxis/v1/traces/${id.replace("chatcmpl-", "")}`);
  return body?.spans.some((span) => span.status.status === "cancelled") || null;
});

test("a stream that is broken off, left or aborted, ends the work for it", async () => {
  const story = { messages: user("Tell a long story."), max_tokens: 2000, stream: true };
  const ends = {
    left: async (stream) => {
      for await (const chunk of stream) if (chunk.choices[0]?.delta.content) return chunk.id;
    },
    aborted: async (stream) => {
      let id;
      for await (const chunk of stream) {
        id = chunk.id;
        if (chunk.choices[0]?.delta.content) stream.controller.abort();
      }
      return id;
    },
  };
  for (const [what, end] of Object.entries(ends)) assert.ok(await cancelled(await end(await ask(story))), what);
  const helper = client.chat.completions.stream(asked({ ...story, stream: undefined }));
  let id;
  helper.on("chunk", (chunk) => { id = chunk.id; });
  helper.on("content", () => helper.abort());
  await refused(APIUserAbortError, () => helper.done());
  assert.ok(await cancelled(id), "aborted by the helper");
});

test("a whole answer that is not waited for is an abort", async () => {
  const leaving = new AbortController();
  setImmediate(() => leaving.abort());
  const options = { signal: leaving.signal };
  await refused(APIUserAbortError, () => client.chat.completions.create(asked({ max_tokens: 2000 }), options));
});
