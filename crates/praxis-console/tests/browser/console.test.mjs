// The console as people use it: asking, reading sources, stopping, on a phone, by keyboard, in the
// dark, and when something fails.

import assert from "node:assert/strict";
import { get } from "node:http";
import { test } from "node:test";

import { useBrowser } from "./browser.mjs";
import { poorContrast } from "./contrast.mjs";

const desk = useBrowser();
const { ask, answered, overflows, picture } = desk;
const QUESTION = "Who taught anatomy to Lu Xun?";

test("a newcomer sees what it is and three things to try", async () => {
  assert.equal(await desk.page.locator("h1").innerText(), "Sendai archive");
  assert.equal(await desk.page.locator("[data-suggestion]").count(), 3);
  assert.match(await desk.page.locator("#welcome").innerText(), /2 documents/);
  assert.equal(await desk.page.locator(".notice").count(), 0, "models that the application does not use are no concern");
  await picture("console-welcome");
});

test("an answer streams, and its citation opens the passage in its surroundings", async () => {
  const release = desk.application.hold();
  try {
    await ask(QUESTION);
    await desk.page.locator(".answer", { hasText: "Anatomy" }).waitFor();
    assert.equal(await desk.page.locator("#stop").isVisible(), true, "text shows before the answer ends");
  } finally {
    release();
  }
  await answered();
  const answer = desk.page.locator(".answer").last();
  assert.equal(await answer.locator("strong").innerText(), "Fujino Genkuro");
  assert.equal(await answer.locator("li").count(), 2, "lists are rendered");
  assert.equal(await answer.locator("img").count(), 0, "a model's HTML stays text");
  assert.match(await answer.innerText(), /<img src=x/);
  assert.equal(await answer.locator(".cite").count(), 1, "a citation of nothing is removed");
  await answer.locator(".cite").click();
  const mark = desk.page.locator("#source-text mark");
  await mark.waitFor();
  assert.match(await mark.innerText(), /Fujino Genkuro|藤野严九郎/);
  assert.match(await desk.page.locator("#source-place").innerText(), /sendai\.md|老师\.txt/);
  assert.equal(await desk.page.evaluate(() => document.title), "Sendai archive");
  for (const link of await desk.page.locator("nav a, #theme").all()) {
    await link.click({ trial: true, timeout: 20_000 });
  }
  const [panel, text] = [await desk.page.locator("#source").boundingBox(), await answer.boundingBox()];
  assert.ok(text.x + text.width <= panel.x, "the answer and its source stand side by side");
  await picture("console");
  await desk.page.click("#source-open");
  await desk.page.locator("mark#passage").waitFor();
  assert.equal(await desk.page.locator("mark#passage").isVisible(), true);
  assert.match((await desk.page.locator("mark").allInnerTexts()).join(), /Fujino Genkuro|藤野严九郎/);
  await picture("document");
  assert.deepEqual(desk.problems, []);
});

test("reasoning stands apart from the answer, and closes when the answer comes", async () => {
  await desk.page.selectOption("#function", "solve");
  const thought = desk.page.locator(".thought").last();
  const release = desk.application.hold();
  try {
    await ask("What is 2 + 2?");
    await thought.locator("p", { hasText: "Two" }).waitFor();
  } finally {
    release();
  }
  await answered();
  assert.equal(await desk.page.locator(".answer").last().innerText(), "4");
  assert.equal(await thought.locator("p").isVisible(), false);
  await thought.locator("summary").click();
  assert.equal(await thought.locator("p").innerText(), "Two and two\nare four <b>.");
  await picture("console-reasoning");
  await desk.page.selectOption("#function", "answer");
});

test("a question in Chinese is answered in Chinese", async () => {
  await ask("鲁迅的解剖学老师是谁？");
  await answered();
  assert.match(await desk.page.locator(".answer").last().innerText(), /藤野严九郎/);
});

test("what the documents do not cover is said to be so, without sources", async () => {
  await ask("How many moons does Jupiter have?");
  await answered();
  assert.equal(await desk.page.locator(".answer .cite").count(), 0);
  assert.match(await desk.page.locator(".answer").last().innerText(), /document/i);
});

