"""Every field of a request in OpenAI's own description of its API is one that the server's document has, or it is refused
by its name, or it is in a list of those that change no answer, with the reason. Left out: fields within fields.

The set-up is that of test_openai.py. The description is looked for as in openapi.py.
"""

import re
import sys
import unittest

import openai

import openapi_own
import test_openai as base
from test_openai import MODEL, user

DESCRIPTION = base.ROOT.parent / "shared/conformance/openai-openapi.yaml"
SPEECH = "whisper-base"

CHAT = "/v1/chat/completions"
RESPONSES = "/v1/responses"
TOKENS = "/v1/responses/input_tokens"
COMPACT = "/v1/responses/compact"
AUDIO = "/v1/audio/transcriptions"

# What a request needs beside the field.
BODIES = {
    CHAT: {"model": MODEL, "messages": user("x"), "max_tokens": 1},
    RESPONSES: {"model": MODEL, "input": "x", "max_output_tokens": 1},
    TOKENS: {"model": MODEL, "input": "x"},
    AUDIO: {"model": SPEECH},
}

# Fields that would change an answer and are not supported, each with a value that is refused.
REFUSED = {
    CHAT: {
        "audio": {"voice": "ash", "format": "wav"},
        "function_call": "auto",
        "functions": [{"name": "f", "parameters": {}}],
        "modalities": ["text", "audio"],
        "moderation": {"model": "omni-moderation-latest"},
        "prediction": {"type": "content", "content": "x"},
        "store": True,
        "web_search_options": {"search_context_size": "low"},
    },
    RESPONSES: {
        "context_management": [{"type": "compaction", "compact_threshold": 1000}],
        "moderation": {"model": "omni-moderation-latest"},
        "prompt": {"id": "pmpt_1"},
    },
    TOKENS: {"personality": "friendly"},
    AUDIO: {
        "include": "logprobs",
        "keywords": "otter",
        "known_speaker_names": "ann",
        "known_speaker_references": "data:audio/wav;base64,",
        "languages": "en",
    },
}

# Fields that change no answer, and why.
IGNORED = {
    CHAT: {"metadata": "it is for chats that are kept, and none is"},
    RESPONSES: {"stream_options": "no stream is obfuscated"},
    COMPACT: {
        "prompt_cache_options": "what is said of caches is a hint",
        "prompt_cache_retention": "what is said of caches is a hint",
    },
}


def setUpModule():
    global web, document
    base.setUpModule()
    document = openapi_own.load(base.url, base.KEY)
    headers = {"authorization": f"Bearer {base.KEY}"}
    web = openai.DefaultHttpxClient(base_url=base.url, headers=headers, timeout=300)


def tearDownModule():
    web.close()
    base.tearDownModule()


def fields(document, schema):
    """The names of an object's fields, in whatever parts it is described."""
    if "$ref" in schema:
        return fields(document, document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]])
    # As clients write a list in a form.
    found = {name.removesuffix("[]") for name in schema.get("properties", {})}
    for word in ["allOf", "anyOf", "oneOf"]:
        for part in schema.get(word, []):
            found |= fields(document, part)
    return found


def requests(document, start=""):
    """The fields of what each address takes, without the names of its parameters."""
    found = {}
    for path, methods in document["paths"].items():
        # A query in a path marks variants of the beta.
        if "?" in path:
            continue
        for method, operation in methods.items():
            if method in ["post", "put", "patch"]:
                content = operation.get("requestBody", {}).get("content", {}).values()
                names = set().union(*(fields(document, one["schema"]) for one in content))
                found[(method, start + re.sub(r"{\w+}", "{}", path))] = names
    return found


class Fields(unittest.TestCase):
    def test_each_is_read_or_refused_or_changes_nothing(self):
        if not DESCRIPTION.exists():
            self.skipTest(f"SKIPPED: no {DESCRIPTION}")
        import yaml

        with open(DESCRIPTION, encoding="utf-8") as file:
            description = yaml.load(file, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        ours = requests(document)
        served = {key: names for key, names in requests(description, "/v1").items() if key in ours}
        self.assertGreater(len(served), 20)
        for (method, path), names in served.items():
            known = REFUSED.get(path, {}).keys() | IGNORED.get(path, {}).keys()
            self.assertEqual(names - ours[(method, path)], known, f"{method} {path}")

    def test_what_is_not_supported_is_refused_by_name(self):
        for path, refused in REFUSED.items():
            for name, value in refused.items():
                body = {**BODIES[path], name: value}
                if path == AUDIO:
                    answer = web.post(path, data=body, files={"file": ("a.wav", b"RIFF")})
                else:
                    answer = web.post(path, json=body)
                self.assertEqual(answer.status_code, 400, f"{path} {name}: {answer.text}")
                self.assertEqual(answer.json()["error"]["param"], name, f"{path}: {answer.text}")


if __name__ == "__main__":
    cache = base.pathlib.Path(base.os.environ.get("PRAXIS_CACHE", base.pathlib.Path.home() / ".cache/praxis"))
    missing = [name for name in [MODEL, base.EMBEDDER] if not list(cache.glob(f"**/{name}"))]
    if missing and "PRAXIS_URL" not in base.os.environ:
        print(f"SKIPPED: not in the cache: {', '.join(missing)}", file=sys.stderr)
        sys.exit(0)
    unittest.main(verbosity=2)
