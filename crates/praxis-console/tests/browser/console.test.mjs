// The console as people use it: asking, reading sources, stopping, on a phone, by keyboard, in the
// dark, and when something fails. PRAXIS_BIN is the binary, PRAXIS_CHROMIUM the browser;
// PRAXIS_SCREENSHOTS is a folder for pictures of the pages.

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { get } from "node:http";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { chromium } from "playwright-core";

import { startApplication } from "./app.mjs";

const BROWSER = process.env.PRAXIS_CHROMIUM || "/usr/bin/chromium";
const PICTURES = process.env.PRAXIS_SCREENSHOTS;
const QUESTION = "Who taught anatomy to Lu Xun?";
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync"];

let application, browser, page, problems;

before(async () => {
  if (!process.env.PRAXIS_BIN) throw new Error("PRAXIS_BIN must name the praxis binary");
  if (PICTURES) mkdirSync(PICTURES, { recursive: true });
  application = await startApplication(process.env.PRAXIS_BIN);
  browser = await chromium.launch({ executablePath: BROWSER, args: FLAGS });
});
after(async () => {
  await browser?.close();
  await application?.close();
});
beforeEach(async () => open({ viewport: { width: 1280, height: 800 }, colorScheme: "light" }));
afterEach(async () => {
  await page.context().close();
});

async function open(options) {
  await page?.context().close();
  const context = await browser.newContext({ deviceScaleFactor: 2, ...options });
  page = await context.newPage();
  page.setDefaultTimeout(20000);
  problems = [];
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("console", (message) => {
    if (/Content Security Policy/.test(message.text())) problems.push(message.text());
  });
  await page.goto(application.url);
}

async function picture(name) {
  if (PICTURES) await page.screenshot({ path: join(PICTURES, `${name}.png`) });
}

async function ask(question) {
  await page.fill("#question", question);
  await page.press("#question", "Enter");
}

async function answered() {
  await page.locator(".meta a", { hasText: "trace" }).last().waitFor();
}

async function overflows() {
  return page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
}

test("a newcomer sees what it is and three things to try", async () => {
  assert.equal(await page.locator("h1").innerText(), "Sendai archive");
  assert.equal(await page.locator("[data-suggestion]").count(), 3);
  assert.match(await page.locator("#welcome").innerText(), /2 documents/);
  assert.equal(await page.locator(".notice").count(), 0, "models that the application does not use are no concern");
  await picture("console-welcome");
});

test("an answer streams, and its citation opens the passage in its surroundings", async () => {
  await ask(QUESTION);
  await page.locator(".answer", { hasText: "Anatomy" }).waitFor();
  assert.equal(await page.locator("#stop").isVisible(), true, "text shows before the answer ends");
  await answered();
  const answer = page.locator(".answer").last();
  assert.equal(await answer.locator("strong").innerText(), "Fujino Genkuro");
  assert.equal(await answer.locator("li").count(), 2, "lists are rendered");
  assert.equal(await answer.locator("img").count(), 0, "a model's HTML stays text");
  assert.match(await answer.innerText(), /<img src=x/);
  assert.equal(await answer.locator(".cite").count(), 1, "a citation of nothing is removed");
  await answer.locator(".cite").click();
  const mark = page.locator("#source-text mark");
  await mark.waitFor();
  assert.match(await mark.innerText(), /Fujino Genkuro|藤野严九郎/);
  assert.match(await page.locator("#source-place").innerText(), /sendai\.md|老师\.txt/);
  assert.equal(await page.evaluate(() => document.title), "Sendai archive");
  await picture("console");
  await page.click("#source-open");
  await page.locator("mark#passage").waitFor();
  assert.equal(await page.locator("mark#passage").isVisible(), true);
  await picture("document");
  assert.deepEqual(problems, []);
});

test("a question in Chinese is answered in Chinese", async () => {
  await ask("鲁迅的解剖学老师是谁？");
  await answered();
  assert.match(await page.locator(".answer").last().innerText(), /藤野严九郎/);
});

test("what the documents do not cover is said to be so, without sources", async () => {
  await ask("How many moons does Jupiter have?");
  await answered();
  assert.equal(await page.locator(".answer .cite").count(), 0);
  assert.match(await page.locator(".answer").last().innerText(), /document/i);
});

test("the keyboard is enough: slash, Shift+Enter, Enter, Escape", async () => {
  await page.locator("#theme").focus();
  await page.keyboard.press("/");
  assert.equal(await page.evaluate(() => document.activeElement.id), "question");
  await page.keyboard.type("Who taught anatomy,");
  await page.keyboard.press("Shift+Enter");
  await page.keyboard.type("slowly, to Lu Xun?");
  assert.match(await page.inputValue("#question"), /anatomy,\nslowly/);
  await page.keyboard.press("Enter");
  await page.locator(".answer", { hasText: "word3" }).waitFor();
  const dropped = application.model.dropped;
  await page.keyboard.press("Escape");
  await page.locator(".notice", { hasText: "Stopped" }).waitFor();
  await assertSoon(() => application.model.dropped > dropped, "the model is told to stop");
  assert.equal(await page.locator("#send").isVisible(), true);
});

