// Calls of tools that wait for a person: shown as they are, let through once or not at all, and found in the log. The
// tool is a real one, which adds lines to files of a folder.

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { useBrowser } from "./browser.mjs";

const desk = useBrowser({ tools: { "notes.files.toml": "folder = \"workspace\"\n" } });
const APPEND = "notes/append";
const at = (path) => `${desk.application.url}${path}`;
const said = (selector = "main") => desk.page.locator(selector).innerText();

// Calls a function over the API, and gives the status, the error if there is one, and the approval that it waits for.
async function call(name, input) {
  const answer = await fetch(at(`/praxis/v1/functions/${encodeURIComponent(name)}/call`), {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ input }),
  });
  const { error } = await answer.json();
  return { status: answer.status, error, details: error?.details };
}

// The same, of a call that has to wait.
async function waits(input) {
  const { status, error, details } = await call(APPEND, input);
  assert.deepEqual([status, error.code, details.state], [403, "approval_needed", "pending"], error.message);
  return details;
}

// What a file of the tool's folder holds; nothing where it is not there.
function held(name) {
  const path = join(desk.application.root, "workspace", name);
  return existsSync(path) ? readFileSync(path, "utf8") : "";
}

// The card of an approval.
const card = (id) => desk.page.locator("#cards > li", { has: desk.page.locator(`h3[id="${id}"]`) });

// Opens the page with the card of a call that waits.
async function opened(details) {
  await desk.page.goto(at("/approvals"));
  await card(details.approval).waitFor();
  return card(details.approval);
}

const outcome = (of, words) => of.locator(".outcome", { hasText: words });
const button = (of, name) => of.getByRole("button", { name, exact: true });

const PHONES = [390, 320].map((width) => ({ width, height: 844 }));
const fits = (name) => desk.fits(name, ...PHONES);

// The first test: nothing was called yet.
test("a page without calls says so, and a call that waits comes onto it by itself", async () => {
  await desk.page.click("nav >> text=Approvals");
  await desk.page.waitForURL("**/approvals");
  assert.equal(await desk.page.title(), "Approvals · Sendai archive");
  await desk.page.locator("#summary", { hasText: "No call waits." }).waitFor();
  await desk.page.locator("#found", { hasText: "No tool was called yet." }).waitFor();
  assert.equal(await desk.page.locator("#waiting").isVisible(), false);
  const details = await waits({ path: "first.txt", text: "one\n" });
  await card(details.approval).waitFor();
  await desk.page.locator("#calls > li", { hasText: "waits" }).waitFor();
  assert.equal(await said("#summary"), "1 call waits.");
  assert.equal(await said("#found"), "");
  await button(card(details.approval), "Deny").click();
  await outcome(card(details.approval), "Denied").waitFor();
  assert.deepEqual(desk.problems, []);
});

test("a call is shown with all that a person has to know, and counted on every page", async () => {
  const details = await waits({ path: "known.txt", text: "one\n" });
  await desk.page.goto(at("/texts"));
  await desk.page.locator("#waiting", { hasText: "1" }).waitFor();
  await desk.page.click("nav >> text=Approvals");
  const shown = card(details.approval);
  await shown.waitFor();
  const words = await shown.innerText();
  assert.match(words, /^notes\/append\n/);
  assert.match(words, /read it looks at something\s+write it changes something/);
  assert.match(words, /because\s+it changes something/);
  assert.match(words, /asked by\s+the owner of the server/);
  assert.match(words, /asked\s+\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/);
  assert.match(words, /waits until\s+\d{4}-\d\d-\d\d \d\d:\d\d:\d\d, in 23 hours/);
  assert.match(words, new RegExp(`digest\\s+${details.digest}`));
  assert.match(words, /path\s+known\.txt\s+text\s+one/);
  await fits("approvals");
  await shown.locator("a[href^='/traces/']").click();
  await desk.page.locator(".kind", { hasText: "function" }).first().waitFor();
  assert.match(await said(), /notes\/append/);
  await button(await opened(details), "Deny").click();
  await outcome(card(details.approval), "Denied").waitFor();
  await desk.page.locator("#waiting").waitFor({ state: "hidden" });
  assert.deepEqual(desk.problems, []);
});

