"""The official `openai` SDK: what keys used, as OpenAI reports it, and that nothing of it is forgotten.

The server is that of `test_openai.py`, which says how it is found.
"""

import pathlib
import sys
import time
import unittest

import openai

import openapi
import test_openai
from test_completions import connect, limited
from test_openai import EMBEDDER, KEY, MODEL, ROOT, user


def setUpModule():
    global checked
    test_openai.setUpModule()
    hooks = {"response": [openapi.checker(ROOT)]}
    checked = connect(KEY, http_client=openai.DefaultHttpxClient(event_hooks=hooks))


def tearDownModule():
    test_openai.tearDownModule()


class Usage(unittest.TestCase):
    def test_what_was_used_is_reported_as_openai_does(self):
        spender = limited(self, "sdk/spender")
        answer = spender.chat.completions.create(model=MODEL, messages=user("Say hello."), max_tokens=8)
        embedded = spender.embeddings.create(model=EMBEDDER, input="counted")
        spender.moderations.create(input="How do I renew my passport?")
        start = int(time.time())
        used = {}
        for kind in ["completions", "embeddings", "moderations"]:
            path = f"/organization/usage/{kind}?start_time={start}&group_by=api_key_id"
            for _ in range(50):
                [bucket] = checked.get(path, cast_to=object)["data"]
                results = [r for r in bucket["results"] if r["api_key_id"] == "sdk/spender"]
                if results:
                    [used[kind]] = results
                    break
                time.sleep(0.1)
            self.assertEqual(used[kind]["num_model_requests"], 1, kind)
        self.assertEqual(used["completions"]["input_tokens"], answer.usage.prompt_tokens)
        self.assertEqual(used["completions"]["output_tokens"], answer.usage.completion_tokens)
        self.assertEqual(used["embeddings"]["input_tokens"], embedded.usage.prompt_tokens)
        self.assertGreater(used["moderations"]["input_tokens"], 0)
        costs = checked.get(f"/organization/costs?start_time={start}", cast_to=object)
        self.assertEqual(costs["data"][0]["results"][0]["amount"]["currency"], "usd")
        # A key that may not read everything sees its own use only.
        path = f"/organization/usage/completions?start_time={start}"
        [bucket] = spender.get(path, cast_to=object)["data"]
        self.assertEqual(bucket["results"][0]["num_model_requests"], 1)

    def embedded(self, key, least):
        """The calls and tokens of the vectors that a key has had made, once there were so many calls."""
        path = f"/organization/usage/embeddings?start_time={int(time.time())}&group_by=api_key_id"
        for _ in range(100):
            results = checked.get(path, cast_to=object)["data"][-1]["results"]
            for used in results:
                if used["api_key_id"] == key and used["num_model_requests"] >= least:
                    return used["num_model_requests"], used["input_tokens"]
            time.sleep(0.1)
        self.fail(f"{key} was not charged for {least} calls")

    def test_what_vector_stores_embed_is_charged_to_who_caused_it(self):
        owner, reader = limited(self, "sdk/owner"), limited(self, "sdk/reader")
        store = owner.vector_stores.create(name="charged")
        content = ("otter.md", b"# The otter\n\nAn otter lives at the river and eats fish.")
        file = owner.vector_stores.files.upload_and_poll(vector_store_id=store.id, file=content)
        self.assertEqual(file.status, "completed")
        calls, tokens = self.embedded("sdk/owner", 1)
        self.assertEqual(calls, 1)
        self.assertGreater(tokens, 8)
        found = reader.vector_stores.search(store.id, query="What does an otter eat?")
        self.assertTrue(found.data)
        calls, tokens = self.embedded("sdk/reader", 1)
        self.assertEqual(calls, 1)
        self.assertGreater(tokens, 3)
        self.assertEqual(self.embedded("sdk/owner", 1)[0], 1, "who made the store pays for no search of others")


if __name__ == "__main__":
    cache = pathlib.Path(test_openai.os.environ.get("PRAXIS_CACHE", pathlib.Path.home() / ".cache/praxis"))
    missing = [name for name in [MODEL, EMBEDDER] if not list(cache.glob(f"**/{name}"))]
    if missing and "PRAXIS_URL" not in test_openai.os.environ:
        print(f"SKIPPED: not in the cache: {', '.join(missing)}", file=sys.stderr)
        sys.exit(0)
    unittest.main(verbosity=2)
