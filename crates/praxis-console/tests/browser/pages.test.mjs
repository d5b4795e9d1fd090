// The pages beside the conversation as people use them: how a file would be cut, texts compared, a graph read.

import assert from "node:assert/strict";
import { test } from "node:test";

import { useBrowser } from "./browser.mjs";

const desk = useBrowser({ graph: true });
const at = (path) => `${desk.application.url}${path}`;
const PHONE = { viewport: { width: 390, height: 844 }, colorScheme: "light", hasTouch: true, isMobile: true };

const GUIDE = `# Trains

## Prices

The price depends on the class, and \`<img src=x onerror="document.title='broken in'">\` on nothing else. Children under
six years travel free, all others pay what the table says.

| Class | Price | Bed |
| --- | --- | --- |
| 1 | 120 | yes |
| 2 | 60 | no |

## 卧铺

${"夜车每天晚上九点开往北方，第二天早上七点到达。上铺便宜，下铺宽敞。".repeat(12)}
`;

const file = (name, text) => ({ name, mimeType: "text/plain", buffer: Buffer.from(text) });
const said = (selector = "main") => desk.page.locator(selector).innerText();

const fits = (name) => desk.fits(name, PHONE.viewport);

test("a file is shown as it would be cut, and nothing of it is kept", async () => {
  await desk.page.goto(at("/documents"));
  await desk.page.click("text=See how a file would be cut");
  await desk.page.waitForURL("**/documents/preview?base=docs");
  assert.equal(await desk.page.title(), "How a file would be cut · Sendai archive");
  await desk.page.setInputFiles("#file", file("trains.md", GUIDE));
  const chunks = desk.page.locator(".chunk");
  await chunks.first().waitFor();
  assert.ok(await chunks.count() >= 2);
  assert.equal(await said("#result h2"), "Trains");
  assert.match(await said("#result header"), /trains\.md · Markdown · [\d,]+ characters · \d+ blocks · \d+ passages of at most 128 tokens/);
  assert.match(await chunks.first().innerText(), /Trains.*\n\d+ of 128 tokens/s);
  assert.match(await said("#result"), /<img src=x onerror=/);
  assert.equal(await desk.page.locator("#result img").count(), 0);
  assert.equal(await desk.page.title(), "How a file would be cut · Sendai archive");
  assert.equal(await desk.page.locator(".chunk td", { hasText: "120" }).innerText(), "120");
  const chinese = chunks.filter({ hasText: "夜车" }).first();
  assert.equal(await chinese.locator(".text").getAttribute("lang"), "zh-Hans");
  assert.equal(await chinese.locator(".where").innerText(), "Trains › 卧铺");
  assert.equal(await said("#status"), "");
  await fits("preview");
  await desk.page.goto(at("/documents"));
  assert.doesNotMatch(await said(), /Trains/);
  assert.deepEqual(desk.problems, []);
});

test("a file can be dropped, and a long one is shown bit by bit", async () => {
  await desk.page.goto(at("/documents/preview"));
  const long = Array.from({ length: 90 }, (_, n) => `# Part ${n}\n\n${`Sentence ${n} of the part. `.repeat(16)}\n`);
  const dropped = await desk.page.evaluateHandle((text) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([text], "long.md"));
    return transfer;
  }, long.join("\n"));
  await desk.page.dispatchEvent("#drop", "dragenter", { dataTransfer: dropped });
  assert.equal(await desk.page.locator("#drop.over").count(), 1);
  await desk.page.dispatchEvent("#drop", "drop", { dataTransfer: dropped });
  const chunks = desk.page.locator(".chunk");
  await chunks.first().waitFor();
  assert.equal(await desk.page.locator("#drop.over").count(), 0);
  assert.equal(await chunks.count(), 50);
  await desk.page.locator("#result button", { hasText: "more of" }).click();
  assert.ok(await chunks.count() > 50);
  assert.equal(await desk.page.evaluate(() => document.activeElement.querySelector(".kind").textContent), "51");
});

test("a file that cannot be read is told with the fix, and the next one is read", async () => {
  await desk.page.goto(at("/documents/preview"));
  for (const [name, text, message] of [
    ["empty.txt", " \n", /`empty\.txt` holds no text.*fill it/],
    ["damaged.docx", "PK\u0003\u0004 and no more", /damaged\.docx/],
  ]) {
    await desk.page.setInputFiles("#file", file(name, text));
    const notice = desk.page.locator("#result .notice", { hasText: name });
    await notice.waitFor();
    assert.match(await notice.innerText(), message);
    assert.equal(await notice.getAttribute("role"), "alert");
  }
  await desk.page.setInputFiles("#file", file("notes.txt", "All is well."));
  await desk.page.locator(".chunk").waitFor();
  assert.equal(await desk.page.locator("#result .notice").count(), 0);
});