test("a call that is approved is made exactly once, however often it is asked for", async () => {
  const input = { path: "once.txt", text: "paid\n" };
  const details = await waits(input);
  const shown = await opened(details);
  await shown.getByLabel("Reason").fill("as agreed");
  await button(shown, "Approve").click();
  await outcome(shown, "Approved, and not made yet").waitFor();
  const next = await outcome(shown, "Approved").innerText();
  assert.match(next, /It is made once, when the owner of the server makes the same call again/);
  assert.match(next, /: as agreed$/m);
  assert.equal(await desk.page.evaluate(() => document.activeElement.className), "outcome");
  await fits("approvals-approved");
  assert.equal(held("once.txt"), "", "nothing is called from the page");
  const answers = await Promise.all(Array.from({ length: 6 }, () => call(APPEND, input)));
  assert.equal(answers.filter(({ status }) => status === 200).length, 1);
  for (const { status, error } of answers.filter((answer) => answer.status !== 200)) {
    assert.deepEqual([status, error.code], [403, "approval_needed"]);
  }
  assert.equal(held("once.txt"), "paid\n");
  await outcome(shown, "Made once").waitFor();
  await shown.locator("summary", { hasText: "What it gave" }).click();
  await shown.locator("details[open] .value").waitFor();
  assert.match(await shown.innerText(), /bytes\s+5/);
  const again = await waits(input);
  assert.notEqual(again.approval, details.approval);
  assert.equal(held("once.txt"), "paid\n");
  await card(again.approval).waitFor();
  await button(card(again.approval), "Deny").click();
  await outcome(card(again.approval), "Denied").waitFor();
  await desk.page.click("#clear");
  assert.equal(await desk.page.locator("#cards > li").count(), 0);
});

test("a call that is denied is not made, and its caller reads why", async () => {
  const input = { path: "denied.txt", text: "one\n" };
  const shown = await opened(await waits(input));
  await shown.getByLabel("Reason").fill("ask me <b>first</b>");
  await button(shown, "Deny").click();
  await outcome(shown, "Denied").waitFor();
  assert.match(await outcome(shown, "Denied").innerText(), /It is not made\.[\s\S]*ask me <b>first<\/b>/);
  assert.equal(await shown.locator("b").count(), 0);
  const { status, error } = await call(APPEND, input);
  assert.deepEqual([status, error.code], [403, "denied"]);
  assert.match(error.message, /ask me <b>first<\/b>/);
  assert.equal(held("denied.txt"), "");
});

test("an approval can be taken back as long as the call is not made", async () => {
  const input = { path: "back.txt", text: "one\n" };
  const shown = await opened(await waits(input));
  await button(shown, "Approve").click();
  await button(shown, "Take the approval back").click();
  await outcome(shown, "Denied").waitFor();
  assert.equal((await call(APPEND, input)).error.code, "denied");
  assert.equal(held("back.txt"), "");
});

test("changed arguments are another call, which needs an approval of its own", async () => {
  const [small, large] = [{ path: "sum.txt", text: "40\n" }, { path: "sum.txt", text: "4000\n" }];
  const first = await waits(small);
  await button(await opened(first), "Approve").click();
  await outcome(card(first.approval), "Approved").waitFor();
  const second = await waits(large);
  assert.notEqual(second.digest, first.digest);
  assert.equal(held("sum.txt"), "", "the approval of one is none of the other");
  const other = card(second.approval);
  await other.waitFor();
  assert.match(await other.innerText(), /text\s+4000/);
  assert.equal((await call(APPEND, small)).status, 200);
  assert.equal(held("sum.txt"), "40\n");
  await button(other, "Deny").click();
  await outcome(other, "Denied").waitFor();
});

test("what stands in arguments is text, whole, and hides nothing", async () => {
  const evil = "<img src=x onerror=\"document.title='broken in'\"><script>document.title='broken in'</script>";
  const long = `${"a line of a letter\n".repeat(300)}the end`;
  const details = await waits({ path: "<b>bold</b>.txt", text: `${evil} \u202Etxt.exe` });
  const shown = await opened(details);
  assert.match(await shown.innerText(), /<b>bold<\/b>\.txt/);
  assert.ok((await shown.innerText()).includes(evil));
  assert.match(await shown.innerText(), /\\u\{202E\}txt\.exe/);
  assert.equal(await shown.locator("img, script, b").count(), 0);
  const second = card((await waits({ path: "long.txt", text: long })).approval);
  await second.waitFor();
  assert.doesNotMatch(await second.innerText(), /the end/);
  await second.locator("summary", { hasText: "5,707 characters, 301 lines" }).click();
  assert.equal(await second.locator("pre").innerText(), long);
  await fits("approvals-text");
  assert.equal(await desk.page.title(), "Approvals · Sendai archive");
  for (const one of [shown, second]) {
    await button(one, "Deny").click();
    await outcome(one, "Denied").waitFor();
  }
  const [digits, plain] = await desk.page.evaluate(async () => {
    const { parse } = await import("/assets/exact.js");
    const { big, small } = parse("{\"big\": 12345678901234567890, \"small\": 5}");
    return [big.text, small];
  });
  assert.deepEqual([digits, plain], ["12345678901234567890", 5]);
  assert.deepEqual(desk.problems, []);
});

