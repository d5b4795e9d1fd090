"""The document of our own API against the real binary: each operation of `/praxis/v1`, what it refuses, and what the
server gives of OpenAI's API, every answer held to what the document says of it.

The set-up is that of test_openai.py.
"""

import json
import pathlib
import sys
import time
import unittest

import openai

import openapi_own
import test_openai as base

# Where there is nothing to find.
NONE = "none"


def setUpModule():
    global checker, document, web
    base.setUpModule()
    document = openapi_own.load(base.url, base.KEY)
    checker = openapi_own.Checker(document)
    web = client(base.KEY)


def tearDownModule():
    web.close()
    base.tearDownModule()


def client(key):
    headers = {"authorization": f"Bearer {key}"} if key else {}
    hooks = {"response": [checker]}
    return openai.DefaultHttpxClient(base_url=base.url, headers=headers, timeout=300, event_hooks=hooks)


class TheDocument(unittest.TestCase):
    def test_it_is_the_committed_one_with_the_functions_of_the_application(self):
        committed = json.loads((base.ROOT / "docs/openapi.json").read_text(encoding="utf-8"))
        own = {path for path in document["paths"] if path not in committed["paths"]}
        self.assertIn("/praxis/v1/functions/answer/call", own)
        self.assertTrue(all(path.startswith("/praxis/v1/functions/") for path in own), own)
        for path, methods in committed["paths"].items():
            self.assertEqual(document["paths"][path], methods, path)
        for name, schema in committed["components"]["schemas"].items():
            self.assertEqual(document["components"]["schemas"][name], schema, name)
        self.assertEqual(document["servers"][0]["url"], "/")

    def test_it_is_behind_the_key(self):
        with client(None) as stranger:
            self.assertEqual(stranger.get("/openapi.json").status_code, 401)
            for path in ["/healthz", "/readyz"]:
                self.assertEqual(stranger.get(path).status_code, 200, path)
        self.assertEqual(web.get("/openapi.json").status_code, 200)
        self.assertEqual(web.get("/metrics").status_code, 200)


