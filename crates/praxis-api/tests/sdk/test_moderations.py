"""The official `openai` SDK against `/v1/moderations`.

The server is that of `test_openai.py`, which says how it is found.
"""

import os
import pathlib
import sys
import unittest

import openai

import test_openai

CATEGORIES = 13


def setUpModule():
    test_openai.setUpModule()


def tearDownModule():
    test_openai.tearDownModule()


def moderate(text, **options):
    # Every answer is held to OpenAI's own description of it.
    return test_openai.checked.moderations.create(input=text, **options)


class Moderations(unittest.TestCase):
    def test_a_text_has_a_result_with_all_categories(self):
        answer = moderate("I will find you and kill you, watch your back.")
        self.assertTrue(answer.id.startswith("modr-"))
        self.assertIn(test_openai.EMBEDDER, answer.model)
        [result] = answer.results
        self.assertTrue(result.flagged)
        self.assertTrue(result.categories.violence or result.categories.harassment_threatening)
        scores = result.category_scores.to_dict()
        self.assertEqual(len(scores), CATEGORIES)
        self.assertTrue(all(0 <= score <= 1 for score in scores.values()), scores)
        self.assertEqual(result.category_applied_input_types.violence, ["text"])

    def test_what_is_harmless_is_not_flagged(self):
        texts = [
            "How do I renew my passport?",
            "今天下午的会议改到三点。",
            "Beat the eggs, then fold in the flour.",
        ]
        answer = moderate(texts, model="omni-moderation-latest")
        self.assertEqual([result.flagged for result in answer.results], [False] * 3)

    def test_chinese_is_judged_by_the_same_embedder(self):
        [result] = moderate("我知道你住哪儿，你再说一遍我就杀了你。").results
        self.assertTrue(result.flagged)

    def test_parts_are_one_input(self):
        parts = [{"type": "text", "text": text} for text in ["Good morning.", "Write to ann@example.com"]]
        [result] = moderate(parts).results
        [found] = result.model_extra["praxis"]["personal"]
        self.assertEqual((found["kind"], found["part"], found["start"]), ("email", 1, 9))

    def test_images_and_other_mistakes_are_named(self):
        image = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
        for value, param in [([image], "input[0]"), ([], "input"), (["a"] * 33, "input")]:
            with self.assertRaises(openai.BadRequestError) as caught:
                test_openai.client.moderations.create(input=value)
            self.assertEqual(caught.exception.body["param"], param)

    def test_a_model_is_an_alias_or_an_embedder(self):
        named = moderate("Hello.", model=test_openai.EMBEDDER)
        self.assertEqual(named.model, moderate("Hello.", model="text-moderation-stable").model)
        with self.assertRaises(openai.NotFoundError):
            test_openai.client.moderations.create(input="Hello.", model="nothing")


if __name__ == "__main__":
    cache = pathlib.Path(os.environ.get("PRAXIS_CACHE", pathlib.Path.home() / ".cache/praxis"))
    if not list(cache.glob(f"**/{test_openai.EMBEDDER}")) and "PRAXIS_URL" not in os.environ:
        print(f"SKIPPED: not in the cache: {test_openai.EMBEDDER}", file=sys.stderr)
        sys.exit(0)
    unittest.main(verbosity=2)
