"""Praxis and other programs that speak OpenAI's API: litellm asks Praxis, and Praxis asks llama-cpp-python's server.

`scripts/test-interchange.sh` installs both and runs this; without them it is skipped. PRAXIS_BIN is the binary
(default: target/debug/praxis). The server has the GGUF file of Praxis's own model: both can be asked for the same.
"""

import asyncio
import importlib.util
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request

import openai

from test_openai import BINARY, KEY, MODEL, WEATHER, praxis, serve, user

EMBEDDER = "all-minilm-l6-v2"
PEER_KEY = "sk-peer-test"
# Tokens that the server has room for; one prompt of the tests is longer.
PEER_CONTEXT = 512

DOCUMENT = """# Studying in Sendai

Anatomy was taught by Fujino Genkuro, a thin man who wore an old coat.
"""

CONFIG = f"""[app]
name = "interchange"

[defaults]
chat = "{MODEL}"
embedding = "{EMBEDDER}"

[server]
api_key = "env:PRAXIS_TEST_KEY"
"""

PEERS = """
[models.peer]
provider = "openai"
base_url = "http://127.0.0.1:{port}/v1"
api_key = "env:PRAXIS_TEST_PEER_KEY"
model = "peer"
max_retries = 0

[models.peer-server]
provider = "llama-server"
base_url = "http://127.0.0.1:{port}/v1"
api_key = "env:PRAXIS_TEST_PEER_KEY"
model = "peer"

[models.peer-vectors]
provider = "openai"
task = "embedding"
base_url = "http://127.0.0.1:{port}/v1"
api_key = "env:PRAXIS_TEST_PEER_KEY"
model = "peer"
max_retries = 0

[models.stranger]
provider = "openai"
base_url = "http://127.0.0.1:{port}/v1"
api_key = "env:PRAXIS_TEST_KEY"
model = "peer"

[models.away]
provider = "openai"
base_url = "http://127.0.0.1:{closed}/v1"
api_key = "env:PRAXIS_TEST_PEER_KEY"
model = "peer"
max_retries = 0

[models.careful]
provider = "openai"
base_url = "http://127.0.0.1:{closed}/v1"
api_key = "env:PRAXIS_TEST_PEER_KEY"
model = "peer"
max_retries = 0
fallback = ["peer"]
"""


def installed(package):
    """Skips what needs a package that is not here, and says so."""
    there = importlib.util.find_spec(package) is not None
    why = f"SKIPPED: {package} is not installed; scripts/test-interchange.sh installs it and runs this"
    return unittest.skipUnless(there, why)


def free_port():
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return it.getsockname()[1]


class Application:
    """Praxis over an application of its own."""

    def __init__(self, config):
        self.folder = tempfile.TemporaryDirectory()
        self.app = str(pathlib.Path(self.folder.name) / "interchange")
        praxis("new", self.app, "--template", "knowledge-qa")
        pathlib.Path(self.app, "praxis.toml").write_text(config, encoding="utf-8")
        pathlib.Path(self.app, "knowledge/sendai.md").write_text(DOCUMENT, encoding="utf-8")
        os.environ["PRAXIS_TEST_KEY"] = KEY
        praxis("ingest", "--app", self.app)
        self.server, url = serve(self.app)
        self.url = f"{url}/v1"
        self.client = openai.OpenAI(base_url=self.url, api_key=KEY, max_retries=0, timeout=300)

    def key(self, name, *options):
        command = [BINARY, "keys", "create", name, *options, "--app", self.app, "--json"]
        return json.loads(subprocess.check_output(command, text=True))["key"]

    def stop(self):
        self.server.terminate()
        assert self.server.wait(60) == 0, "the server stops cleanly"
        self.server.stdout.close()
        self.folder.cleanup()