class Praxis(unittest.TestCase):
    """All of `/praxis/v1`. The last test, by its name, looks for what the others left out."""

    QUESTION = "Who taught anatomy to Lu Xun?"

    def ok(self, response):
        self.assertEqual(response.status_code, 200, response.text)
        return response.json()

    def refused(self, response, status, code):
        self.assertEqual(response.status_code, status, response.text)
        self.assertEqual(response.json()["error"]["code"], code)

    def test_functions_are_listed_and_called(self):
        names = [function["name"] for function in self.ok(web.get("/praxis/v1/functions"))["functions"]]
        self.assertIn("answer", names)
        body = {"input": {"question": self.QUESTION}}
        called = self.ok(web.post("/praxis/v1/functions/answer/call", json=body))
        self.assertTrue(called["trace_id"])
        # The same by the path that stands for all functions.
        found = self.ok(web.post("/praxis/v1/functions/%61nswer/call", json=body))
        self.assertEqual(called["output"].keys(), found["output"].keys())
        search = next(name for name in names if name.startswith("praxis/search/"))
        address = f"/praxis/v1/functions/{search.replace('/', '%2F')}/call"
        signature = next(
            function for function in web.get("/praxis/v1/functions").json()["functions"] if function["name"] == search
        )
        [field] = signature["input_schema"]["required"][:1]
        self.ok(web.post(address, json={"input": {field: self.QUESTION}}))
        for _ in range(100):
            trace = web.get(f"/praxis/v1/traces/{called['trace_id']}")
            if trace.status_code == 200:
                break
            time.sleep(0.1)
        kinds = {span["kind"] for span in self.ok(trace)["spans"]}
        self.assertTrue({"function", "retrieval", "chat"} <= kinds, kinds)
        self.spoken_of(called["trace_id"])

    def spoken_of(self, trace):
        """Says something of a call, and finds it by that."""
        address = "/praxis/v1/feedback"
        said = {"trace_id": trace, "thumb": "up", "score": 0.5, "comment": "Right.", "by": "ada"}
        kept = self.ok(web.post(address, json=said))
        self.assertEqual(kept["by"], "ada")
        self.assertEqual(self.ok(web.get(f"/praxis/v1/traces/{trace}"))["feedback"], [kept])
        listed = self.ok(web.get(address, params={"trace_id": trace, "thumb": "up"}))
        self.assertEqual(listed["data"], [kept])
        query = {"name": "answer", "kind": "function", "status": "ok", "thumb": "up", "limit": 5}
        traces = self.ok(web.get("/praxis/v1/traces", params=query))
        self.assertIn(trace, [head["id"] for head in traces["data"]])
        self.refused(web.post(address, json={"trace_id": trace}), 400, "invalid_request")
        self.refused(web.post(address, json={"trace_id": NONE, "thumb": "up"}), 404, "not_found")
        self.refused(web.get(address, params={"thumb": "left"}), 400, "invalid_request")
        self.refused(web.get("/praxis/v1/traces", params={"kind": "tree"}), 400, "invalid_request")

    def test_a_call_comes_as_events_where_that_is_asked_for(self):
        body = {"input": {"question": self.QUESTION}, "stream": True}
        response = web.post("/praxis/v1/functions/answer/call", json=body)
        self.assertEqual(response.status_code, 200, response.text)
        names = [event["event"] for event in openapi_own.events(response.text)]
        self.assertEqual(names[-1], "done", response.text)
        self.assertIn("delta", names)

    def test_what_functions_refuse(self):
        call = "/praxis/v1/functions/answer/call"
        self.refused(web.post(call, json={"input": {}}), 400, "invalid_request")
        self.refused(web.post(call, json={"inputs": {}}), 400, "invalid_request")
        self.refused(web.post(call, content=b"{}"), 400, "invalid_request")
        self.refused(web.post(call, content=b"[", headers={"content-type": "application/json"}), 400, "invalid_request")
        self.refused(web.post("/praxis/v1/functions/anser/call", json={"input": {}}), 404, "not_found")
        self.refused(web.post("/praxis/v1/functions/anser/chat", json={"messages": []}), 404, "not_found")
        self.refused(web.get(f"/praxis/v1/traces/{NONE}"), 404, "not_found")
        with client("sk-wrong") as stranger:
            self.refused(stranger.get("/praxis/v1/functions"), 401, "unauthorized")

    def test_a_conversation_comes_as_events(self):
        for messages, last in [(base.user(self.QUESTION), "done"), ([], "error")]:
            response = web.post("/praxis/v1/functions/answer/chat", json={"messages": messages})
            self.assertEqual(response.status_code, 200, response.text)
            names = [event["event"] for event in openapi_own.events(response.text)]
            self.assertEqual(names[-1], last, response.text)
            if last == "done":
                self.assertIn("retrieved", names)
                self.assertIn("delta", names)

    def test_knowledge_is_listed_searched_and_cited(self):
        [docs] = self.ok(web.get("/praxis/v1/knowledge"))["bases"]
        self.assertEqual(docs["base"], "docs")
        page = self.ok(web.get("/praxis/v1/knowledge", params={"base": "docs", "limit": 1, "after": docs["last_uri"]}))
        self.assertEqual(page["bases"][0]["documents"], [])
        address = "/praxis/v1/knowledge/docs/search"
        best = self.ok(web.post(address, json={"query": self.QUESTION, "limit": 2}))["passages"][0]
        body = {
            "query": self.QUESTION, "level": "document", "history": base.user("Hello."), "rerank": False,
            "filters": {"type": "and", "filters": [{"type": "eq", "key": "uri", "value": best["uri"]}]},
        }
        found = self.ok(web.post(address, json=body))
        self.assertEqual(found["documents"][0]["document"], best["document"])
        excerpt = self.ok(web.get(f"/praxis/v1/passages/{best['chunk']}"))
        self.assertEqual(excerpt["passage"]["text"], best["text"])
        self.refused(web.get(f"/praxis/v1/passages/{NONE}"), 404, "not_found")
        self.refused(web.get("/praxis/v1/knowledge", params={"after": "x"}), 400, "invalid_request")
        for wrong in [
            {"query": "x", "limit": 0}, {"query": "x", "filters": {"type": "like"}}, {"question": "x"},
            {"query": "x", "level": "chapter"},
        ]:
            self.refused(web.post(address, json=wrong), 400, "invalid_request")
        self.refused(web.post(f"/praxis/v1/knowledge/{NONE}/search", json={"query": "x"}), 404, "not_found")

    def test_a_graph_is_asked(self):
        address = "/praxis/v1/knowledge/docs/graph"
        # Whether there is a graph or none, the answer is one that is described.
        for params in [{}, {"entity": "Fujino"}, {"entity": "a", "to": "b"}]:
            self.assertIn(web.get(address, params=params).status_code, [200, 400, 404])
        for params in [{"to": "b"}, {"limit": 0}, {"limit": "x"}, {"colour": "red"}]:
            self.refused(web.get(address, params=params), 400, "invalid_request")

    def test_what_waits_for_a_person_and_the_log(self):
        address = "/praxis/v1/approvals"
        self.assertEqual(self.ok(web.get(address))["data"], [])
        self.ok(web.get(address, params={"state": "pending"}))
        self.assertEqual(self.ok(web.get(f"{address}/waiting"))["count"], 0)
        self.refused(web.get(address, params={"state": "lost"}), 400, "invalid_request")
        self.refused(web.get(f"{address}/{NONE}"), 404, "not_found")
        self.refused(web.post(f"{address}/{NONE}", json={"decision": "approve"}), 404, "not_found")
        self.refused(web.post(f"{address}/{NONE}", json={"decision": "perhaps"}), 400, "invalid_request")
        self.ok(web.get("/praxis/v1/audit", params={"limit": 1, "tool": "notes", "outcome": "done"}))
        self.refused(web.get("/praxis/v1/audit", params={"outcome": "made"}), 400, "invalid_request")
        self.refused(web.get("/praxis/v1/audit", params={"limit": 0}), 400, "invalid_request")

    def test_a_file_is_previewed(self):
        address = "/praxis/v1/knowledge/docs/preview"
        text = ("lynx.md", b"# The lynx\n\nA lynx lives in the forest and hunts hares.")
        preview = self.ok(web.post(address, files={"file": text}))
        self.assertEqual(preview["title"], "The lynx")
        self.refused(web.post(address, files={"file": ("empty.txt", b" ")}), 400, "invalid_request")
        self.refused(web.post(address, files={"other": text}), 400, "invalid_request")
        self.refused(web.post(address, files={"file": ("large.txt", b"x" * 1_000_001)}), 413, "too_large")
        self.refused(web.post(address, json={}), 400, "invalid_request")
        self.refused(web.post(f"/praxis/v1/knowledge/{NONE}/preview", files={"file": text}), 404, "not_found")

    def test_other_addresses_and_methods_are_refused(self):
        self.refused(web.get("/praxis/v1/nothing"), 404, "not_found")
        wrong = web.delete("/praxis/v1/functions")
        self.refused(wrong, 405, "invalid_request")
        self.assertIn("GET", wrong.headers["allow"])

    def test_what_is_packed_otherwise_is_refused(self):
        headers = {"content-type": "application/json", "content-encoding": "br"}
        response = web.post("/praxis/v1/knowledge/docs/search", content=b"{}", headers=headers)
        self.assertIn(response.status_code, [400, 415])

    def test_zz_each_operation_was_asked(self):
        unasked = [name for name in checker.unasked("/praxis/v1") if "/functions/" not in name]
        self.assertEqual(unasked, [])
        for operation in ["listFunctions", "callFunction", "chatWithFunction"]:
            self.assertIn(operation, checker.seen)


