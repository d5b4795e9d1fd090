// A browser before a running application, new for each test. PRAXIS_CHROMIUM is the browser;
// PRAXIS_SCREENSHOTS is a folder for pictures of the pages.

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, afterEach, before, beforeEach } from "node:test";
import { chromium } from "playwright-core";

import { startApplication } from "./app.mjs";
import { poorContrast } from "./contrast.mjs";

const BROWSER = process.env.PRAXIS_CHROMIUM || "/usr/bin/chromium";
const PICTURES = process.env.PRAXIS_SCREENSHOTS;
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const DESKTOP = { viewport: { width: 1280, height: 800 }, colorScheme: "light" };

/** Sets up the tests of a file, before an application with these options (`startApplication`). */
export function useBrowser(options) {
  const desk = { application: null, page: null, problems: [] };
  let browser;

  before(async () => {
    if (PICTURES) mkdirSync(PICTURES, { recursive: true });
    desk.application = await startApplication(options);
    browser = await chromium.launch({ executablePath: BROWSER, args: FLAGS });
  });
  after(async () => {
    await browser?.close();
    await desk.application?.close();
  });
  beforeEach(() => desk.open(DESKTOP));
  afterEach(() => desk.page.context().close());

  /** Opens the first page in a browser that remembers nothing. */
  desk.open = async (options) => {
    await desk.page?.context().close();
    const context = await browser.newContext({ deviceScaleFactor: 2, ...options });
    desk.page = await context.newPage();
    desk.page.setDefaultTimeout(60000);
    desk.problems = [];
    desk.page.on("pageerror", (error) => desk.problems.push(String(error)));
    desk.page.on("console", (message) => {
      if (/Content Security Policy/.test(message.text())) desk.problems.push(message.text());
    });
    await desk.page.goto(desk.application.url);
  };

  desk.picture = async (name) => {
    if (PICTURES) await desk.page.screenshot({ path: join(PICTURES, `${name}.png`) });
  };

  /** Looks at the page in both themes, and whether it fits into windows of these sizes. */
  desk.fits = async (name, ...sizes) => {
    for (const scheme of ["light", "dark"]) {
      await desk.page.emulateMedia({ colorScheme: scheme });
      assert.deepEqual(await desk.page.evaluate(poorContrast), [], `${scheme} ${name}`);
      await desk.picture(`${name}-${scheme}`);
    }
    await desk.page.emulateMedia({ colorScheme: "light" });
    const whole = desk.page.viewportSize();
    for (const size of sizes) {
      await desk.page.setViewportSize(size);
      assert.equal(await desk.overflows(), false, `${name} at ${size.width}`);
    }
    await desk.picture(`${name}-phone`);
    await desk.page.setViewportSize(whole);
  };

  desk.ask = async (question) => {
    await desk.page.fill("#question", question);
    // The page's script listens as soon as it lets send what is written.
    await desk.page.locator("#send:enabled").waitFor({ state: "attached" });
    await desk.page.press("#question", "Enter");
  };

  desk.answered = () => desk.page.locator(".meta a", { hasText: "trace" }).last().waitFor();

  desk.overflows = () => desk.page.evaluate(() => document.documentElement.scrollWidth > innerWidth);

  return desk;
}
