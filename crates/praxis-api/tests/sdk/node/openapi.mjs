// Holds what the server answers to OpenAI's own description of its API, where that is at hand (openapi.py does so for
// Python's SDK): whole answers, each event of a stream, and errors. The contents of files are not held to it.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

import Ajv from "ajv/dist/2020.js";
import { parse } from "yaml";

const ID = "openai";

// What describes a schema's values and does not restrict them.
const SAID = ["description", "example", "examples", "default", "discriminator", "x-oaiMeta"];

/** What of the description is needed, as plain JSON: it takes seconds to read, so the runner does it once for all. */
export function describe(path) {
  const { paths, components } = parse(readFileSync(path, "utf8"));
  const operations = [];
  for (const [path, methods] of Object.entries(paths)) {
    // A query in a path marks variants of the beta.
    if (path.includes("?")) continue;
    for (const [method, { responses }] of Object.entries(methods)) {
      const content = responses?.["200"]?.content ?? {};
      const events = content["text/event-stream"]?.schema
        // A response that is looked at again is a stream too, which the description leaves out.
        ?? (path.startsWith("/responses/") ? { $ref: "#/components/schemas/ResponseStreamEvent" } : null);
      operations.push({
        method: method.toUpperCase(),
        path,
        whole: tidy(content["application/json"]?.schema ?? null),
        events: tidy(events),
      });
    }
  }
  // `/files/{id}` must not stand for paths without a parameter.
  const parameters = ({ path }) => path.split("{").length;
  operations.sort((a, b) => parameters(a) - parameters(b));
  return { operations, schemas: tidied(components.schemas) };
}

const tidied = (named) => Object.fromEntries(Object.entries(named).map(([name, schema]) => [name, tidy(schema)]));

// A schema as JSON Schema has it. `nullable` is a word of older descriptions; `oneOf` is meant as `anyOf`, since what
// tells the cases apart is said elsewhere.
function tidy(schema) {
  if (Array.isArray(schema)) return schema.map(tidy);
  if (schema === null || typeof schema !== "object") return schema;
  const plain = {};
  for (const [key, value] of Object.entries(schema)) {
    if (SAID.includes(key) || key === "nullable") continue;
    if (key === "properties") {
      plain.properties = tidied(value);
    } else if (key === "$ref") {
      plain.$ref = `${ID}${value}`;
    } else {
      plain[key === "oneOf" ? "anyOf" : key] = tidy(value);
    }
  }
  const nullable = schema.nullable || schema.allOf?.some((part) => part.nullable);
  return nullable ? { anyOf: [plain, { type: "null" }] } : plain;
}

/** A `fetch` for the SDK that fails where an answer is not what the description says, and is `fetch` without one. */
export function checkedFetch(description) {
  if (!description) return fetch;
  const check = new Checker(description);
  return async (input, init) => {
    const response = await fetch(input, init);
    const { pathname } = new URL(input);
    if (!pathname.startsWith("/v1/")) return response;
    const type = response.headers.get("content-type") ?? "";
    const what = `${init?.method ?? "GET"} ${pathname.slice("/v1".length)}`;
    if (type.startsWith("text/event-stream")) {
      const events = response.body.pipeThrough(eachEvent((event) => check.event(what, event)));
      return new Response(events, { status: response.status, headers: response.headers });
    }
    if (type.startsWith("application/json")) check.whole(what, response.status, await response.clone().json());
    return response;
  };
}

class Checker {
  #ajv = new Ajv({ strict: false, validateFormats: false, validateSchema: false });
  #operations;
  #schemas;
  #compiled = new Map();

  constructor({ operations, schemas }) {
    this.#schemas = schemas;
    this.#ajv.addSchema({ $id: ID, components: { schemas } });
    this.#operations = operations.map((operation) => {
      const pattern = operation.path.replace(/\{\w+\}/g, "[^/]+");
      return { ...operation, pattern: new RegExp(`^${operation.method} ${pattern}$`) };
    });
  }

  whole(what, status, value) {
    if (status >= 400) return this.#error(what, value);
    const { method, path, whole } = this.#operation(what);
    if (!whole || whole.type === "string") return;
    // The SDK asks for base64 where the description has numbers.
    if (path === "/embeddings") value.data.forEach((item) => { item.embedding = numbers(item.embedding); });
    this.#fit(`${method} ${path}`, whole, value);
  }

  event(what, value) {
    if (value.error && !value.type) return this.#error(what, value);
    const { method, path, events } = this.#operation(what);
    if (events) this.#fit(`${method} ${path}, event ${value.type ?? ""}`, this.#ofType(events, value.type), value);
  }

  #error(what, value) {
    this.#fit(`${what}, error`, { $ref: `${ID}#/components/schemas/ErrorResponse` }, value);
  }

  #operation(what) {
    const found = this.#operations.find(({ pattern }) => pattern.test(what));
    assert.ok(found, `${what} is not in the description`);
    return found;
  }

  // Of a schema of all events, that of one: what is wrong with it is then told in few words.
  #ofType(schema, type) {
    const named = ({ $ref }) => this.#schemas[$ref?.split("/").at(-1)];
    const cases = named(schema)?.anyOf;
    if (!cases) return schema;
    const found = cases.find((one) => named(one)?.properties?.type?.enum?.includes(type));
    assert.ok(found, `the description has no event \`${type}\``);
    return found;
  }

  #fit(what, schema, value) {
    const key = JSON.stringify(schema);
    if (!this.#compiled.has(key)) this.#compiled.set(key, this.#ajv.compile(schema));
    const validate = this.#compiled.get(key);
    if (validate(value)) return;
    const told = validate.errors.map(({ instancePath, message }) => `${instancePath} ${message}`).join("; ");
    assert.fail(`${what}: ${told}: ${JSON.stringify(value)}`);
  }
}

function numbers(embedding) {
  if (typeof embedding !== "string") return embedding;
  return Array.from(new Float32Array(new Uint8Array(Buffer.from(embedding, "base64")).buffer));
}

// Lets the bytes of a stream pass, and shows its events.
function eachEvent(show) {
  const decoder = new TextDecoder();
  let text = "";
  return new TransformStream({
    transform(bytes, controller) {
      const lines = (text + decoder.decode(bytes, { stream: true })).split("\n");
      text = lines.pop();
      for (const line of lines) {
        const data = line.startsWith("data:") ? line.slice("data:".length).trim() : "[DONE]";
        if (data !== "[DONE]") show(JSON.parse(data));
      }
      controller.enqueue(bytes);
    },
  });
}