test("an example shows all that can be done with texts", async () => {
  await desk.page.click("nav >> text=Texts");
  await desk.page.waitForURL("**/texts");
  assert.equal(await desk.page.title(), "Texts · Sendai archive");
  assert.equal(await said("#counted"), "No texts yet");
  await fits("texts-empty");
  await desk.page.click("#example");
  assert.equal(await said("#counted"), "12 texts");
  const go = async (word) => {
    await desk.page.locator(`.choice:has([value=${word}])`).click();
    await desk.page.click("#go");
    await desk.page.locator("#result .meta").waitFor();
    return said("#result");
  };
  const nearest = await go("similar");
  assert.match(nearest, /^10 texts, the nearest first\./);
  assert.match(nearest, /0\.\d{3}\s+(Where is my parcel|我的包裹)/);
  assert.equal(await desk.page.locator("#query").isVisible(), true);
  assert.equal(await desk.page.locator("#labels").isVisible(), false);
  await fits("texts-similar");
  const classes = await go("classify");
  assert.match(classes, /delivery \d.*billing \d|billing \d.*delivery \d/);
  const row = desk.page.locator(".found tr", { hasText: "crashes" });
  assert.match(await row.innerText(), /defect\s+then .*\d+\s%\s+\d+\s%/);
  await fits("texts-classify");
  const topics = await go("cluster");
  assert.match(topics, /^\d+ topics/);
  assert.ok(await desk.page.locator(".group h3").count() >= 2);
  await fits("texts-cluster");
  await desk.page.fill("#lines", `${await desk.page.inputValue("#lines")}\nHow do I change my password ?`);
  await desk.page.locator(".choice:has([value=duplicates])").click();
  await desk.page.fill("#threshold", "0.97");
  assert.match(await go("duplicates"), /^\d+ of 13 texts says? what another one says\.[\s\S]*change my password \?/);
  await fits("texts-duplicates");
  const fitting = await go("recommend");
  assert.match(fitting, /^10 texts, the most fitting first\./);
  assert.doesNotMatch(fitting, /charged twice/);
  assert.match(await said("#picked"), /1 liked, 1 disliked/);
  await desk.page.locator(".picks li", { hasText: "Can I pay" }).locator("text=Like >> nth=0").click();
  assert.match(await said("#picked"), /2 liked, 1 disliked/);
  await fits("texts-recommend");
  await desk.page.click("#result .meta a");
  await desk.page.locator(".kind", { hasText: "function" }).waitFor();
  assert.match(await said(), /praxis\/recommend/);
  await desk.page.click("nav >> text=Texts");
  await desk.page.waitForURL("**/texts");
  assert.equal(await desk.page.locator("[value=recommend]").isChecked(), true, "what was put in is still there");
  assert.match(await said("#picked"), /2 liked, 1 disliked/);
  assert.deepEqual(desk.problems, []);
});

test("what is missing is said, and the focus is where it belongs", async () => {
  await desk.page.goto(at("/texts"));
  const focused = () => desk.page.evaluate(() => document.activeElement.id);
  const complains = async (message, id) => {
    await desk.page.click("#go");
    await desk.page.locator("#result .notice", { hasText: message }).waitFor();
    assert.equal(await focused(), id);
  };
  await complains("Put in some texts first", "lines");
  await desk.page.fill("#lines", "one\n<b>two</b>");
  await complains("Put in a question first", "query");
  await desk.page.locator(".choice:has([value=classify])").click();
  await desk.page.fill("#labels", "only: one class");
  await complains("two classes or more", "labels");
  await desk.page.fill("#labels", "number\n标记：<b>bold</b>");
  await desk.page.press("#labels", "Tab");
  await desk.page.keyboard.press("Enter");
  await desk.page.locator("#result .meta").waitFor();
  assert.match(await said("#result"), /<b>two<\/b>[\s\S]*标记/);
  assert.equal(await desk.page.locator("#result b").count(), 0);
  assert.equal(await focused(), "go");
  await desk.page.locator("#go").focus();
  await desk.page.locator("[value=classify]").focus();
  await desk.page.keyboard.press("ArrowRight");
  assert.equal(await desk.page.locator("#topics").isVisible(), true, "arrows choose what to do");
});

