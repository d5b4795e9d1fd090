// Serves an application with the real binary, and runs the tests of this folder against it.
//
// usage: node run.mjs [NAME...]     (NAME is that of a file without `.test.mjs`; default: all)
//
// PRAXIS_BIN is the binary (default: target/debug/praxis). With PRAXIS_URL, a server that runs already is asked
// instead; it must serve the application that is made here.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

import { describe } from "./openapi.mjs";
import { DOCUMENT, EMBEDDER, KEY, MODEL, SPEECH_MODEL } from "./given.mjs";

const HERE = dirname(fileURLToPath(import.meta.url));
const ROOT = resolve(HERE, "../../../../..");
const BINARY = process.env.PRAXIS_BIN ?? join(ROOT, "target/debug/praxis");
const DESCRIPTION = resolve(ROOT, "../shared/conformance/openai-openapi.yaml");

const CONFIG = `[app]
name = "sendai"

[defaults]
chat = "${MODEL}"
embedding = "${EMBEDDER}"

[server]
api_key = "env:PRAXIS_TEST_KEY"

[files]
max_file_bytes = 1000000
`;

function praxis(...args) {
  return execFileSync(BINARY, args, { stdio: ["ignore", "pipe", "inherit"], encoding: "utf8" });
}

function makeApplication(folder) {
  const app = join(folder, "sendai");
  praxis("new", app, "--template", "knowledge-qa", "--quiet");
  writeFileSync(join(app, "praxis.toml"), CONFIG);
  mkdirSync(join(app, "knowledge"), { recursive: true });
  writeFileSync(join(app, "knowledge/sendai.md"), DOCUMENT);
  praxis("ingest", "--app", app, "--quiet");
  return app;
}

async function serve(app) {
  const args = ["serve", "--app", app, "--port", "0", "--json"];
  const server = spawn(BINARY, args, { stdio: ["ignore", "pipe", "inherit"] });
  let out = "";
  for await (const data of server.stdout.iterator({ destroyOnReturn: false })) {
    out += data;
    try {
      return { server, url: JSON.parse(out).url };
    } catch { /* not whole yet */ }
  }
  throw new Error(`praxis serve ended: ${out}`);
}

/** The exit code of the tests. */
async function test(names, folder, env) {
  const all = readdirSync(HERE).filter((file) => file.endsWith(".test.mjs"));
  const files = names.length ? names.map((name) => `${name}.test.mjs`) : all;
  const described = existsSync(DESCRIPTION);
  const description = join(folder, "openai.json");
  if (described) writeFileSync(description, JSON.stringify(describe(DESCRIPTION)));
  else console.error(`SKIPPED: answers are not held to the description: no ${DESCRIPTION}`);
  const options = ["--test-concurrency=1", "--test-reporter=spec", "--test-timeout=300000"];
  const tests = spawn(process.execPath, ["--test", ...options, ...files.map((file) => join(HERE, file))], {
    stdio: "inherit",
    env: { ...process.env, ...env, PRAXIS_BIN: BINARY, PRAXIS_DESCRIPTION: described ? description : "" },
  });
  const [code] = await once(tests, "exit");
  return code ?? 1;
}

async function stop(server) {
  if (server.exitCode === null) {
    server.kill("SIGTERM");
    await once(server, "exit");
  }
  assert.equal(server.exitCode, 0, "the server stops cleanly");
}

function isPulled(model) {
  return JSON.parse(praxis("models", "info", model, "--json")).path !== null;
}

async function main(names) {
  process.env.PRAXIS_TEST_KEY = KEY;
  const url = process.env.PRAXIS_URL;
  const missing = url ? [] : [MODEL, EMBEDDER].filter((model) => !isPulled(model));
  if (missing.length) {
    console.error(`SKIPPED: not in the cache: ${missing.join(", ")}`);
    return 0;
  }
  const speech = url || isPulled(SPEECH_MODEL) ? "yes" : "no";
  if (speech === "no") console.error(`SKIPPED: audio is not transcribed: not in the cache: ${SPEECH_MODEL}`);
  const folder = mkdtempSync(join(tmpdir(), "praxis-sdk-"));
  try {
    if (url) return await test(names, folder, { PRAXIS_URL: url, PRAXIS_TEST_SPEECH: speech });
    const app = makeApplication(folder);
    const served = await serve(app);
    try {
      return await test(names, folder, {
        PRAXIS_URL: served.url, PRAXIS_TEST_APP: app, PRAXIS_TEST_SPEECH: speech,
      });
    } finally {
      await stop(served.server);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

process.exitCode = await main(process.argv.slice(2));
