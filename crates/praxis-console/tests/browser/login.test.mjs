// An application with a key, in a browser: logging in and out, and what a cookie must not open.

import assert from "node:assert/strict";
import { test } from "node:test";

import { useBrowser } from "./browser.mjs";

const KEY = "sk-praxis-browser-test";
const desk = useBrowser({ key: KEY });

const at = (path) => `${desk.application.url}${path}`;
const passes = async () => (await desk.page.context().cookies()).filter((c) => c.name === "praxis-pass");

async function logIn(key = KEY) {
  await desk.page.fill("#key", key);
  await desk.page.click("main button");
}

test("the login page takes the key and leads back to the page asked for", async () => {
  await desk.page.goto(at("/documents"));
  assert.equal(desk.page.url(), at("/login?next=/documents"));
  assert.equal(await desk.page.locator("nav, #logout").count(), 0, "nothing to go to yet");
  await desk.picture("login");
  await logIn("sk-wrong");
  await desk.page.locator("#problem").waitFor();
  assert.deepEqual(await passes(), []);
  await logIn();
  await desk.page.locator("h1", { hasText: "Documents" }).waitFor();
  assert.equal(desk.page.url(), at("/documents"));
  const [pass] = await passes();
  assert.deepEqual([pass.httpOnly, pass.sameSite, pass.path], [true, "Strict", "/"]);
  assert.ok(!pass.value.includes(KEY));
  assert.equal(await desk.page.evaluate(() => document.cookie), "");
  await desk.page.goto(at("/login?next=//evil.example"));
  assert.equal(desk.page.url(), at("/"), "no other site is led to");
  assert.deepEqual(desk.problems, []);
});

test("who is logged in can ask and read sources, and leaves nothing behind", async () => {
  await logIn();
  await desk.ask("Who taught anatomy to Lu Xun?");
  await desk.answered();
  await desk.page.locator(".answer .cite").click();
  await desk.page.locator("#source-text mark").waitFor();
  const [pass] = await passes();
  await desk.page.goto(at("/texts"));
  await desk.page.fill("#lines", "what nobody else should read");
  await desk.page.click("#logout button");
  await desk.page.locator("#key").waitFor();
  assert.deepEqual(await passes(), []);
  assert.equal(await desk.page.evaluate(() => sessionStorage.length), 0);
  const answer = await fetch(at("/v1/models"), { headers: { cookie: `praxis-pass=${pass.value}` } });
  assert.equal(answer.status, 401, "a pass ends with the log-out, wherever it was copied to");
  await desk.page.goto(at("/"));
  await desk.page.locator("#key").waitFor();
});

test("clients get errors in JSON, and a cookie opens nothing to other sites", async () => {
  await logIn();
  await desk.page.locator("#question").waitFor();
  const [pass] = await passes();
  const cookie = `praxis-pass=${pass.value}`;
  const path = "/praxis/v1/functions/answer/chat";
  const body = JSON.stringify({ messages: [{ role: "user", content: "Who taught anatomy?" }] });
  const post = (headers) => ["POST", path, { "content-type": "application/json", ...headers }, body];
  for (const [[method, url, headers, body], status] of [
    [["GET", "/v1/models", {}], 401],
    [["GET", "/v1/models", { authorization: "Bearer sk-wrong" }], 401],
    [["GET", "/v1/models", { authorization: "Bearer sk-wrong", cookie }], 401],
    [["GET", "/v1/models", { authorization: `Bearer ${KEY}` }], 200],
    [["GET", "/v1/models", { cookie }], 200],
    [["GET", "/v1/models", { cookie, origin: "https://evil.example" }], 401],
    [post({ authorization: `Bearer ${KEY}` }), 200],
    [post({ cookie, origin: desk.application.url }), 200],
    [post({ cookie }), 401],
    [post({ cookie, origin: "http://127.0.0.1:1" }), 401],
  ]) {
    const answer = await fetch(at(url), { method, headers, body });
    const text = await answer.text();
    const what = `${method} ${url} with ${JSON.stringify(headers)}`;
    assert.equal(answer.status, status, what);
    if (status === 401) assert.equal(JSON.parse(text).error.code, "unauthorized", what);
  }
  const page = await fetch(at("/traces?x=1"), { redirect: "manual" });
  assert.deepEqual([page.status, page.headers.get("location")], [303, "/login?next=/traces%3Fx%3D1"]);
  for (const open of ["/healthz", "/assets/console.css", "/favicon.ico"]) {
    assert.equal((await fetch(at(open))).status, 200, open);
  }
});

test("a log-in that has ended is said to have ended, and the question is not lost", async () => {
  await logIn();
  await desk.page.locator("#question").waitFor();
  await desk.page.context().clearCookies();
  await desk.ask("Who taught anatomy to Lu Xun?");
  await desk.page.locator(".notice a", { hasText: "Log in again" }).waitFor();
  assert.equal(await desk.page.inputValue("#question"), "Who taught anatomy to Lu Xun?");
});

// The last test: afterwards nobody can log in for a minute.
test("keys cannot be tried out", async () => {
  const tries = [];
  for (let n = 0; n < 12; n += 1) {
    const answer = await fetch(at("/login"), { method: "POST", body: new URLSearchParams({ key: `sk-${n}` }) });
    tries.push(answer.status);
  }
  assert.equal(tries[0], 401);
  assert.equal(tries.at(-1), 429);
  await logIn();
  await desk.page.locator("#problem", { hasText: "Try again in" }).waitFor();
});
