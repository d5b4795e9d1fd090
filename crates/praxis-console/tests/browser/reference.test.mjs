// The pages of the API: a list that leads to each operation, readable in both themes and on a phone.

import assert from "node:assert/strict";
import { test } from "node:test";

import { useBrowser } from "./browser.mjs";

const desk = useBrowser();
const at = (path) => `${desk.application.url}${path}`;
const said = (selector = "main") => desk.page.locator(selector).innerText();

const PHONES = [375, 320].map((width) => ({ width, height: 800 }));
const fits = (name) => desk.fits(name, ...PHONES);

test("each operation has a page that says what it takes and gives", async () => {
  await desk.page.click("nav >> text=API");
  await desk.page.waitForURL("**/reference");
  assert.equal(await desk.page.title(), "API · Sendai archive");
  assert.match(await said(), /\/v1\/chat\/completions\s+Answer a conversation/);
  assert.match(await said(), /Functions of the application[\s\S]*functions\/answer\/call/);
  await fits("reference");
  const links = await desk.page.locator(".operations a").evaluateAll((all) => all.map((link) => link.href));
  assert.ok(links.length >= 40);
  for (const link of links) assert.equal((await desk.page.request.get(link)).status(), 200, link);
  await desk.page.locator(".operations a", { hasText: "/v1/chat/completions" }).click();
  await desk.page.locator("h1", { hasText: "Answer a conversation" }).waitFor();
  assert.match(await said(), /curl 'http:\/\/[^']+\/v1\/chat\/completions'/);
  assert.match(await said(), /messages\s+list of ChatMessage\s+required/);
  assert.match(await said(), /temperature\s+number or null, 0 to 2/);
  assert.match(await said(), /429\s+rate_limited: Wait as Retry-After says/);
  await fits("reference-chat");
  await desk.page.goto(at("/reference"));
  await desk.page.locator(".operations a", { hasText: "functions/answer/call" }).click();
  assert.match(await said(), /question\s+string\s+required/);
  await fits("reference-function");
  assert.equal((await desk.page.goto(at("/reference/none"))).status(), 404);
  assert.match(await said(), /no operation `none`/);
  assert.deepEqual(desk.problems, []);
});
