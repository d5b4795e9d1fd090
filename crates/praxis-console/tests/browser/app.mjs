// A running application for the tests: the real binary over a real knowledge base, with a chat model
// whose answers are written here, behind the protocol that any endpoint speaks. What is tested is
// the console; a real model's wording is not the same on two machines.

import { execFile, execFileSync, spawn } from "node:child_process";
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const DOCUMENTS = {
  "sendai.md": `# Studying in Sendai

## The town

Sendai is a town in the north of Japan. Winters are cold, and few students came from abroad.

## The teacher

Anatomy was taught by Fujino Genkuro, a thin man who wore an old coat. He corrected the lecture notes
of Lu Xun in red ink every week, from the first line to the last.
`,
  "老师.txt": `藤野先生

其时进来的是一个黑瘦的先生，八字须，戴着眼镜，挟着一叠大大小小的书。他说：“我就是叫作藤野严九郎的……”
`,
  "empty.pdf": "",
};

const CONFIG = (model) => `[app]
name = "sendai"
title = "Sendai archive"
description = "Answers about a student, a town and a teacher."

[defaults]
chat = "scripted"
embedding = "multilingual-e5-small"

[models.scripted]
provider = "openai"
base_url = "${model}/v1"
model = "scripted"
max_retries = 0

[console]
suggestions = ["Who taught anatomy to Lu Xun?", "鲁迅的解剖学老师是谁？", "What was Sendai like in winter?"]
`;

// A second function, which thinks before it answers.
const REASON = `---
description: Solves a problem.
input:
  schema:
    question: string
praxis.technique: step_by_step
---
{{question}}
`;

const SERVER = `
[server]
api_key = "env:PRAXIS_TEST_KEY"
`;

// All that Markdown can do, and what it must not.
const RICH = `# Fujino *Genkuro* [1]

He taught **anatomy** in ~~Tokyo~~ Sendai [1], as [the archive](https://archive.example/a?b=1&c=2) and
[the list](/documents) say; not [this](javascript:alert(1)), [that](data:text/html,x) or
![a picture](https://tracker.example/p.png). AT&amp;T, snake_case_name, 这是**“重要”**的一点。

> He corrected the notes [1]

- every week
  - in red ink [1]
- to the last line

3. third
4. fourth

| Who | Notes |
| --- | ---: |
| Fujino | \`red\` [1] |

\`\`\`sh
echo "<b>[1]</b>"
\`\`\`

<script>document.title = "broken in"</script>
`;

// What the documents say of whom, each with the words that say it.
const FACTS = [
  ["Anatomy was taught by Fujino Genkuro", "Fujino Genkuro", "person", "taught", "Anatomy", "subject"],
  ["He corrected the lecture notes of Lu Xun", "Fujino Genkuro", "person", "corrected_notes_of", "Lu Xun", "person"],
  ["a thin man who wore an old coat", "Fujino Genkuro", "person", "wore", "old coat", "thing"],
  ["in red ink every week", "Fujino Genkuro", "person", "wrote_in", "red ink", "thing"],
  ["Sendai is a town in the north of Japan", "Sendai", "place", "located_in", "Japan", "place"],
  ["戴着眼镜", "藤野严九郎", "person", "戴着", "眼镜", "thing"],
];

// The graph of a text, as a model that reads well would write it.
function extraction(text) {
  const said = text.replace(/\s+/g, " ").toLowerCase();
  const facts = FACTS.filter(([quote]) => said.includes(quote.toLowerCase()));
  const entities = facts.flatMap(([, subject, kind, , object, of]) => [
    { name: subject, type: kind }, { name: object, type: of },
  ]);
  const triples = facts.map(([quote, subject, , relation, object]) => ({ quote, subject, relation, object }));
  return JSON.stringify({ entities, triples });
}

// The answer to a question, in pieces.
function pieces(question) {
  if (question.includes("slowly")) return Array.from({ length: 400 }, (_, i) => `word${i} `);
  if (question.includes("rich text")) return RICH.match(/[\s\S]{1,12}/g);
  if (question.includes("step by step")) return "Two and two\nare four <b>.\nAnswer: **4**".match(/[\s\S]{1,4}/g);
  const text = /老师/.test(question)
    ? "教鲁迅解剖学的老师是**藤野严九郎**[1]。"
    : "Anatomy was taught by **Fujino Genkuro** [1].\n\n- He corrected the notes *every week*\n"
      + "- in `red ink`\n\n<img src=x onerror=\"document.title='broken in'\"> [9]";
  return text.match(/[\s\S]{1,6}/g);
}

