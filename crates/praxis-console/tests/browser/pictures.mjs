// Takes the pictures of README.md from a running application (`make demo`):
//   PRAXIS_URL=http://127.0.0.1:8787 node pictures.mjs ../../../../docs/images
// Afterwards: pngquant --ext .png --force docs/images/*.png

import { join } from "node:path";
import { chromium } from "playwright-core";

const QUESTION = "How do I add a document loader?";
const CHINESE = "Praxis 支持哪些文件格式？";
const DESK = { viewport: { width: 1280, height: 800 }, deviceScaleFactor: 1 };
const PHONE = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true };

const [url, folder] = [process.env.PRAXIS_URL, process.argv[2]];
if (!url || !folder) throw new Error("PRAXIS_URL and a folder are needed");
const browser = await chromium.launch({
  executablePath: process.env.PRAXIS_CHROMIUM || "/usr/bin/chromium",
  args: ["--no-sandbox"],
});

async function picture(name, options, question) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  page.setDefaultTimeout(300_000);
  await page.goto(url);
  await page.fill("#question", question);
  await page.press("#question", "Enter");
  await page.locator(".meta a").waitFor();
  await page.locator(".answer .cite").first().click();
  await page.locator("#source-text mark").waitFor();
  await page.waitForLoadState("networkidle");
  await page.evaluate(() => document.activeElement.blur());
  await page.screenshot({ path: join(folder, `${name}.png`) });
  await context.close();
}

await picture("console", { ...DESK, colorScheme: "light" }, QUESTION);
await picture("console-dark", { ...DESK, colorScheme: "dark" }, CHINESE);
await picture("console-phone", { ...PHONE, colorScheme: "light" }, CHINESE);
await browser.close();