test("the keyboard is enough, and Enter in the reason decides nothing", async () => {
  const details = await waits({ path: "keys.txt", text: "one\n" });
  const shown = await opened(details);
  await shown.getByLabel("Reason").focus();
  await desk.page.keyboard.type("seen");
  await desk.page.keyboard.press("Enter");
  assert.equal(await button(shown, "Approve").isEnabled(), true);
  await desk.page.keyboard.press("Tab");
  assert.equal(await desk.page.evaluate(() => document.activeElement.textContent), "Approve");
  await desk.page.keyboard.press("Tab");
  assert.equal(await desk.page.evaluate(() => document.activeElement.textContent), "Deny");
  await desk.page.keyboard.press("Enter");
  await outcome(shown, "Denied").waitFor();
  assert.match(await outcome(shown, "Denied").innerText(), /: seen$/m);
  assert.equal(await desk.page.evaluate(() => document.activeElement.className), "outcome");
});

test("what was decided elsewhere is told, and not decided a second time", async () => {
  const details = await waits({ path: "elsewhere.txt", text: "one\n" });
  const shown = await opened(details);
  await desk.application.praxis(["approvals", "deny", details.approval, "--note", "not today"]);
  await outcome(shown, "not today").waitFor();
  assert.match(await outcome(shown, "Denied").innerText(), /By the command line: not today/);
  assert.equal(await button(shown, "Approve").count(), 0);
});

test("the log is read by tool and outcome, page by page", async () => {
  for (let n = 0; n < 45; n += 1) assert.equal((await call("notes/list", {})).status, 200);
  await desk.page.goto(at("/approvals"));
  const rows = desk.page.locator("#calls > li");
  await rows.nth(19).waitFor();
  assert.equal(await rows.count(), 20);
  const newest = await rows.first().innerText();
  assert.match(newest, /notes\/list done \d{4}-\d\d-\d\d \d\d:\d\d:\d\d · the owner of the server/);
  assert.match(newest, /it changes nothing/);
  await desk.page.click("#older");
  await rows.nth(39).waitFor();
  assert.equal(await desk.page.evaluate(() => document.activeElement.tagName), "LI");
  await desk.page.click("#older");
  await rows.nth(45).waitFor();
  await desk.page.selectOption("#outcome", "waits");
  await rows.filter({ hasNotText: "waits" }).first().waitFor({ state: "detached" });
  assert.match(await rows.first().innerText(), /notes\/append waits/);
  await rows.first().locator("summary").click();
  await rows.first().locator("details[open] .value").waitFor();
  const whole = await rows.first().innerText();
  assert.match(whole, /path\s+\S+\s+text/);
  assert.match(whole, /approval\s+approval-[0-9a-f]{32}\s+trace\s+[0-9a-f]{32}\s+digest\s+[0-9a-f]{64}/);
  await fits("approvals-log");
  await desk.page.selectOption("#outcome", "");
  await desk.page.fill("#tool", "notes/list");
  await desk.page.press("#tool", "Enter");
  await rows.filter({ hasText: "notes/append" }).first().waitFor({ state: "detached" });
  await rows.nth(19).waitFor();
  await desk.page.fill("#tool", "notes");
  await desk.page.press("#tool", "Enter");
  await rows.nth(19).waitFor();
  await desk.page.fill("#tool", "note");
  await desk.page.press("#tool", "Enter");
  await desk.page.locator("#found", { hasText: "No call is so." }).waitFor();
  assert.equal(await rows.count(), 0);
  assert.deepEqual(desk.problems, []);
});

// The last test: it ends the server.
test("a server that is gone is said to be gone, and nothing is taken for decided", async () => {
  const shown = await opened(await waits({ path: "gone.txt", text: "one\n" }));
  await desk.application.stopServer();
  await button(shown, "Approve").click();
  await shown.locator(".notice", { hasText: "cannot be reached" }).waitFor();
  assert.equal(await button(shown, "Approve").isEnabled(), true);
  await desk.page.locator("#problem .notice", { hasText: "cannot be reached" }).waitFor();
});
