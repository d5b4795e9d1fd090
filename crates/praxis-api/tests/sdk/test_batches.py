"""The official `openai` SDK against `/v1/batches` and `/v1/uploads`.

The server is that of `test_openai.py`, which says how it is found.
"""

import hashlib
import json
import os
import pathlib
import subprocess
import sys
import time
import unittest

import openai

import openapi
import test_openai
from test_openai import BINARY, KEY, MODEL, ROOT, praxis, serve, user

EMBEDDER = "all-minilm-l6-v2"
CHAT = "/v1/chat/completions"
EMBEDDINGS = "/v1/embeddings"
ENDED = ["failed", "completed", "expired", "cancelled"]


def setUpModule():
    test_openai.setUpModule()
    connect()


def tearDownModule():
    test_openai.tearDownModule()


def connect():
    global client, checked
    client = connected(KEY)
    hooks = {"response": [openapi.checker(ROOT)]}
    checked = connected(KEY, http_client=openai.DefaultHttpxClient(event_hooks=hooks))


def connected(key, **options):
    return openai.OpenAI(base_url=f"{test_openai.url}/v1", api_key=key, max_retries=0, timeout=300, **options)


def chat(text, **options):
    return {"model": MODEL, "messages": user(text), "temperature": 0, "max_tokens": 8, **options}


def requests(bodies, endpoint=CHAT):
    lines = [
        {"custom_id": name, "method": "POST", "url": endpoint, "body": body} for name, body in bodies.items()
    ]
    return "".join(json.dumps(line) + "\n" for line in lines)


def send(text, by=None):
    return (by or checked).files.create(file=("requests.jsonl", text.encode()), purpose="batch").id


def make(text, endpoint=CHAT, by=None, **options):
    return (by or checked).batches.create(
        input_file_id=send(text, by), endpoint=endpoint, completion_window="24h", **options
    )


def followed(batch, until=lambda batch: batch.status in ENDED, by=None):
    """The batch as soon as it is so; what it says on the way is held to the description, too."""
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline:
        batch = (by or checked).batches.retrieve(batch.id)
        if until(batch):
            return batch
        time.sleep(0.1)
    raise AssertionError(f"the batch is not what it should become: {batch}")


def lines(file, by=None):
    if file is None:
        return []
    return [json.loads(line) for line in (by or client).files.content(file).text.splitlines()]


def counts(batch):
    return (batch.request_counts.total, batch.request_counts.completed, batch.request_counts.failed)


