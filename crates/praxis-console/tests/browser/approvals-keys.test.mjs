// Who may decide on calls of tools, in a browser: a key for `approvals`, of others' calls, as long as it is logged in.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { useBrowser } from "./browser.mjs";

const desk = useBrowser({
  key: "sk-praxis-browser-test",
  tools: { "notes.files.toml": "folder = \"workspace\"\n" },
});
const KEYS = { chats: "chat", asker: "functions,approvals", boss: "approvals" };
const made = {};
const at = (path) => `${desk.application.url}${path}`;
const cards = () => desk.page.locator("#cards > li");

// A key's secret; the key is made when it is first wanted.
async function secret(name) {
  made[name] ??= desk.application.praxis(["keys", "create", name, "--scope", KEYS[name]]);
  return (await made[name]).stdout.trim();
}

// Opens the page with a key.
async function open(name) {
  await desk.page.context().clearCookies();
  await desk.page.goto(at("/login?next=/approvals"));
  await desk.page.fill("#key", await secret(name));
  await desk.page.click("main button");
  await desk.page.locator("h1", { hasText: "Approvals" }).waitFor();
}

// Lets the key `asker` call the tool, and gives the status and the error.
async function call(path) {
  const answer = await fetch(at(`/praxis/v1/functions/${encodeURIComponent("notes/append")}/call`), {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${await secret("asker")}` },
    body: JSON.stringify({ input: { path, text: "one\n" } }),
  });
  const { error } = await answer.json();
  return { status: answer.status, code: error?.code };
}

const isWritten = (path) => existsSync(join(desk.application.root, "workspace", path));

test("a key without the scope is told so, and sees neither calls nor a count", async () => {
  assert.deepEqual(await call("scope.txt"), { status: 403, code: "approval_needed" });
  await open("chats");
  await desk.page.locator("#closed", { hasText: "This key is not for approvals" }).waitFor();
  assert.equal(await desk.page.locator("#closed").getAttribute("role"), "alert");
  assert.equal(await desk.page.locator("#open").isVisible(), false);
  assert.equal(await cards().count(), 0);
  assert.doesNotMatch(await desk.page.content(), /scope\.txt/);
  await desk.page.goto(at("/"));
  await desk.page.locator("#question").waitFor();
  assert.equal(await desk.page.locator("#waiting").isVisible(), false);
  assert.equal(await desk.overflows(), false);
  assert.deepEqual(desk.problems, []);
});

test("nobody decides on what its own key asked for, and another key does", async () => {
  await call("own.txt");
  await open("asker");
  const own = cards().filter({ hasText: "own.txt" });
  await own.locator("text=another key has to decide on it").waitFor();
  assert.equal(await own.locator("button").count(), 0);
  assert.equal(await desk.page.locator("#waiting").isVisible(), false, "nothing waits for this key's decision");
  await open("boss");
  const others = cards().filter({ hasText: "own.txt" });
  await others.waitFor();
  assert.match(await others.innerText(), /asked by\s+asker/);
  await desk.page.locator("#waiting").waitFor();
  assert.equal(isWritten("own.txt"), false);
  await others.getByRole("button", { name: "Approve", exact: true }).click();
  await others.locator(".outcome", { hasText: "It is made once, when asker makes the same call again" }).waitFor();
  assert.match(await others.locator(".outcome").innerText(), /By boss/);
  assert.deepEqual(await call("own.txt"), { status: 200, code: undefined });
  assert.equal(isWritten("own.txt"), true);
  await others.locator(".outcome", { hasText: "Made once" }).waitFor();
  assert.deepEqual(desk.problems, []);
});

test("a log-in that has ended is said to have ended, and nothing is decided", async () => {
  await call("ended.txt");
  await open("boss");
  const card = cards().filter({ hasText: "ended.txt" });
  await card.waitFor();
  await desk.page.context().clearCookies();
  await card.getByRole("button", { name: "Approve", exact: true }).click();
  await card.locator(".notice a", { hasText: "Log in again" }).waitFor();
  assert.deepEqual(await call("ended.txt"), { status: 403, code: "approval_needed" });
  assert.equal(isWritten("ended.txt"), false);
});
