// Audio: what is said, as text. Where the speech model is not pulled, only what needs no model is tested.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { APIError, BadRequestError, NotFoundError, toFile } from "openai";

import { client, hasSpeech, MODEL, refused, SPEECH_MODEL } from "./given.mjs";

const SPEECH = readFileSync(new URL("../../../../praxis-engine/tests/fixtures/speech/fox.ogg", import.meta.url));
const WORDS = ["quick", "brown", "fox", "lazy", "dog"];

const transcribe = async (options = {}) => client.audio.transcriptions.create({
  model: SPEECH_MODEL, file: await toFile(SPEECH, "fox.ogg"), ...options,
});

const spoken = (name, asking) => test(name, {
  skip: hasSpeech ? false : `SKIPPED: run \`praxis models pull ${SPEECH_MODEL}\``,
}, asking);

function assertSpoken(text) {
  const missing = WORDS.filter((word) => !text.toLowerCase().includes(word));
  assert.ok(missing.length <= 1, text);
}

/** A WAV file of a tone: one channel, 16 bits. */
function tone(seconds, rate = 16_000) {
  const count = Math.floor(seconds * rate);
  const bytes = Buffer.alloc(44 + 2 * count);
  bytes.write("RIFF", 0);
  bytes.writeUInt32LE(36 + 2 * count, 4);
  bytes.write("WAVEfmt ", 8);
  bytes.writeUInt32LE(16, 16);
  bytes.writeUInt16LE(1, 20);
  bytes.writeUInt16LE(1, 22);
  bytes.writeUInt32LE(rate, 24);
  bytes.writeUInt32LE(2 * rate, 28);
  bytes.writeUInt16LE(2, 32);
  bytes.writeUInt16LE(16, 34);
  bytes.write("data", 36);
  bytes.writeUInt32LE(2 * count, 40);
  for (let at = 0; at < count; at += 1) bytes.writeInt16LE(Math.trunc(8000 * Math.sin(at * 0.1)), 44 + 2 * at);
  return toFile(bytes, "tone.wav");
}

test("fields are checked, and named, before a model is needed", async () => {
  for (const [options, param] of [
    [{ language: "klingon" }, "language"],
    [{ temperature: 3 }, "temperature"],
    [{ response_format: "diarized_json" }, "response_format"],
    [{ timestamp_granularities: ["word"] }, "timestamp_granularities"],
    [{ include: ["logprobs"] }, "include[]"],
    [{ colour: "red" }, "colour"],
  ]) {
    const file = await tone(1);
    const error = await refused(BadRequestError, () => transcribe({ file, ...options }));
    assert.equal(error.param, param, error.message);
  }
});

test("a model that is none for speech is refused", async () => {
  const file = await tone(1);
  await refused(BadRequestError, () => transcribe({ model: MODEL, file }));
  await refused(NotFoundError, () => transcribe({ model: "whisper-99", file }));
});

test("a file that is too large is refused", async () => {
  const file = await toFile(Buffer.alloc(1_100_000), "a.wav");
  assert.equal((await refused(APIError, () => transcribe({ file }))).status, 413);
});

spoken("speech becomes text, also by OpenAI's name of the model", async () => {
  const { text, usage } = await transcribe();
  assertSpoken(text);
  assert.equal(usage.type, "duration");
  assertSpoken((await transcribe({ model: "whisper-1", language: "en", temperature: 0 })).text);
});

spoken("segments and words have times", async () => {
  const { language, duration, segments, words } = await transcribe({
    response_format: "verbose_json", timestamp_granularities: ["segment", "word"],
  });
  assert.equal(language, "english");
  assert.ok(duration > 2 && segments.length && words.length);
  const starts = words.map(({ start }) => start);
  assert.deepEqual(starts, starts.toSorted((a, b) => a - b));
  assert.ok(segments.at(-1).end <= duration);
  assertSpoken(words.map(({ word }) => word).join(" "));
});

spoken("formats that are no JSON are texts", async () => {
  assertSpoken(await transcribe({ response_format: "text" }));
  assert.match(await transcribe({ response_format: "srt" }), /^1\n00:00:0.* --> /);
  assert.match(await transcribe({ response_format: "vtt" }), /^WEBVTT\n\n00:00:0/);
});

spoken("a stream ends with the whole text", async () => {
  let text = "";
  let last = null;
  for await (const event of await transcribe({ stream: true })) {
    if (event.type === "transcript.text.delta") text += event.delta;
    last = event;
  }
  assert.equal(last.type, "transcript.text.done");
  assert.equal(text.trim(), last.text);
  assertSpoken(last.text);
});

spoken("a translation is English", async () => {
  const file = await toFile(SPEECH, "fox.ogg");
  assertSpoken((await client.audio.translations.create({ model: SPEECH_MODEL, file })).text);
});

spoken("what is no audio is the file's fault", async () => {
  const noise = await toFile(Buffer.from("This is a text, and no sound."), "a.mp3");
  for (const file of [noise, await tone(0.01)]) {
    assert.equal((await refused(BadRequestError, () => transcribe({ file }))).param, "file");
  }
});
