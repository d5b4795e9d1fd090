"""The official `openai` SDK against `/v1/completions`, what answers say in their headers, and requests that are sent again.

The server is that of `test_openai.py`, which says how it is found.
"""

import json
import pathlib
import re
import subprocess
import sys
import unittest
import uuid

import openai

import openapi
import test_openai
from test_openai import BINARY, KEY, MODEL, ROOT, user

COUNTING = "1, 2, 3, 4, 5, 6,"
TIME = re.compile(r"^(?:\d+ms|(?:(?:\d+h)?\d+m)?\d+(?:\.\d+)?s)$")


def setUpModule():
    global client, checked
    test_openai.setUpModule()
    client = connect(KEY)
    hooks = {"response": [openapi.checker(ROOT)]}
    checked = connect(KEY, http_client=openai.DefaultHttpxClient(event_hooks=hooks))


def tearDownModule():
    test_openai.tearDownModule()


def connect(key, **options):
    return openai.OpenAI(base_url=f"{test_openai.url}/v1", api_key=key, max_retries=0, timeout=300, **options)


def limited(test, name, *limits):
    """A client with a new key that has these limits."""
    if test_openai.app is None:
        test.skipTest("SKIPPED: PRAXIS_URL's application is not at hand")
    options = [part for limit in limits for part in ("--limit", limit)]
    command = [BINARY, "keys", "create", name, *options, "--app", test_openai.app, "--json"]
    made = subprocess.run(command, check=True, capture_output=True, text=True)
    return connect(json.loads(made.stdout)["key"])