@installed("litellm")
class LitellmAsksPraxis(unittest.TestCase):
    QUESTION = "Who taught anatomy to Lu Xun?"

    @classmethod
    def setUpClass(cls):
        # Its table of models, and nothing else of the network.
        os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
        import litellm

        cls.litellm = litellm
        litellm.telemetry = False
        litellm.suppress_debug_info = True
        cls.praxis = Application(CONFIG)
        cls.addClassCleanup(cls.praxis.stop)

    def options(self, model=MODEL, **options):
        given = {"model": f"openai/{model}", "api_base": self.praxis.url, "api_key": KEY, "max_retries": 0}
        return {**given, **options}

    def ask(self, text="Name a colour.", **options):
        options = {"messages": user(text), "temperature": 0, "max_tokens": 8, **options}
        return self.litellm.completion(**self.options(**options))

    def expected(self, text="Name a colour."):
        """What OpenAI's own SDK gets."""
        answer = self.praxis.client.chat.completions.create(
            model=MODEL, messages=user(text), temperature=0, max_tokens=8
        )
        return answer.choices[0].message.content, answer.usage

    def test_a_whole_answer_is_that_of_openais_sdk(self):
        answer = self.ask()
        text, usage = self.expected()
        self.assertEqual(answer.choices[0].message.content, text)
        self.assertEqual(
            (answer.usage.prompt_tokens, answer.usage.completion_tokens),
            (usage.prompt_tokens, usage.completion_tokens),
        )
        self.assertIn(answer.choices[0].finish_reason, ["stop", "length"])

    def test_a_streamed_answer_is_the_same(self):
        chunks = list(self.ask(stream=True, stream_options={"include_usage": True}))
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        whole, usage = self.expected()
        self.assertEqual(text, whole)
        built = self.litellm.stream_chunk_builder(chunks, messages=user("Name a colour."))
        self.assertEqual(built.choices[0].message.content, whole)
        self.assertEqual(built.usage.completion_tokens, usage.completion_tokens)

    def test_several_are_asked_at_once(self):
        async def all_of(texts):
            asked = [
                self.litellm.acompletion(
                    **self.options(messages=user(text), temperature=0, max_tokens=8)
                )
                for text in texts
            ]
            return await asyncio.gather(*asked)

        texts = ["Name a colour.", "Name a town.", "Name an animal."]
        answers = asyncio.run(all_of(texts))
        for text, answer in zip(texts, answers):
            self.assertEqual(answer.choices[0].message.content, self.expected(text)[0])

    def test_a_tool_is_called_and_its_result_is_read(self):
        options = {"tools": [WEATHER], "parallel_tool_calls": False, "max_tokens": 120}
        text = "Weather in Oslo?"
        choice = self.ask(text, tool_choice="required", **options).choices[0]
        self.assertEqual(choice.finish_reason, "tool_calls")
        [call] = choice.message.tool_calls
        self.assertEqual(call.function.name, "get_weather")
        self.assertEqual(sorted(json.loads(call.function.arguments)), ["city", "unit"])
        result = {"role": "tool", "tool_call_id": call.id, "content": "Snow."}
        messages = [*user(text), choice.message, result]
        told = self.ask(messages=messages, tool_choice="none", **options).choices[0]
        self.assertTrue(told.message.content)
        chunks = list(self.ask(text, tool_choice="required", stream=True, **options))
        built = self.litellm.stream_chunk_builder(chunks, messages=user(text))
        [streamed] = built.choices[0].message.tool_calls
        self.assertEqual(streamed.function.arguments, call.function.arguments)

    def test_an_answer_is_held_to_a_schema(self):
        schema = {
            "type": "object",
            "properties": {"name": {"type": "string", "maxLength": 12}, "kind": {"enum": ["friend", "stranger"]}},
            "required": ["name", "kind"],
            "additionalProperties": False,
        }
        form = {"type": "json_schema", "json_schema": {"name": "person", "strict": True, "schema": schema}}
        answer = self.ask("Invent a person, as JSON.", response_format=form, max_tokens=80)
        person = json.loads(answer.choices[0].message.content)
        self.assertEqual(sorted(person), ["kind", "name"])
        self.assertIn(person["kind"], ["friend", "stranger"])

    def test_a_function_answers_with_its_sources(self):
        message = self.ask(self.QUESTION, model="function:answer", max_tokens=40).choices[0].message
        self.assertTrue(message.content.strip())
        for annotation in message.annotations:
            self.assertEqual(annotation["type"], "url_citation")

    def test_texts_become_vectors(self):
        texts = ["a red coat", "a cold winter"]
        wanted = self.praxis.client.embeddings.create(model=EMBEDDER, input=texts, encoding_format="float")
        for options in [{}, {"encoding_format": "float"}]:
            found = self.litellm.embedding(**self.options(EMBEDDER, input=texts, **options))
            self.assertGreater(found.usage.prompt_tokens, 0)
            for one, other in zip(found.data, wanted.data):
                for a, b in zip(one["embedding"], other.embedding, strict=True):
                    self.assertAlmostEqual(a, b, places=5)

    def test_errors_are_its_own_for_their_kind(self):
        kinds = self.litellm.exceptions
        slow = self.praxis.key("litellm/slow", "--limit", "1 requests/hour")
        self.ask(api_key=slow)
        for kind, options in [
            (kinds.NotFoundError, {"model": "nothing"}),
            (kinds.AuthenticationError, {"api_key": "sk-wrong"}),
            (kinds.BadRequestError, {"temperature": 9}),
            (kinds.RateLimitError, {"api_key": slow}),
        ]:
            for stream in [False, True]:
                with self.assertRaises(kind, msg=f"{options}, stream: {stream}"):
                    list(self.ask(stream=stream, **options))