test("texts come from files: lines, tables and records", async () => {
  await desk.page.goto(at("/texts"));
  for (const [name, text, lines] of [
    ["a.txt", "one\r\n\n two \n", "one\ntwo"],
    ["a.csv", 'id,text\n1,"a, ""b"""\n2,"two\nlines"\n', 'a, "b"\ntwo lines'],
    ["b.csv", "7;the longest of them\n8;short\n", "the longest of them\nshort"],
    ["a.jsonl", '{"id": 1, "text": "一"}\n{"title": "two"}\n"three"\n', "一\ntwo\nthree"],
  ]) {
    await desk.page.setInputFiles("#file", file(name, text));
    await desk.page.locator("#counted", { hasText: name }).waitFor();
    assert.equal(await desk.page.inputValue("#lines"), lines, name);
  }
  await desk.page.setInputFiles("#file", { name: "gb.txt", mimeType: "text/plain", buffer: Buffer.from([0xd6, 0xd0, 0xce, 0xc4]) });
  await desk.page.locator("#counted", { hasText: "gb.txt" }).waitFor();
  assert.equal(await desk.page.inputValue("#lines"), "中文");
  await desk.page.setInputFiles("#file", file("many.txt", Array.from({ length: 2100 }, (_, n) => `text ${n}`).join("\n")));
  await desk.page.locator("#counted", { hasText: "2,000 texts from many.txt, the first of 2,100" }).waitFor();
  await desk.page.setInputFiles("#file", file("bad.jsonl", "{}\n"));
  await desk.page.locator("#result .notice", { hasText: "Line 1 has no text" }).waitFor();
});

test("a graph is read from its entities to the words that state it", async () => {
  await desk.page.goto(at("/documents"));
  await desk.page.click("text=/Graph of \\d+ entities/");
  await desk.page.waitForURL("**/documents/graph/docs");
  assert.equal(await desk.page.title(), "Graph of docs · Sendai archive");
  assert.match(await said(), /\d+ entities and \d+ relations, from \d passages?/);
  await fits("graph");
  await desk.page.locator(".chips a", { hasText: "place" }).click();
  await desk.page.locator("h2", { hasText: "Most often named of type place" }).waitFor();
  assert.doesNotMatch(await said(".rows"), /Genkuro/);
  await desk.page.fill("#entity", "genk");
  await desk.page.press("#entity", "Enter");
  await desk.page.locator("h2", { hasText: "With “genk” in their names" }).waitFor();
  await desk.page.click(".rows a");
  await desk.page.locator("h1", { hasText: "Fujino Genkuro" }).waitFor();
  assert.equal(await desk.page.locator(".triples > li").count(), 4);
  assert.match(await said(".triples"), /Fujino Genkuro corrected notes of Lu Xun\s+He corrected the lecture notes of Lu Xun sendai\.md/);
  assert.equal(await desk.page.locator(".picture a").count(), 4);
  await fits("graph-entity");
  await desk.page.fill("#to", "anatomy");
  await desk.page.press("#to", "Enter");
  await desk.page.locator("h1", { hasText: "From Fujino Genkuro to anatomy" }).waitFor();
  assert.equal(await desk.page.locator("ol.triples > li").count(), 1);
  await desk.page.locator("blockquote a").first().click();
  await desk.page.locator("mark#passage").waitFor();
  assert.equal((await desk.page.locator("mark").allInnerTexts()).join(" "), "Anatomy was taught by Fujino Genkuro");
  await desk.page.goto(at("/documents/graph/docs?entity=Fujino+Genkura"));
  assert.match(await said(".notice"), /did you mean `Fujino Genkuro`/);
  assert.equal((await desk.page.goto(at("/documents/graph/none"))).status(), 404);
  assert.deepEqual(desk.problems, []);
});

test("a phone has room for all of it", async () => {
  await desk.open(PHONE);
  for (const tab of ["Documents", "Approvals", "Texts", "Traces", "Chat"]) {
    await desk.page.locator("nav a", { hasText: tab }).tap();
    await desk.page.locator(`nav a[aria-current]`, { hasText: tab }).waitFor();
    assert.equal(await desk.overflows(), false, tab);
  }
  await desk.page.setViewportSize({ width: 320, height: 640 });
  for (const path of ["/documents", "/documents/preview", "/approvals", "/texts", "/documents/graph/docs"]) {
    await desk.page.goto(at(path));
    assert.equal(await desk.overflows(), false, path);
  }
});