class Completions(unittest.TestCase):
    def ask(self, prompt=COUNTING, *, by=None, **options):
        options = {"model": MODEL, "temperature": 0, "max_tokens": 6, **options}
        return (by or checked).completions.create(prompt=prompt, **options)

    def test_a_text_is_gone_on_with_as_it_stands(self):
        answer = self.ask()
        self.assertEqual(answer.object, "text_completion")
        [choice] = answer.choices
        self.assertIn("7", choice.text)
        self.assertEqual((choice.index, choice.logprobs), (0, None))
        self.assertIn(choice.finish_reason, ["stop", "length"])
        usage = answer.usage
        self.assertEqual(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens)
        chat = client.chat.completions.create(model=MODEL, messages=user(COUNTING), max_tokens=1)
        self.assertLess(usage.prompt_tokens, chat.usage.prompt_tokens, "no template is around it")

    def test_an_answer_has_sixteen_tokens_at_most_where_nothing_is_said(self):
        answer = checked.completions.create(model=MODEL, prompt=COUNTING, temperature=0)
        self.assertTrue(1 <= answer.usage.completion_tokens <= 16)

    def test_a_streamed_answer_is_the_same_text(self):
        options = {"stream": True, "stream_options": {"include_usage": True}}
        chunks = list(self.ask(by=client, **options))
        self.assertEqual(chunks[-1].choices, [])
        self.assertGreater(chunks[-1].usage.completion_tokens, 0)
        texts = [c.choices[0].text for c in chunks if c.choices]
        self.assertEqual("".join(texts), self.ask().choices[0].text)
        reasons = [c.choices[0].finish_reason for c in chunks if c.choices]
        self.assertEqual([r for r in reasons if r], [reasons[-1]], "one reason, at the end")

    def test_prompts_and_answers_are_numbered(self):
        options = {"prompt": [COUNTING, "Once upon a"], "n": 2, "temperature": 1, "seed": 4}
        answer = self.ask(**options)
        self.assertEqual([c.index for c in answer.choices], [0, 1, 2, 3])
        texts = [c.text for c in answer.choices]
        self.assertEqual(texts, [c.text for c in self.ask(**options).choices], "by the seed")
        # The same, piece by piece.
        streamed = ["", "", "", ""]
        for chunk in self.ask(by=client, stream=True, **options):
            for choice in chunk.choices:
                streamed[choice.index] += choice.text
        self.assertEqual(streamed, texts)
        each = [self.ask(prompt).usage.prompt_tokens for prompt in options["prompt"]]
        self.assertEqual(answer.usage.prompt_tokens, sum(each), "a prompt counts once")

    def test_the_prompt_is_repeated_where_it_is_asked_for(self):
        text = COUNTING + self.ask().choices[0].text
        self.assertEqual(self.ask(echo=True).choices[0].text, text)
        chunks = self.ask(by=client, echo=True, stream=True)
        self.assertEqual("".join(c.choices[0].text for c in chunks), text)

    def test_log_probabilities(self):
        choice = self.ask(logprobs=2).choices[0]
        told = choice.logprobs
        self.assertEqual("".join(told.tokens), choice.text)
        count = len(told.tokens)
        self.assertEqual([len(told.token_logprobs), len(told.top_logprobs), len(told.text_offset)], [count] * 3)
        for token, own, top, at in zip(told.tokens, told.token_logprobs, told.top_logprobs, told.text_offset):
            self.assertTrue(choice.text[at:].startswith(token))
            self.assertLessEqual(own, 0)
            self.assertTrue(2 <= len(top) <= 3)
            self.assertAlmostEqual(top[token], own, places=4)
            self.assertAlmostEqual(max(top.values()), own, places=3, msg="it is greedy")

    def test_stop_ends_an_answer(self):
        text = self.ask(max_tokens=12).choices[0].text
        stop = text[len(text) // 2 :][:2]
        cut = self.ask(max_tokens=12, stop=stop).choices[0]
        self.assertEqual((cut.text, cut.finish_reason), (text[: text.index(stop)], "stop"))

    def test_a_token_that_is_forced_comes_alone(self):
        text = self.ask(max_tokens=3, temperature=1, logit_bias={"1000": 100}).choices[0].text
        self.assertTrue(text)
        self.assertEqual(text, text[: len(text) // 3] * 3)

    def test_the_best_of_several_is_given(self):
        answer = self.ask(temperature=1.5, seed=1, best_of=3)
        self.assertEqual(len(answer.choices), 1)
        self.assertGreater(answer.usage.completion_tokens, 6, "all that were made are counted")

    def test_what_is_not_supported_is_refused_by_name(self):
        for options, param in [
            ({"model": "function:answer"}, "model"),
            ({"prompt": [1, 2, 3]}, "prompt"),
            ({"prompt": []}, "prompt"),
            ({"logit_bias": {"5": -101}}, "logit_bias"),
            ({"echo": True, "logprobs": 1}, "logprobs"),
            ({"logprobs": 9}, "logprobs"),
            ({"best_of": 2, "stream": True}, "best_of"),
            ({"temperature": 9}, "temperature"),
        ]:
            with self.assertRaises(openai.BadRequestError, msg=repr(options)) as caught:
                self.ask(**options)
            self.assertEqual((caught.exception.param, caught.exception.code), (param, "invalid_request"))

    def test_a_model_that_fills_no_gaps_says_so_streaming_or_not(self):
        for stream in [False, True]:
            with self.assertRaises(openai.BadRequestError) as caught:
                self.ask(by=client, suffix="the end", stream=stream)
            self.assertIn("suffix", str(caught.exception))

    def test_an_unknown_model_is_not_found_streaming_or_not(self):
        for stream in [False, True]:
            with self.assertRaises(openai.NotFoundError):
                self.ask(by=client, model="nothing", stream=stream)


class Headers(unittest.TestCase):
    def ask(self, client, **options):
        options = {"model": MODEL, "messages": user("Say hello."), "max_tokens": 4, **options}
        return client.chat.completions.with_raw_response.create(**options)

    def test_answers_say_what_is_left_streaming_or_not(self):
        some = limited(self, "sdk/some", "5 requests/hour", "100000 tokens/hour")
        for left, stream in [(4, False), (3, True)]:
            raw = self.ask(some, stream=stream)
            headers = raw.headers
            self.assertEqual(headers["x-ratelimit-limit-requests"], "5")
            self.assertEqual(headers["x-ratelimit-remaining-requests"], str(left))
            self.assertEqual(headers["x-ratelimit-limit-tokens"], "100000")
            self.assertTrue(0 < int(headers["x-ratelimit-remaining-tokens"]) < 100000)
            for kind in ["requests", "tokens"]:
                self.assertRegex(headers[f"x-ratelimit-reset-{kind}"], TIME)
            if stream:
                self.assertTrue(list(raw.parse()))

    def test_the_tightest_limit_of_a_kind_is_told(self):
        both = limited(self, "sdk/both", "50 requests/hour", "2 requests/day", "90 requests")
        headers = self.ask(both).headers
        self.assertEqual(headers["x-ratelimit-limit-requests"], "2")
        self.assertEqual(headers["x-ratelimit-remaining-requests"], "1")
        self.assertNotIn("x-ratelimit-limit-tokens", headers)

    def test_a_refusal_says_it_beside_when_to_come_back(self):
        one = limited(self, "sdk/one", "1 requests/hour")
        self.ask(one)
        with self.assertRaises(openai.RateLimitError) as caught:
            self.ask(one)
        headers = caught.exception.response.headers
        self.assertEqual(headers["x-ratelimit-remaining-requests"], "0")
        self.assertGreater(int(headers["retry-after"]), 0)
        self.assertRegex(headers["x-ratelimit-reset-requests"], TIME)

    def test_limits_of_texts_and_vectors_are_told_too(self):
        some = limited(self, "sdk/others", "9 requests/hour")
        raw = some.completions.with_raw_response.create(model=MODEL, prompt="Hi", max_tokens=1)
        self.assertEqual(raw.headers["x-ratelimit-remaining-requests"], "8")
        raw = some.embeddings.with_raw_response.create(model=test_openai.EMBEDDER, input="Hi")
        self.assertEqual(raw.headers["x-ratelimit-remaining-requests"], "7")

    def test_every_answer_says_what_openai_s_do(self):
        for headers in [self.ask(client).headers, client.models.with_raw_response.list().headers]:
            self.assertEqual(headers["openai-version"], "2020-10-01")
            self.assertGreaterEqual(int(headers["openai-processing-ms"]), 0)
            self.assertTrue(headers["x-request-id"])
            self.assertNotIn("x-ratelimit-limit-requests", headers, "no limit holds")


class Idempotency(unittest.TestCase):
    def ask(self, key, *, by=None, **options):
        options = {"model": MODEL, "messages": user("Say something."), "max_tokens": 8, "temperature": 1.5, **options}
        create = (by or client).chat.completions.with_raw_response.create
        return create(extra_headers={"Idempotency-Key": key}, **options)

    def test_a_request_that_is_sent_again_gets_the_same_answer(self):
        key = str(uuid.uuid4())
        first, again, quoted = self.ask(key), self.ask(key), self.ask(f'"{key}"')
        self.assertNotIn("idempotent-replayed", first.headers)
        for other in [again, quoted]:
            self.assertEqual(other.headers["idempotent-replayed"], "true")
            self.assertEqual(other.text, first.text)
        new = self.ask(str(uuid.uuid4()))
        self.assertNotEqual(new.parse().id, first.parse().id)

    def test_a_stream_is_given_again_whole(self):
        key = str(uuid.uuid4())
        first = self.ask(key, stream=True)
        chunks = [chunk.model_dump() for chunk in first.parse()]
        again = self.ask(key, stream=True)
        self.assertEqual(again.headers["idempotent-replayed"], "true")
        self.assertEqual([chunk.model_dump() for chunk in again.parse()], chunks)

    def test_a_stream_that_was_left_runs_again(self):
        key = str(uuid.uuid4())
        options = {"messages": user("Tell a long story."), "max_tokens": 2000, "stream": True}
        stream = self.ask(key, **options).parse()
        first = next(iter(stream))
        stream.close()
        again = None
        while again is None:
            try:
                again = self.ask(key, **options).parse()
            except openai.ConflictError as error:
                # That its client has left is noticed a moment later.
                self.assertGreater(int(error.response.headers["retry-after"]), 0)
        self.assertNotEqual(next(iter(again)).id, first.id)
        again.close()

    def test_another_body_is_refused(self):
        key = str(uuid.uuid4())
        self.ask(key)
        with self.assertRaises(openai.UnprocessableEntityError) as caught:
            self.ask(key, max_tokens=9)
        self.assertEqual(caught.exception.code, "idempotency_mismatch")

    def test_what_is_given_again_costs_nothing(self):
        few = limited(self, "sdk/again", "1 requests/hour")
        key = str(uuid.uuid4())
        first = self.ask(key, by=few)
        self.assertEqual(self.ask(key, by=few).text, first.text)
        # What was refused for want of room is not kept: it may run later.
        key = str(uuid.uuid4())
        for _ in range(2):
            with self.assertRaises(openai.RateLimitError) as caught:
                self.ask(key, by=few)
            self.assertNotIn("idempotent-replayed", caught.exception.response.headers)

    def test_keys_of_two_callers_are_two(self):
        ada, li = (limited(self, f"sdk/{name}") for name in ["ada", "li"])
        first, second = (self.ask("the same", by=by) for by in [ada, li])
        self.assertNotEqual(first.parse().id, second.parse().id)

    def test_what_is_no_key_is_refused(self):
        for key in ['"open', "k" * 256]:
            with self.assertRaises(openai.BadRequestError) as caught:
                self.ask(key)
            self.assertEqual(caught.exception.param, "Idempotency-Key")

    def test_a_form_is_refused_with_a_key(self):
        file = ("a.md", b"A text.")
        with self.assertRaises(openai.BadRequestError) as caught:
            client.files.create(file=file, purpose="assistants", extra_headers={"Idempotency-Key": "k"})
        self.assertIn("Idempotency-Key", str(caught.exception))


if __name__ == "__main__":
    cache = pathlib.Path(test_openai.os.environ.get("PRAXIS_CACHE", pathlib.Path.home() / ".cache/praxis"))
    missing = [name for name in [MODEL, test_openai.EMBEDDER] if not list(cache.glob(f"**/{name}"))]
    if missing and "PRAXIS_URL" not in test_openai.os.environ:
        print(f"SKIPPED: not in the cache: {', '.join(missing)}", file=sys.stderr)
        sys.exit(0)
    unittest.main(verbosity=2)
