// What an answer looks like, and what becomes of a conversation.

import assert from "node:assert/strict";
import { test } from "node:test";

import { useBrowser } from "./browser.mjs";

const desk = useBrowser();
const QUESTION = "Who taught anatomy to Lu Xun?";

test("Markdown becomes elements, and nothing in it can break out", async () => {
  await desk.page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await desk.ask(`${QUESTION} As rich text, please.`);
  await desk.answered();
  const answer = desk.page.locator(".answer");
  for (const [selector, text] of [
    ["h3", "Fujino Genkuro 1"], ["h3 em", "Genkuro"], ["p strong >> nth=0", "anatomy"], ["del", "Tokyo"],
    ["p strong >> nth=1", "“重要”"], ["blockquote", "He corrected the notes 1"], ["ul ul li", "in red ink 1"],
    ["ol[start='3'] li >> nth=1", "fourth"], ["th.right", "Notes"], ["td.right", "red 1"],
    ["td code", "red"], ["pre code", 'echo "<b>[1]</b>"'],
  ]) {
    assert.equal((await answer.locator(selector).innerText()).trim(), text, selector);
  }
  const text = await answer.innerText();
  assert.match(text, /AT&T, snake_case_name/);
  assert.match(text, /<script>document.title/);
  assert.equal(await answer.locator("script, img").count(), 0);
  const links = await answer.locator("a").evaluateAll((all) => all.map((a) => [a.href, a.rel]));
  assert.deepEqual(links.map(([href]) => href), ["https://archive.example/a?b=1&c=2",
    `${desk.application.url}/documents`, "https://tracker.example/p.png"]);
  for (const [, rel] of links) assert.match(rel, /noopener/);
  assert.equal(await answer.locator(".cite:not(:disabled)").count(), 5, "a mark works in every block");
  await answer.locator("td .cite").click();
  await desk.page.locator("#source-text mark").waitFor();
  await answer.locator(".copy").click();
  assert.equal(await desk.page.evaluate(() => navigator.clipboard.readText()), 'echo "<b>[1]</b>"');
  assert.equal(await desk.page.title(), "Sendai archive");
  assert.equal(await desk.overflows(), false);
  assert.deepEqual(desk.problems, []);
  await desk.picture("console-rich");
});

test("what is finished stays as it is while the answer goes on", async () => {
  const release = desk.application.hold();
  let heading;
  try {
    await desk.ask(`${QUESTION} As rich text, please.`);
    await desk.page.locator(".answer p", { hasText: "anatomy" }).waitFor();
    heading = await desk.page.locator(".answer h3").elementHandle();
    assert.equal(await desk.page.locator("#stop").isVisible(), true, "the answer goes on");
  } finally {
    release();
  }
  await desk.answered();
  assert.equal(await heading.evaluate((node) => node.isConnected), true);
});

test("who reads above is not pulled down", async () => {
  await desk.page.setViewportSize({ width: 1280, height: 300 });
  await desk.ask(`${QUESTION} As rich text, please.`);
  await desk.page.locator(".answer blockquote").waitFor();
  await desk.page.evaluate(() => scrollTo({ top: 0 }));
  await desk.page.locator(".answer pre").waitFor();
  assert.equal(await desk.page.evaluate(() => scrollY), 0);
});

test("a conversation is still there after a look at the documents, until a new one begins", async () => {
  await desk.ask(QUESTION);
  await desk.answered();
  const before = await desk.page.locator(".answer").innerText();
  await desk.page.locator("nav a", { hasText: "Documents" }).click();
  await desk.page.locator("h1", { hasText: "Documents" }).waitFor();
  await desk.page.locator("nav a", { hasText: "Chat" }).click();
  await desk.page.locator(".turn").first().waitFor();
  assert.equal(await desk.page.locator("#welcome").isVisible(), false);
  assert.equal(await desk.page.locator(".answer").innerText(), before);
  await desk.page.locator(".answer .cite").click();
  await desk.page.locator("#source-text mark").waitFor();
  await desk.ask("鲁迅的解剖学老师是谁？");
  await desk.page.locator(".answer", { hasText: "藤野严九郎" }).waitFor();
  await desk.answered();
  await desk.page.click("#anew");
  assert.equal(await desk.page.locator(".turn").count(), 0);
  assert.equal(await desk.page.locator("#welcome").isVisible(), true);
  assert.equal(await desk.page.evaluate(() => document.activeElement.id), "question");
  await desk.page.reload();
  assert.equal(await desk.page.locator("#welcome").isVisible(), true);
});

test("an answer that somebody leaves is kept as far as it came", async () => {
  await desk.ask("Who taught anatomy, slowly, to Lu Xun?");
  await desk.page.locator(".answer", { hasText: "word3" }).waitFor();
  await desk.page.goto(`${desk.application.url}/documents`);
  await desk.page.goto(desk.application.url);
  await desk.page.locator(".answer", { hasText: "word3" }).waitFor();
  await desk.page.locator(".notice", { hasText: "Stopped" }).waitFor();
});

test("a long conversation is kept in part, the latest of it", async () => {
  const [kept, size] = await desk.page.evaluate(async () => {
    const { keep, recall } = await import("/assets/memory.js");
    keep(Array.from({ length: 100 }, (_, n) => ({ question: String(n), text: "x".repeat(60_000) })));
    return [recall().map((turn) => turn.question), sessionStorage.getItem("conversation").length];
  });
  assert.equal(kept.at(-1), "99");
  assert.ok(kept.length > 5 && size < 1_000_001, `${kept.length} turns, ${size} characters`);
});