class Batches(unittest.TestCase):
    def test_chats_are_answered_in_a_file(self):
        names = [f"chat {n}" for n in range(6)]
        bodies = {name: chat(f"Name colour {n}.") for n, name in enumerate(names)}
        bodies["chat 2"] = chat("Name a colour.", temperature=9)
        made = make(requests(bodies), metadata={"made": "by a test"}, output_expires_after={
            "anchor": "created_at", "seconds": 3600,
        })
        self.assertEqual((made.status, made.metadata), ("validating", {"made": "by a test"}))
        self.assertEqual(made.expires_at, made.created_at + 86400)
        batch = followed(made)
        self.assertEqual((batch.status, counts(batch)), ("completed", (6, 5, 1)))
        self.assertEqual(batch.model, MODEL)
        self.assertTrue(batch.created_at <= batch.in_progress_at <= batch.finalizing_at <= batch.completed_at)
        output = lines(batch.output_file_id)
        good = [name for name in names if name != "chat 2"]
        self.assertEqual([line["custom_id"] for line in output], good, "in the order of the input")
        tokens = 0
        for line in output:
            self.assertIsNone(line["error"])
            self.assertTrue(line["id"].startswith("batch_req_") and line["response"]["request_id"])
            self.assertEqual(line["response"]["status_code"], 200)
            body = line["response"]["body"]
            self.assertEqual(body["object"], "chat.completion")
            self.assertTrue(body["choices"][0]["message"]["content"].strip())
            tokens += body["usage"]["total_tokens"]
        self.assertEqual(batch.usage.total_tokens, tokens)
        [error] = lines(batch.error_file_id)
        self.assertEqual((error["custom_id"], error["response"]["status_code"]), ("chat 2", 400))
        self.assertEqual(error["response"]["body"]["error"]["param"], "temperature")
        # A batch says what the same request alone says.
        alone = client.chat.completions.create(**bodies["chat 0"]).choices[0].message.content
        self.assertEqual(output[0]["response"]["body"]["choices"][0]["message"]["content"], alone)
        file = checked.files.retrieve(batch.output_file_id)
        self.assertEqual((file.purpose, file.filename), ("batch_output", f"{batch.id}_output.jsonl"))
        self.assertEqual(file.expires_at, file.created_at + 3600)

    def test_embeddings_come_in_a_file_too(self):
        bodies = {f"text {n}": {"model": EMBEDDER, "input": f"Text {n}."} for n in range(20)}
        batch = followed(make(requests(bodies, EMBEDDINGS), EMBEDDINGS))
        self.assertEqual((batch.status, counts(batch)), ("completed", (20, 20, 0)))
        self.assertIsNone(batch.error_file_id)
        output = lines(batch.output_file_id)
        self.assertEqual([line["custom_id"] for line in output], list(bodies))
        for line in output:
            [item] = line["response"]["body"]["data"]
            self.assertEqual(len(item["embedding"]), 384)

    def test_an_input_that_is_wrong_fails_with_its_lines(self):
        good = requests({"a": chat("x")})
        for text, line, code, param in [
            (good + "{\n", 2, "invalid_json_line", None),
            (good + good, 2, "duplicate_custom_id", "custom_id"),
            (good + requests({"b": chat("x")}, EMBEDDINGS), 2, "invalid_url", "url"),
            (good + requests({"b": chat("x", stream=True)}), 2, "invalid_value", "body.stream"),
            ("\n", None, "empty_file", "input_file_id"),
        ]:
            batch = followed(make(text))
            self.assertEqual(batch.status, "failed", text)
            [error] = batch.errors.data
            self.assertEqual((error.line, error.code, error.param), (line, code, param))
            self.assertTrue(batch.failed_at and error.message)
            self.assertIsNone(batch.output_file_id)

    def test_what_is_no_batch_is_refused_by_name(self):
        good = {"input_file_id": send(requests({"a": chat("x")})), "endpoint": CHAT, "completion_window": "24h"}
        other = checked.files.create(file=("a.md", b"x"), purpose="assistants").id
        for kind, param, change in [
            (openai.BadRequestError, "endpoint", {"endpoint": "/v1/files"}),
            (openai.BadRequestError, "completion_window", {"completion_window": "1h"}),
            (openai.BadRequestError, "input_file_id", {"input_file_id": other}),
            (openai.NotFoundError, "input_file_id", {"input_file_id": "file-none"}),
            (openai.BadRequestError, "metadata", {"metadata": {"a": "b" * 513}}),
        ]:
            with self.assertRaises(kind) as caught:
                checked.batches.create(**{**good, **change})
            self.assertEqual(caught.exception.param, param)
        for call in [checked.batches.retrieve, checked.batches.cancel]:
            with self.assertRaises(openai.NotFoundError):
                call("batch_none")

    def test_batches_are_listed_and_called_off(self):
        bodies = {f"{n}": chat(f"Tell a long story about {n}.", max_tokens=200) for n in range(40)}
        made = [make(requests(bodies)) for _ in range(3)]
        listed = [batch.id for batch in checked.batches.list(limit=2)]
        self.assertEqual(listed[:3], [batch.id for batch in reversed(made)])
        page = checked.batches.list(limit=1, after=made[2].id)
        self.assertEqual(([batch.id for batch in page.data], page.has_more), ([made[1].id], True))
        for batch in made:
            self.assertIn(checked.batches.cancel(batch.id).status, ["cancelling", "cancelled"])
        for batch in made:
            batch = followed(batch)
            self.assertEqual(batch.status, "cancelled")
            self.assertTrue(batch.created_at <= batch.cancelling_at <= batch.cancelled_at)
            total, completed, failed = counts(batch)
            self.assertEqual(completed + failed, total)
            errors = lines(batch.error_file_id)
            self.assertEqual(len(errors), failed)
            self.assertEqual({line["error"]["code"] for line in errors} - {"batch_cancelled"}, set())
        # Nobody is in the way of who waits.
        client.chat.completions.create(**chat("Hi", max_tokens=1))
        done = followed(make(requests({"a": {"model": EMBEDDER, "input": "x"}}, EMBEDDINGS), EMBEDDINGS))
        with self.assertRaises(openai.BadRequestError) as caught:
            checked.batches.cancel(done.id)
        self.assertIn("completed", str(caught.exception))

    def test_a_server_that_is_killed_goes_on_with_its_batches(self):
        if test_openai.app is None:
            self.skipTest("SKIPPED: PRAXIS_URL's server is not ours to kill")
        bodies = {f"chat {n}": chat(f"Count from {n}.", max_tokens=24) for n in range(40)}
        made = make(requests(bodies))
        text = requests({"a": {"model": EMBEDDER, "input": "x"}}, EMBEDDINGS)
        deleted = make(text, EMBEDDINGS)
        checked.files.delete(deleted.input_file_id)
        killed = followed(made, lambda batch: batch.request_counts.completed >= 3)
        self.assertEqual(killed.status, "in_progress", "it is killed in the middle")
        test_openai.server.kill()
        test_openai.server.wait(60)
        test_openai.server.stdout.close()
        test_openai.server, test_openai.url = serve(test_openai.app)
        connect()
        batch = followed(made)
        self.assertEqual((batch.status, counts(batch)), ("completed", (40, 40, 0)))
        output = lines(batch.output_file_id)
        self.assertEqual([line["custom_id"] for line in output], list(bodies), "each once, in order")
        self.assertEqual(followed(deleted).status, "completed")
        outputs = [file.filename for file in checked.files.list(purpose="batch_output")]
        self.assertEqual(outputs.count(f"{batch.id}_output.jsonl"), 1)


