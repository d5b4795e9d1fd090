// Errors as the SDK tells them: their class, code, type, field and request, and when it tries again by itself.

import assert from "node:assert/strict";
import { test } from "node:test";

import {
  APIConnectionError, APIConnectionTimeoutError, AuthenticationError, BadRequestError, NotFoundError,
  PermissionDeniedError, RateLimitError,
} from "openai";

import { checked, client, connect, EMBEDDER, MODEL, refused, user, withKey } from "./given.mjs";

const asked = (options = {}) => ({ model: MODEL, messages: user("x"), max_tokens: 2, ...options });
const embed = (client, input = "x") => client.embeddings.create({ model: EMBEDDER, input });

test("what would change the answer is refused by name", async () => {
  const image = { type: "image_url", image_url: { url: "data:image/png;base64," } };
  const parts = (...parts) => ({ messages: [{ role: "user", content: parts }] });
  for (const [options, param] of [
    [{ functions: [{ name: "f", parameters: {} }] }, "functions"],
    [{ n: 0 }, "n"],
    [{ store: true }, "store"],
    [{ temperature: 9 }, "temperature"],
    [{ top_p: 2 }, "top_p"],
    [{ messages: [{ role: "user", content: 3 }] }, "messages[0].content"],
    [parts({ type: "video_tape", video_tape: {} }), "messages[0].content[0]"],
    [parts(image), null],
  ]) {
    const error = await refused(BadRequestError, () => client.chat.completions.create(asked(options)));
    const { status, code, type, requestID } = error;
    assert.deepEqual([status, code, type], [400, "invalid_request", "invalid_request_error"], param);
    assert.equal(error.param, param);
    assert.ok(requestID, "the request has an id");
  }
});

test("an unknown model is not found, streaming or not", async () => {
  for (const stream of [false, true]) {
    const wrong = asked({ model: "nothing", stream });
    const error = await refused(NotFoundError, () => client.chat.completions.create(wrong));
    assert.deepEqual([error.status, error.code], [404, "not_found"]);
  }
  const helper = client.chat.completions.stream(asked({ model: "function:anser" }));
  assert.match((await refused(NotFoundError, () => helper.done())).message, /answer/, "the nearest name is told");
});

test("a wrong key is refused", async () => {
  const error = await refused(AuthenticationError, () => connect({ apiKey: "sk-wrong" }).models.list());
  assert.deepEqual([error.status, error.code, error.type], [401, "unauthorized", "authentication_error"]);
});

test("what is not there is an error of its own, in OpenAI's shape", async () => {
  const error = await refused(NotFoundError, () => client.get("/nothing"));
  assert.ok(error.message.includes("/v1/nothing"));
});

test("a server that is away or slow is a failed connection", async () => {
  const away = connect({ baseURL: "http://127.0.0.1:1/v1" });
  await refused(APIConnectionError, () => away.models.list());
  const hurried = connect({ timeout: 1, fetch: (path, init) => fetch(path, init) });
  const story = asked({ messages: user("Tell a long story."), max_tokens: 500 });
  await refused(APIConnectionTimeoutError, () => hurried.chat.completions.create(story));
});

test("a key is for what it was made for", async (t) => {
  const chats = await withKey(t, "node/chats", ["--scope", "chat"]);
  if (!chats) return;
  assert.ok((await chats.chat.completions.create(asked())).choices.length);
  for (const asking of [() => chats.models.list(), () => embed(chats)]) {
    const error = await refused(PermissionDeniedError, asking);
    assert.deepEqual([error.status, error.code], [403, "forbidden"]);
  }
});

test("a rate says when there is room, and a budget that there is none", async (t) => {
  const slow = await withKey(t, "node/slow", ["--limit", "1 requests/hour"]);
  if (!slow) return;
  await embed(slow);
  for (const asking of [() => embed(slow), () => slow.chat.completions.create(asked({ stream: true }))]) {
    const error = await refused(RateLimitError, asking);
    assert.deepEqual([error.status, error.code, error.type], [429, "rate_limited", "rate_limit_error"]);
    const wait = Number(error.headers.get("retry-after"));
    assert.ok(Number.isInteger(wait) && wait >= 1 && wait <= 3600, `${wait}`);
  }
  const few = await withKey(t, "node/few", ["--limit", "20 tokens"]);
  const error = await refused(RateLimitError, () => embed(few, "long ".repeat(40)));
  assert.deepEqual([error.code, error.type], ["quota_exceeded", "insufficient_quota"]);
  assert.equal(error.headers.get("retry-after"), null, "there never is room");
});

test("the SDK waits as it is told, and tries again", async (t) => {
  const statuses = [];
  const watched = async (path, init) => {
    const answer = await checked(path, init);
    statuses.push(answer.status);
    return answer;
  };
  const one = await withKey(t, "node/one", ["--limit", "1 requests/2 seconds"], { maxRetries: 3, fetch: watched });
  if (!one) return;
  const both = await Promise.all([embed(one), embed(one)]);
  assert.deepEqual(both.map(({ data }) => data.length), [1, 1]);
  assert.ok(statuses.includes(429), "one of them found no room");
});