@installed("llama_cpp")
class PraxisAsksLlamaCpp(unittest.TestCase):
    NAMES = ["peer", "peer-server"]

    @classmethod
    def setUpClass(cls):
        port = free_port()
        command = [BINARY, "models", "info", MODEL, "--json"]
        file = json.loads(subprocess.check_output(command, text=True))["path"]
        cls.log = tempfile.TemporaryFile("w+")
        cls.peer = subprocess.Popen(
            [
                sys.executable, "-m", "llama_cpp.server", "--model", file, "--model_alias", "peer",
                "--host", "127.0.0.1", "--port", str(port), "--api_key", PEER_KEY,
                "--n_ctx", str(PEER_CONTEXT), "--n_threads", "2", "--embedding", "true",
            ],
            stdout=cls.log, stderr=cls.log,
        )
        cls.addClassCleanup(cls.stop_peer)
        cls.direct = openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key=PEER_KEY, max_retries=0)
        cls.wait_for_peer(port)
        os.environ["PRAXIS_TEST_PEER_KEY"] = PEER_KEY
        cls.praxis = Application(CONFIG + PEERS.format(port=port, closed=free_port()))
        cls.addClassCleanup(cls.praxis.stop)

    @classmethod
    def wait_for_peer(cls, port):
        headers = {"authorization": f"Bearer {PEER_KEY}"}
        request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/models", headers=headers)
        for _ in range(300):
            if cls.peer.poll() is not None:
                break
            try:
                urllib.request.urlopen(request).close()
                return
            except OSError:
                time.sleep(0.2)
        cls.log.seek(0)
        raise RuntimeError(f"llama-cpp-python's server did not start: {cls.log.read()[-2000:]}")

    @classmethod
    def stop_peer(cls):
        cls.peer.terminate()
        cls.peer.wait(60)
        cls.log.close()

    def ask(self, model, text="Name a colour.", client=None, **options):
        options = {"messages": user(text), "temperature": 0, "max_tokens": 8, **options}
        return (client or self.praxis.client).chat.completions.create(model=model, **options)

    def test_the_peers_are_among_the_models(self):
        names = [model.id for model in self.praxis.client.models.list()]
        for name in self.NAMES:
            self.assertIn(name, names)

    def test_an_answer_is_that_of_the_peer_whole_and_streamed(self):
        wanted = self.ask("peer", client=self.direct).choices[0]
        for name in self.NAMES:
            whole = self.ask(name).choices[0]
            self.assertEqual(whole.message.content, wanted.message.content)
            self.assertEqual(whole.finish_reason, wanted.finish_reason)
            chunks = list(self.ask(name, stream=True))
            deltas = [c.choices[0].delta.content or "" for c in chunks if c.choices]
            self.assertEqual("".join(deltas), wanted.message.content)
            self.assertGreater(sum(1 for d in deltas if d), 1, "text comes in pieces")

    def test_length_and_stop_end_an_answer_there(self):
        text = "Count from one to twenty in words."
        for name in self.NAMES:
            whole = self.ask(name, text, max_tokens=24).choices[0].message.content
            self.assertEqual(self.ask(name, text, max_tokens=3).choices[0].finish_reason, "length")
            stop = whole[len(whole) // 2 :][:4]
            cut = self.ask(name, text, max_tokens=24, stop=[stop]).choices[0]
            self.assertEqual((cut.message.content, cut.finish_reason), (whole[: whole.index(stop)], "stop"))

    def test_errors_say_whose_they_are(self):
        # A stream whose prompt is too long ends there without a word: that is no empty answer.
        long = "word " * 2 * PEER_CONTEXT
        for options, kind, code in [
            ({"model": "stranger"}, openai.InternalServerError, "upstream_unauthorized"),
            ({"model": "away"}, openai.InternalServerError, "upstream_error"),
            ({"model": "peer", "text": long}, openai.InternalServerError, "upstream_error"),
        ]:
            for stream in [False, True]:
                with self.assertRaises(kind, msg=f"{options['model']}, stream: {stream}") as caught:
                    self.ask(stream=stream, **options)
                self.assertEqual(caught.exception.code, code)

    def test_vectors_of_tokens_are_not_taken_for_a_texts(self):
        # The peer has a vector of each token for a model that was not made for vectors.
        direct = self.direct.embeddings.create(model="peer", input="a red coat", encoding_format="float")
        self.assertIsInstance(direct.data[0].embedding[0], list)
        with self.assertRaises(openai.InternalServerError) as caught:
            self.praxis.client.embeddings.create(model="peer-vectors", input="a red coat")
        self.assertEqual(caught.exception.code, "upstream_error")

    def test_a_peer_that_is_away_is_stood_in_for(self):
        wanted = self.ask("peer").choices[0].message.content
        self.assertEqual(self.ask("careful").choices[0].message.content, wanted)

    def test_a_function_asks_the_peer(self):
        prompt = "---\nmodel: peer\nconfig:\n  temperature: 0\n  maxOutputTokens: 8\n---\nName a colour.\n"
        path = pathlib.Path(self.praxis.app, "prompts/colour.prompt")
        path.write_text(prompt, encoding="utf-8")
        command = [BINARY, "call", "colour", "--app", self.praxis.app, "--json"]
        told = json.loads(subprocess.check_output(command, text=True))
        self.assertTrue(told["output"])


if __name__ == "__main__":
    if all(importlib.util.find_spec(name) is None for name in ["litellm", "llama_cpp"]):
        print("SKIPPED: no litellm, no llama-cpp-python: scripts/test-interchange.sh installs them", file=sys.stderr)
        sys.exit(0)
    unittest.main(verbosity=2)