test("the keyboard is enough: slash, Shift+Enter, Enter, Escape", async () => {
  await desk.page.locator("#theme").focus();
  await desk.page.keyboard.press("/");
  assert.equal(await desk.page.evaluate(() => document.activeElement.id), "question");
  await desk.page.keyboard.type("Who taught anatomy,");
  await desk.page.keyboard.press("Shift+Enter");
  await desk.page.keyboard.type("slowly, to Lu Xun?");
  assert.match(await desk.page.inputValue("#question"), /anatomy,\nslowly/);
  await desk.page.keyboard.press("Enter");
  await desk.page.locator(".answer", { hasText: "word3" }).waitFor();
  const dropped = desk.application.model.dropped;
  await desk.page.keyboard.press("Escape");
  await desk.page.locator(".notice", { hasText: "Stopped" }).waitFor();
  await assertSoon(() => desk.application.model.dropped > dropped, "the model is told to stop");
  assert.equal(await desk.page.locator("#send").isVisible(), true);
});

test("Escape closes the source and gives the focus back", async () => {
  await ask(QUESTION);
  await answered();
  await desk.page.locator(".answer .cite").last().focus();
  await desk.page.keyboard.press("Enter");
  await desk.page.locator("#source-text mark").waitFor();
  await desk.page.keyboard.press("Escape");
  assert.equal(await desk.page.locator("#source").isHidden(), true);
  assert.equal(await desk.page.evaluate(() => document.activeElement.className), "cite");
});

test("dark follows the system, and a choice is remembered", async () => {
  const paper = () => desk.page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await paper();
  await desk.page.emulateMedia({ colorScheme: "dark" });
  const dark = await paper();
  assert.notEqual(light, dark);
  await desk.page.click("#theme");
  assert.equal(await paper(), light, "the button overrules the system");
  await desk.page.reload();
  assert.equal(await paper(), light, "the choice outlives the page");
  await desk.page.click("#theme");
  await ask(QUESTION);
  await answered();
  await picture("console-dark");
});

test("a phone shows the source as a sheet and scrolls nowhere sideways", async () => {
  await desk.open({ viewport: { width: 390, height: 844 }, colorScheme: "light", hasTouch: true, isMobile: true });
  assert.equal(await overflows(), false);
  await ask(QUESTION);
  await answered();
  assert.equal(await overflows(), false);
  await desk.page.locator(".answer .cite").last().tap();
  await desk.page.locator("#source-text mark").waitFor();
  const sheet = await desk.page.locator("#source").boundingBox();
  assert.ok(sheet.width >= 389 && sheet.y > 100, `not a sheet: ${JSON.stringify(sheet)}`);
  await desk.page.locator("#source-close").tap({ trial: true });
  assert.equal(await overflows(), false);
  await picture("console-phone");
  const pages = ["/documents", "/documents/preview", "/approvals", "/texts", "/traces",
    await desk.page.locator("#source-open").getAttribute("href"),
    await desk.page.locator(".meta a").getAttribute("href"), "/documents/nothing"];
  for (const path of pages) {
    await desk.page.goto(desk.application.url + path);
    assert.equal(await overflows(), false, path);
  }
});

test("text and controls have enough contrast in both themes", async () => {
  for (const scheme of ["light", "dark"]) {
    await desk.page.emulateMedia({ colorScheme: scheme });
    for (const path of ["/", "/documents", "/documents/preview", "/approvals", "/texts", "/traces"]) {
      await desk.page.goto(desk.application.url + path);
      const poor = await desk.page.evaluate(poorContrast);
      assert.deepEqual(poor, [], `${scheme} ${path}`);
    }
  }
});

test("documents are listed with their state, a broken one with the reason", async () => {
  await desk.page.goto(`${desk.application.url}/documents`);
  const text = await desk.page.locator("main").innerText();
  assert.match(text, /Studying in Sendai/);
  assert.match(text, /empty\.pdf/);
  assert.equal(await desk.page.locator(".state.bad").count(), 1);
  assert.match(text, /2 documents, \d+ passages?; 1 file could not be read/);
  await picture("documents");
});

