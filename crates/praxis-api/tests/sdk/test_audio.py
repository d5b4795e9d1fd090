"""The official `openai` SDK's audio endpoints against the real binary with a real speech model.

PRAXIS_BIN is the binary (default: target/debug/praxis). The speech model has to be pulled (`praxis models pull
whisper-base`); without it only what needs no model is tested. With PRAXIS_URL, a server that runs already is asked.
"""

import io
import math
import os
import pathlib
import struct
import sys
import tempfile
import unittest
import wave

import openai

import test_openai as base

MODEL = "whisper-base"
SPEECH = base.ROOT / "crates/praxis-engine/tests/fixtures/speech/fox.ogg"
WORDS = {"quick", "brown", "fox", "lazy", "dog"}


def cache():
    root = os.environ.get("PRAXIS_CACHE")
    if root:
        return pathlib.Path(root)
    home = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(home) / "praxis"


def setUpModule():
    global folder, server, client
    server = folder = None
    url = os.environ.get("PRAXIS_URL")
    if not url:
        folder = tempfile.TemporaryDirectory()
        app = base.make_application(folder.name)
        server, url = base.serve(app)
    hooks = {"response": [checker()]}
    client = openai.OpenAI(
        base_url=f"{url}/v1", api_key=base.KEY, max_retries=0, timeout=300,
        http_client=openai.DefaultHttpxClient(event_hooks=hooks),
    )


def checker():
    """Holds answers in JSON to OpenAI's own description of its API, where that is at hand. The description's
    `oneOf` fits no verbose answer, which is a brief one too: so the schema is chosen here.
    """
    path = base.ROOT.parent / "shared/conformance/openai-openapi.yaml"
    if not path.exists():
        print(f"SKIPPED: answers are not held to the description: no {path}", file=sys.stderr)
        return lambda response: None
    import jsonschema
    import yaml

    with open(path, encoding="utf-8") as file:
        components = yaml.load(file, getattr(yaml, "CSafeLoader", yaml.SafeLoader))["components"]

    def check(response):
        kind = response.headers.get("content-type", "")
        if response.status_code != 200 or not kind.startswith("application/json"):
            return
        response.read()
        body = response.json()
        task = "Transcription" if "transcriptions" in response.request.url.path else "Translation"
        form = "VerboseJson" if "duration" in body else "Json"
        schema = {"$ref": f"#/components/schemas/Create{task}Response{form}", "components": components}
        errors = list(jsonschema.Draft202012Validator(schema).iter_errors(body))
        assert not errors, [f"{error.json_path}: {error.message}" for error in errors]

    return check


def tearDownModule():
    if server:
        server.terminate()
        assert server.wait(60) == 0, "the server stops cleanly"
        server.stdout.close()
    if folder:
        folder.cleanup()


def tone(seconds, rate=16_000):
    """A WAV file of a tone."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        samples = (int(8000 * math.sin(i * 0.1)) for i in range(int(seconds * rate)))
        file.writeframes(b"".join(struct.pack("<h", s) for s in samples))
    return ("tone.wav", out.getvalue())


class Refusals(unittest.TestCase):
    """What is wrong with a request is told before any model is needed for it."""

    def refused(self, param, **options):
        options = {"model": MODEL, "file": tone(1), **options}
        with self.assertRaises(openai.BadRequestError) as caught:
            client.audio.transcriptions.create(**options)
        self.assertEqual(caught.exception.body["param"], param, caught.exception.body)

    def test_fields_are_checked(self):
        self.refused("language", language="klingon")
        self.refused("temperature", temperature=3)
        self.refused("response_format", response_format="diarized_json")
        self.refused("timestamp_granularities", timestamp_granularities=["word"])
        self.refused("include[]", include=["logprobs"])
        self.refused("colour", extra_body={"colour": "red"})

    def test_a_model_that_is_none_for_speech(self):
        with self.assertRaises(openai.BadRequestError):
            client.audio.transcriptions.create(model=base.MODEL, file=tone(1))
        with self.assertRaises(openai.NotFoundError):
            client.audio.transcriptions.create(model="whisper-99", file=tone(1))

    def test_a_file_that_is_too_large(self):
        with self.assertRaises(openai.APIStatusError) as caught:
            client.audio.transcriptions.create(model=MODEL, file=("a.wav", bytes(1_100_000)))
        self.assertEqual(caught.exception.status_code, 413)


@unittest.skipUnless((cache() / "models" / MODEL).exists() or os.environ.get("PRAXIS_URL"),
                     f"SKIPPED: run `praxis models pull {MODEL}`")
class Speech(unittest.TestCase):
    def transcribe(self, **options):
        with open(SPEECH, "rb") as file:
            return client.audio.transcriptions.create(**{"model": MODEL, "file": file, **options})

    def assert_spoken(self, text):
        missing = {word for word in WORDS if word not in text.lower()}
        self.assertLessEqual(len(missing), 1, text)

    def test_speech_becomes_text(self):
        answer = self.transcribe()
        self.assert_spoken(answer.text)
        self.assertEqual(answer.usage.type, "duration")

    def test_openais_name_of_the_model_is_known(self):
        self.assert_spoken(self.transcribe(model="whisper-1", language="en", temperature=0).text)

    def test_times_of_segments_and_words(self):
        answer = self.transcribe(
            response_format="verbose_json", timestamp_granularities=["segment", "word"],
        )
        self.assertEqual(answer.language, "english")
        self.assertGreater(answer.duration, 2)
        self.assertTrue(answer.segments and answer.words)
        starts = [word.start for word in answer.words]
        self.assertEqual(starts, sorted(starts))
        self.assertLessEqual(answer.segments[-1].end, answer.duration)
        self.assert_spoken(" ".join(word.word for word in answer.words))

    def test_formats_that_are_no_json(self):
        text = self.transcribe(response_format="text")
        self.assert_spoken(text)
        srt = self.transcribe(response_format="srt")
        self.assertTrue(srt.startswith("1\n00:00:0") and " --> " in srt, srt)
        vtt = self.transcribe(response_format="vtt")
        self.assertTrue(vtt.startswith("WEBVTT\n\n00:00:0"), vtt)

    def test_a_stream_ends_with_the_whole_text(self):
        events = list(self.transcribe(stream=True))
        self.assertEqual(events[-1].type, "transcript.text.done")
        deltas = [event.delta for event in events if event.type == "transcript.text.delta"]
        self.assertEqual("".join(deltas).strip(), events[-1].text)
        self.assert_spoken(events[-1].text)

    def test_a_translation_is_english(self):
        with open(SPEECH, "rb") as file:
            answer = client.audio.translations.create(model=MODEL, file=file)
        self.assert_spoken(answer.text)

    def test_what_is_no_audio_is_the_files_fault(self):
        for name, content in [("a.mp3", b"This is a text, and no sound."), tone(0.01)]:
            with self.assertRaises(openai.BadRequestError) as caught:
                client.audio.transcriptions.create(model=MODEL, file=(name, content))
            self.assertEqual(caught.exception.body["param"], "file")


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[1:]])