class Keys(unittest.TestCase):
    """A batch is its maker's: with the limits of the key, and for who has a label of it."""

    def key(self, name, *options):
        if test_openai.app is None:
            self.skipTest("SKIPPED: PRAXIS_URL's application is not at hand")
        command = [BINARY, "keys", "create", name, *options, "--app", test_openai.app, "--json"]
        made = subprocess.run(command, check=True, capture_output=True, text=True)
        return connected(json.loads(made.stdout)["key"])

    def embed(self, text):
        return {"model": EMBEDDER, "input": text}

    def test_a_budget_holds_for_batches(self):
        few = self.key("sdk/batch-few", "--limit", "100 tokens")
        text = requests({"short": self.embed("short"), "long": self.embed("long " * 120)}, EMBEDDINGS)
        batch = followed(make(text, EMBEDDINGS, few), by=few)
        self.assertEqual((batch.status, counts(batch)), ("completed", (2, 1, 1)))
        [error] = lines(batch.error_file_id, few)
        self.assertEqual(error["custom_id"], "long")
        self.assertEqual(error["response"]["body"]["error"]["code"], "quota_exceeded")

    def test_a_rate_makes_a_batch_wait(self):
        slow = self.key("sdk/batch-slow", "--limit", "30 requests/minute")
        text = requests({f"{n}": self.embed(f"{n}") for n in range(32)}, EMBEDDINGS)
        batch = followed(make(text, EMBEDDINGS, slow), by=slow)
        self.assertEqual((batch.status, counts(batch)), ("completed", (32, 32, 0)))

    def test_a_key_makes_batches_of_what_it_is_for(self):
        narrow = self.key("sdk/batch-narrow", "--scope", "batches", "--scope", "files", "--scope", "embeddings")
        with self.assertRaises(openai.PermissionDeniedError):
            make(requests({"a": chat("x")}), by=narrow)
        text = requests({"a": self.embed("x")}, EMBEDDINGS)
        self.assertEqual(followed(make(text, EMBEDDINGS, narrow), by=narrow).status, "completed")

    def test_a_batch_is_for_who_has_a_label_of_it(self):
        hr, it = (self.key(f"sdk/batch-{name}", "--label", name) for name in ["hr", "it"])
        batch = followed(make(requests({"a": self.embed("x")}, EMBEDDINGS), EMBEDDINGS, hr), by=hr)
        self.assertEqual(len(lines(batch.output_file_id, hr)), 1)
        for call in [
            lambda: it.batches.retrieve(batch.id),
            lambda: it.batches.cancel(batch.id),
            lambda: it.files.content(batch.output_file_id),
        ]:
            with self.assertRaises(openai.NotFoundError):
                call()
        self.assertNotIn(batch.id, [other.id for other in it.batches.list()])

    def test_a_batch_ends_with_its_key(self):
        lost = self.key("sdk/batch-lost")
        bodies = {f"{n}": chat(f"Tell a long story about {n}.", max_tokens=200) for n in range(40)}
        made = make(requests(bodies), by=lost)
        followed(made, lambda batch: batch.status == "in_progress")
        praxis("keys", "revoke", "sdk/batch-lost", "--app", test_openai.app)
        batch = followed(made)
        self.assertEqual(batch.status, "failed")
        self.assertEqual(batch.errors.data[0].code, "unauthorized")
        total, completed, failed = counts(batch)
        self.assertEqual(completed + failed, total)