test("a document reads well, and each page has a name of its own", async () => {
  await desk.page.goto(`${desk.application.url}/documents`);
  assert.equal(await desk.page.title(), "Documents · Sendai archive");
  await desk.page.locator(".what a", { hasText: "Studying in Sendai" }).click();
  const article = desk.page.locator("article");
  assert.deepEqual(await article.locator("h2, h3").allInnerTexts(), ["The town", "The teacher"]);
  assert.equal(await article.locator("p", { hasText: "red ink" }).evaluate((p) => getComputedStyle(p).whiteSpace),
    "normal", "lines that an editor broke flow anew");
  assert.equal(await desk.page.title(), "Studying in Sendai · Sendai archive");
  await desk.page.goto(`${desk.application.url}/documents`);
  await desk.page.locator(".what a", { hasText: "老师" }).click();
  assert.equal(await article.getAttribute("lang"), "zh-Hans");
});

const CLOCK = /\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/;

test("a trace shows what the call did", async () => {
  await ask(QUESTION);
  await answered();
  await desk.page.locator(".meta a").last().click();
  await desk.page.locator(".kind", { hasText: "function" }).waitFor();
  // Times are of the place where the browser is, as soon as the page's script runs.
  await desk.page.locator("main", { hasText: CLOCK }).waitFor();
  const text = await desk.page.locator("main").innerText();
  for (const kind of ["retrieval", "chat"]) assert.match(text, new RegExp(kind));
  assert.match(text, /120 tokens read, 24 written/);
  assert.match(text, /\d{4}-\d\d-\d\d \d\d:\d\d:\d\d · ok/);
  await picture("trace");
});

test("the list of traces says when, what and how it ended", async () => {
  await ask("Who taught anatomy, slowly, to Lu Xun?");
  await desk.page.locator(".answer", { hasText: "word3" }).waitFor();
  await desk.page.click("#stop");
  await desk.page.locator(".notice", { hasText: "Stopped" }).waitFor();
  const first = desk.page.locator(".rows li").first();
  await assertSoon(async () => {
    await desk.page.goto(`${desk.application.url}/traces`);
    return /cancelled/.test(await first.innerText());
  }, "a stopped call is on the list");
  await first.filter({ hasText: CLOCK }).waitFor();
  assert.match(await first.innerText(), /slowly, to Lu Xun\?\n\d{4}-\d\d-\d\d \d\d:\d\d:\d\d · cancelled · function answer/);
  await picture("traces");
});

test("a failing model is named, and the conversation can go on", async () => {
  await ask("Who taught anatomy to Lu Xun, while the model is out of order?");
  const notice = desk.page.locator(".turn .notice");
  await notice.waitFor();
  assert.match(await notice.innerText(), /out of order/);
  assert.equal(await notice.getAttribute("role"), "alert");
  await picture("console-error");
  await ask(QUESTION);
  await answered();
});

test("a page of another site cannot ask, under its own name or one that it points here", async () => {
  for (const headers of [{ origin: "https://evil.example" }, { host: "evil.example" }]) {
    for (const path of ["/v1/models", "/documents", "/traces"]) {
      const status = await new Promise((resolve, reject) => {
        const asked = get(desk.application.url + path, { headers }, (response) => {
          response.resume();
          resolve(response.statusCode);
        });
        asked.on("error", reject);
      });
      assert.ok([401, 403].includes(status), `${path} with ${JSON.stringify(headers)}: ${status}`);
    }
  }
});

test("a missing page says so in the console's clothes", async () => {
  const response = await desk.page.goto(`${desk.application.url}/documents/nothing`);
  assert.equal(response.status(), 404);
  await desk.page.locator(".bar .brand").waitFor();
});

// The last test: it ends the server.
test("a server that is gone is said to be gone", async () => {
  await desk.application.stopServer();
  await ask(QUESTION);
  const notice = desk.page.locator(".turn .notice");
  await notice.waitFor();
  assert.match(await notice.innerText(), /cannot be reached/);
});

async function assertSoon(condition, message) {
  for (let tries = 0; tries < 100; tries += 1) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.fail(message);
}