test("Escape closes the source and gives the focus back", async () => {
  await ask(QUESTION);
  await answered();
  await page.locator(".answer .cite").last().focus();
  await page.keyboard.press("Enter");
  await page.locator("#source-text mark").waitFor();
  await page.keyboard.press("Escape");
  assert.equal(await page.locator("#source").isHidden(), true);
  assert.equal(await page.evaluate(() => document.activeElement.className), "cite");
});

test("dark follows the system, and a choice is remembered", async () => {
  const paper = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await paper();
  await page.emulateMedia({ colorScheme: "dark" });
  const dark = await paper();
  assert.notEqual(light, dark);
  await page.click("#theme");
  assert.equal(await paper(), light, "the button overrules the system");
  await page.reload();
  assert.equal(await paper(), light, "the choice outlives the page");
  await page.click("#theme");
  await ask(QUESTION);
  await answered();
  await picture("console-dark");
});

test("a phone shows the source as a sheet and scrolls nowhere sideways", async () => {
  await open({ viewport: { width: 390, height: 844 }, colorScheme: "light", hasTouch: true, isMobile: true });
  assert.equal(await overflows(), false);
  await ask(QUESTION);
  await answered();
  assert.equal(await overflows(), false);
  await page.locator(".answer .cite").last().tap();
  await page.locator("#source-text mark").waitFor();
  const sheet = await page.locator("#source").boundingBox();
  assert.ok(sheet.width >= 389 && sheet.y > 100, `not a sheet: ${JSON.stringify(sheet)}`);
  assert.equal(await overflows(), false);
  await picture("console-phone");
  for (const path of ["/documents", "/traces"]) {
    await page.goto(application.url + path);
    assert.equal(await overflows(), false, path);
  }
});

test("text and controls have enough contrast in both themes", async () => {
  for (const scheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme: scheme });
    for (const path of ["/", "/documents", "/traces"]) {
      await page.goto(application.url + path);
      const poor = await page.evaluate(poorContrast);
      assert.deepEqual(poor, [], `${scheme} ${path}`);
    }
  }
});

test("documents are listed with their state, a broken one with the reason", async () => {
  await page.goto(`${application.url}/documents`);
  const text = await page.locator("main").innerText();
  assert.match(text, /Studying in Sendai/);
  assert.match(text, /empty\.pdf/);
  assert.equal(await page.locator(".bad").count(), 1);
  await picture("documents");
});

test("a trace shows what the call did", async () => {
  await ask(QUESTION);
  await answered();
  await page.locator(".meta a").last().click();
  await page.locator(".kind", { hasText: "function" }).waitFor();
  const text = await page.locator("main").innerText();
  for (const kind of ["retrieval", "chat"]) assert.match(text, new RegExp(kind));
  assert.match(text, /120 \+ 24/, "tokens are shown");
  await picture("trace");
});

test("a failing model is named, and the conversation can go on", async () => {
  await ask("Who taught anatomy to Lu Xun, while the model is out of order?");
  const notice = page.locator(".turn .notice");
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
        const asked = get(application.url + path, { headers }, (response) => {
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
  const response = await page.goto(`${application.url}/documents/nothing`);
  assert.equal(response.status(), 404);
  await page.locator(".bar .brand").waitFor();
});

// The last test: it ends the server.
test("a server that is gone is said to be gone", async () => {
  await application.stopServer();
  await ask(QUESTION);
  const notice = page.locator(".turn .notice");
  await notice.waitFor();
  assert.match(await notice.innerText(), /cannot be reached/);
});

async function assertSoon(condition, message) {
  for (let tries = 0; tries < 100; tries += 1) {
    if (condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.fail(message);
}

// Runs in the page: visible text whose contrast is below WCAG 2.2 AA.
function poorContrast() {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = ([r, g, b, a], [x, y, z]) => [r * a + x * (1 - a), g * a + y * (1 - a), b * a + z * (1 - a)];
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (node) => {
    const layers = [];
    for (let at = node; at; at = at.parentElement) layers.unshift(rgba(getComputedStyle(at).backgroundColor));
    return layers.reduce((below, layer) => over(layer, below), [255, 255, 255]);
  };
  const poor = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text = walker.nextNode(); text; text = walker.nextNode()) {
    const node = text.parentElement;
    if (!text.data.trim() || !node.checkVisibility() || node.closest(".sr, :disabled")) continue;
    const style = getComputedStyle(node);
    const below = ground(node);
    const [one, two] = [luminance(over(rgba(style.color), below)), luminance(below)].sort((a, b) => b - a);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const ratio = (one + 0.05) / (two + 0.05);
    if (ratio < (large ? 3 : 4.5)) poor.push(`${ratio.toFixed(2)} ${text.data.trim().slice(0, 40)}`);
  }
  return poor;
}