class Uploads(unittest.TestCase):
    DATA = b"".join(b"%d: a line of a large file\n" % n for n in range(20_000))

    def begin(self, bytes=len(DATA), **options):
        options = {"filename": "large.txt", "purpose": "user_data", "mime_type": "text/plain", **options}
        return checked.uploads.create(bytes=bytes, **options)

    def test_a_file_comes_in_parts(self):
        upload = checked.uploads.upload_file_chunked(
            file=self.DATA, filename="large.txt", bytes=len(self.DATA), mime_type="text/plain",
            purpose="user_data", part_size=100_000, md5=hashlib.md5(self.DATA).hexdigest(),
        )
        self.assertEqual((upload.status, upload.file.bytes), ("completed", len(self.DATA)))
        self.assertEqual(upload.expires_at, upload.created_at + 3600)
        self.assertEqual(client.files.content(upload.file.id).read(), self.DATA)
        self.assertEqual(checked.files.retrieve(upload.file.id).filename, "large.txt")
        checked.files.delete(upload.file.id)

    def test_parts_are_put_together_as_they_are_named(self):
        upload = self.begin(9, expires_after={"anchor": "created_at", "seconds": 3600})
        parts = {data: checked.uploads.parts.create(upload.id, data=data).id for data in [b"three", b"two ", b"one "]}
        for ids, said in [
            ([parts[b"one "]], "4 bytes"),
            ([parts[b"one "], parts[b"one "]], "twice"),
            (["part_none"], "part_none"),
        ]:
            with self.assertRaises(openai.BadRequestError) as caught:
                checked.uploads.complete(upload.id, part_ids=ids)
            self.assertEqual(caught.exception.param, "part_ids")
            self.assertIn(said, str(caught.exception))
        ids = [parts[b"one "], parts[b"three"]]
        with self.assertRaises(openai.BadRequestError) as caught:
            checked.uploads.complete(upload.id, part_ids=ids, md5="0" * 32)
        self.assertEqual(caught.exception.param, "md5")
        done = checked.uploads.complete(upload.id, part_ids=ids)
        self.assertEqual(client.files.content(done.file.id).read(), b"one three")
        self.assertEqual(done.file.expires_at, done.file.created_at + 3600)
        self.assertEqual(checked.uploads.complete(upload.id, part_ids=ids).file.id, done.file.id)
        for call in [
            lambda: checked.uploads.parts.create(upload.id, data=b"late"),
            lambda: checked.uploads.cancel(upload.id),
        ]:
            with self.assertRaises(openai.BadRequestError):
                call()

    def test_an_upload_is_called_off(self):
        upload = self.begin(3)
        part = checked.uploads.parts.create(upload.id, data=b"abc")
        self.assertEqual(part.upload_id, upload.id)
        self.assertEqual(checked.uploads.cancel(upload.id).status, "cancelled")
        with self.assertRaises(openai.BadRequestError) as caught:
            checked.uploads.complete(upload.id, part_ids=[part.id])
        self.assertIn("cancelled", str(caught.exception))

    def test_what_is_no_upload_is_refused_by_name(self):
        for change, param in [
            ({"filename": "../"}, "filename"),
            ({"purpose": "batch_output"}, "purpose"),
            ({"expires_after": {"anchor": "created_at", "seconds": 60}}, "expires_after.seconds"),
        ]:
            with self.assertRaises(openai.BadRequestError) as caught:
                self.begin(**change)
            self.assertEqual(caught.exception.param, param)
        with self.assertRaises(openai.APIStatusError) as caught:
            self.begin(1_000_001)
        self.assertEqual((caught.exception.status_code, caught.exception.param), (413, "bytes"))
        for call in [
            lambda: checked.uploads.parts.create("upload_none", data=b"x"),
            lambda: checked.uploads.complete("upload_none", part_ids=["part_none"]),
            lambda: checked.uploads.cancel("upload_none"),
        ]:
            with self.assertRaises(openai.NotFoundError):
                call()

    def test_a_batch_is_made_of_an_upload(self):
        text = requests({f"{n}": {"model": EMBEDDER, "input": f"{n}"} for n in range(50)}, EMBEDDINGS).encode()
        upload = checked.uploads.upload_file_chunked(
            file=text, filename="requests.jsonl", bytes=len(text), mime_type="application/jsonl",
            purpose="batch", part_size=1000,
        )
        batch = checked.batches.create(
            input_file_id=upload.file.id, endpoint=EMBEDDINGS, completion_window="24h"
        )
        self.assertEqual(counts(followed(batch)), (50, 50, 0))


if __name__ == "__main__":
    cache = pathlib.Path(os.environ.get("PRAXIS_CACHE", pathlib.Path.home() / ".cache/praxis"))
    needed = [MODEL, EMBEDDER, test_openai.EMBEDDER]
    missing = [name for name in needed if not list(cache.glob(f"**/{name}"))]
    if missing and "PRAXIS_URL" not in os.environ:
        print(f"SKIPPED: not in the cache: {', '.join(missing)}", file=sys.stderr)
        sys.exit(0)
    unittest.main(verbosity=2)