class OpenAI(unittest.TestCase):
    """What is served below `/v1`, where our document says more than OpenAI's: the field `praxis`, our limits."""

    def test_models_and_embeddings(self):
        self.assertEqual(web.get("/v1/models").status_code, 200)
        self.assertEqual(web.get("/v1/models/function:answer").status_code, 200)
        self.assertEqual(web.get(f"/v1/models/{NONE}").status_code, 404)
        for options in [{}, {"encoding_format": "base64"}, {"input_type": "query"}]:
            response = web.post("/v1/embeddings", json={"model": base.EMBEDDER, "input": ["a", "b"], **options})
            self.assertEqual(response.status_code, 200, response.text)
        for wrong in [{"input": []}, {"input": "a", "dimensions": 3}, {"input": "a", "encoding_format": "hex"}]:
            response = web.post("/v1/embeddings", json={"model": base.EMBEDDER, **wrong})
            self.assertEqual(response.status_code, 400, response.text)

    def test_chat_whole_and_streamed(self):
        ask = {"model": base.MODEL, "messages": base.user("Name a colour."), "max_tokens": 3}
        tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}]
        for options in [
            {}, {"n": 2}, {"logprobs": True, "top_logprobs": 2}, {"stream": True, "stream_options": {"include_usage": True}},
            {"model": "function:answer"}, {"model": "function:answer", "stream": True},
            {"tools": tools, "tool_choice": "required", "max_tokens": 40},
            {"structured_outputs": {"choice": ["red", "blue"]}},
        ]:
            response = web.post("/v1/chat/completions", json={**ask, **options})
            self.assertEqual(response.status_code, 200, response.text)
        for wrong, status in [({"n": 0}, 400), ({"model": NONE}, 404), ({"messages": 3}, 400)]:
            self.assertEqual(web.post("/v1/chat/completions", json={**ask, **wrong}).status_code, status)

    def test_files_and_vector_stores(self):
        text = ("otter.md", b"# The otter\n\nAn otter lives at the river and eats fish.")
        file = web.post("/v1/files", files={"file": text}, data={"purpose": "assistants"}).json()["id"]
        for path in ["/v1/files", f"/v1/files/{file}", f"/v1/files/{file}/content"]:
            self.assertEqual(web.get(path).status_code, 200, path)
        self.assertEqual(web.get("/v1/files", params={"limit": 0}).status_code, 400)
        store = web.post("/v1/vector_stores", json={"name": "animals", "file_ids": [file]}).json()["id"]
        place = f"/v1/vector_stores/{store}"
        for _ in range(600):
            if web.get(place).json()["status"] == "completed":
                break
            time.sleep(0.1)
        search = {"query": ["otter"], "max_num_results": 2, "ranking_options": {"ranker": "none"}}
        batch = web.post(f"{place}/file_batches", json={"files": [{"file_id": file, "attributes": {"year": 2026}}]})
        batch = f"{place}/file_batches/{batch.json()['id']}"
        change = {"expires_after": {"anchor": "last_active_at", "days": 2}}
        for response in [
            web.get("/v1/vector_stores"), web.post(place, json=change), web.post(f"{place}/search", json=search),
            web.get(f"{place}/files"), web.get(f"{place}/files/{file}"),
            web.post(f"{place}/files/{file}", json={"attributes": {"year": 2025}}),
            web.post(f"{place}/files", json={"file_id": file, "chunking_strategy": {"type": "auto"}}),
            web.get(batch), web.get(f"{batch}/files"), web.post(f"{batch}/cancel"),
        ]:
            self.assertEqual(response.status_code, 200, response.text)
        self.assertIn(web.get(f"{place}/files/{file}/content").status_code, [200, 400])
        self.assertEqual(web.post(f"{place}/search", json={"query": []}).status_code, 400)
        for path in [f"{place}/files/{file}", place, f"/v1/files/{file}"]:
            self.assertEqual(web.delete(path).status_code, 200, path)
            self.assertEqual(web.delete(path).status_code, 404, path)

    def test_texts_responses_and_conversations(self):
        for body in [{"prompt": "One, two,"}, {"prompt": ["a", "b"], "logprobs": 1}, {"prompt": "a", "stream": True}]:
            response = web.post("/v1/completions", json={"model": base.MODEL, "max_tokens": 2, **body})
            self.assertEqual(response.status_code, 200, response.text)
        said = {"type": "message", "role": "user", "content": "Name a colour."}
        place = f"/v1/conversations/{web.post('/v1/conversations', json={'items': [said]}).json()['id']}"
        ask = {"model": base.MODEL, "max_output_tokens": 16, "input": "Another."}
        answer = web.post("/v1/responses", json={**ask, "conversation": place.rsplit("/", 1)[1]})
        self.assertEqual(answer.status_code, 200, answer.text)
        kept = f"/v1/responses/{answer.json()['id']}"
        item = web.get(f"{place}/items").json()["data"][0]["id"]
        for response in [
            web.post("/v1/responses", json={**ask, "stream": True}), web.post("/v1/responses/input_tokens", json=ask),
            web.get(kept), web.get(f"{kept}/input_items"), web.get(place), web.get(f"{place}/items/{item}"),
            web.post(place, json={"metadata": {"topic": "colours"}}),
            web.post(f"{place}/items", json={"items": [said]}),
            web.delete(f"{place}/items/{item}"), web.delete(place), web.delete(kept),
        ]:
            self.assertEqual(response.status_code, 200, f"{response.request.url}: {response.text}")
        for response in [web.get(kept), web.get(place), web.post(f"{kept}/cancel")]:
            self.assertEqual(response.status_code, 404, response.text)
        self.assertLess(web.post("/v1/moderations", json={"input": "I like trains."}).status_code, 500)

    def test_uploads_and_batches(self):
        request = {"custom_id": "a", "method": "POST", "url": "/v1/embeddings"}
        line = json.dumps({**request, "body": {"model": base.EMBEDDER, "input": "a"}}).encode() + b"\n"
        begin = {"filename": "in.jsonl", "purpose": "batch", "bytes": len(line), "mime_type": "application/jsonl"}
        upload = f"/v1/uploads/{web.post('/v1/uploads', json=begin).json()['id']}"
        part = web.post(f"{upload}/parts", files={"data": ("part", line)})
        self.assertEqual(part.status_code, 200, part.text)
        whole = web.post(f"{upload}/complete", json={"part_ids": [part.json()["id"]]})
        self.assertEqual(whole.status_code, 200, whole.text)
        body = {"input_file_id": whole.json()["file"]["id"], "endpoint": "/v1/embeddings", "completion_window": "24h"}
        made = web.post("/v1/batches", json=body)
        self.assertEqual(made.status_code, 200, made.text)
        batch = f"/v1/batches/{made.json()['id']}"
        for _ in range(600):
            if web.get(batch).json()["status"] in ["completed", "failed"]:
                break
            time.sleep(0.1)
        self.assertEqual(web.get("/v1/batches").status_code, 200)
        for response in [web.post(f"{batch}/cancel"), web.post(f"{upload}/cancel"), web.post("/v1/batches", json={})]:
            self.assertLess(response.status_code, 500, response.text)

    def test_reports(self):
        start = {"start_time": int(time.time())}
        for report, group in [
            ("usage/completions", None), ("usage/completions", "model"), ("usage/embeddings", None),
            ("costs", None), ("costs", "line_item"), ("costs", "user_id"),
        ]:
            params = {**start, **({"group_by": group} if group else {})}
            response = web.get(f"/v1/organization/{report}", params=params)
            self.assertEqual(response.status_code, 200, response.text)
        self.assertEqual(web.get("/v1/organization/costs").status_code, 400)


if __name__ == "__main__":
    cache = pathlib.Path(base.os.environ.get("PRAXIS_CACHE", pathlib.Path.home() / ".cache/praxis"))
    missing = [name for name in [base.MODEL, base.EMBEDDER] if not list(cache.glob(f"**/{name}"))]
    if missing and "PRAXIS_URL" not in base.os.environ:
        print(f"SKIPPED: not in the cache: {', '.join(missing)}", file=sys.stderr)
        sys.exit(0)
    unittest.main(verbosity=2)