// Pieces after which an answer waits where a test holds it: enough for something to be seen, and not all.
const BEFORE_HOLD = 6;

function scriptedModel() {
  const state = { dropped: 0, open: 0, held: null };
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (data) => (body += data));
    request.on("end", async () => {
      const { messages } = JSON.parse(body);
      const question = messages.at(-1).content.split("Question:").at(-1);
      const reads = messages[0].content.startsWith("You read a text");
      if (question.includes("out of order")) {
        response.writeHead(500, { "content-type": "application/json" });
        response.end(JSON.stringify({ error: { message: "the model is out of order" } }));
        return;
      }
      state.open += 1;
      let gone = false;
      response.on("close", () => {
        state.open -= 1;
        if (!response.writableFinished) { gone = true; state.dropped += 1; }
      });
      response.writeHead(200, { "content-type": "text/event-stream" });
      const send = (value) => response.write(`data: ${JSON.stringify(value)}\n\n`);
      let sent = 0;
      for (const content of reads ? [extraction(question)] : pieces(question)) {
        if (gone) return;
        send({ choices: [{ index: 0, delta: { content }, finish_reason: null }] });
        sent += 1;
        if (sent === BEFORE_HOLD) await state.held;
        await new Promise((resolve) => setTimeout(resolve, 30));
      }
      send({ choices: [{ index: 0, delta: {}, finish_reason: "stop" }] });
      send({ choices: [], usage: { prompt_tokens: 120, completion_tokens: 24, total_tokens: 144 } });
      response.end("data: [DONE]\n\n");
    });
  });
  // A connection that is closed just when it is used again would look like a failing model.
  server.keepAliveTimeout = 0;
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => {
    resolve({ server, state, url: `http://127.0.0.1:${server.address().port}` });
  }));
}

/** Starts the application: behind a `key` where one is given, with a `graph` where one is wanted, and with `tools`, the
 *  texts of tool files by their names. PRAXIS_BIN is the binary. */
export async function startApplication({ key, graph = false, tools = {} } = {}) {
  const binary = process.env.PRAXIS_BIN;
  if (!binary) throw new Error("PRAXIS_BIN must name the praxis binary");
  const model = await scriptedModel();
  const root = mkdtempSync(join(tmpdir(), "praxis-console-"));
  const app = join(root, "sendai");
  execFileSync(binary, ["new", app, "--template", "knowledge-qa", "--quiet"], { stdio: "ignore" });
  writeFileSync(join(app, "praxis.toml"), CONFIG(model.url) + (key ? SERVER : ""));
  writeFileSync(join(app, "prompts", "solve.prompt"), REASON);
  for (const folder of ["knowledge", "tools"]) mkdirSync(join(app, folder), { recursive: true });
  for (const [name, text] of Object.entries(tools)) writeFileSync(join(app, "tools", name), text);
  for (const [name, text] of Object.entries(DOCUMENTS)) writeFileSync(join(app, "knowledge", name), text);
  const praxis = (args) => promisify(execFile)(binary, [...args, "--app", app, "--quiet"]);
  await praxis(["ingest"]);
  if (graph) {
    appendFileSync(join(app, "knowledge", "docs.toml"), "\n[graph]\nenabled = true\n");
    // The model that it asks answers from this process.
    await praxis(["knowledge", "graph", "build"]);
  }
  const server = spawn(binary, ["serve", "--app", app, "--port", "0", "--json"], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, PRAXIS_TEST_KEY: key },
  });
  const url = await new Promise((resolve, reject) => {
    let out = "";
    server.stdout.on("data", (data) => {
      out += data;
      try { resolve(JSON.parse(out).url); } catch { /* not whole yet */ }
    });
    server.on("exit", (code) => reject(new Error(`praxis serve ended with ${code}: ${out}`)));
  });
  const stopServer = () => new Promise((resolve) => {
    if (server.exitCode !== null || server.signalCode !== null) return resolve();
    server.on("exit", resolve);
    server.kill("SIGTERM");
  });
  return {
    url,
    root: app,
    praxis,
    model: model.state,
    stopServer,
    /** Lets answers wait after their sixth piece, so that a test can look at one that goes on, however slow the machine
     *  is. Gives what lets them go on, which is to be called in any case. */
    hold() {
      let release;
      model.state.held = new Promise((resolve) => { release = resolve; });
      return () => {
        model.state.held = null;
        release();
      };
    },
    async close() {
      await stopServer();
      model.server.closeAllConnections();
      model.server.close();
      rmSync(root, { recursive: true, force: true });
    },
  };
}
