"""Responses and conversations: the official `openai` SDK against the real binary with a real model."""

import base64
import json
import os
import pathlib
import sys
import unittest

import openai
import pydantic

import test_openai
from test_openai import EMBEDDER, MODEL

NOTE = b"# Opening hours\n\nThe library is closed on Mondays, and open until nine on Fridays.\n"

STORY = "Tell a long story about an otter and a lynx. Do not stop."

WEATHER = {"type": "function", "strict": True, **test_openai.WEATHER["function"]}


class Person(pydantic.BaseModel):
    name: str = pydantic.Field(max_length=12)
    age: int = pydantic.Field(ge=0, le=120)


def setUpModule():
    global client, checked
    test_openai.setUpModule()
    client, checked = test_openai.client, test_openai.checked


def tearDownModule():
    test_openai.tearDownModule()


def ask(input="Name a colour.", client=None, **options):
    options = {"model": MODEL, "temperature": 0, "max_output_tokens": 16, **options}
    return (client or checked).responses.create(input=input, **options)


def kinds(events):
    return [event.type for event in events]


class Whole(unittest.TestCase):
    def test_an_answer_has_text_status_and_usage_and_is_kept(self):
        answer = ask(metadata={"topic": "colours"}, instructions="Be brief.")
        self.assertEqual(answer.object, "response")
        self.assertIn(answer.status, ["completed", "incomplete"])
        self.assertTrue(answer.output_text.strip())
        self.assertEqual(answer.metadata, {"topic": "colours"})
        self.assertEqual((answer.instructions, answer.temperature), ("Be brief.", 0))
        usage = answer.usage
        self.assertEqual(usage.total_tokens, usage.input_tokens + usage.output_tokens)
        self.assertTrue(0 < usage.output_tokens <= 16)
        self.assertEqual(checked.responses.retrieve(answer.id), answer)
        self.assertTrue(answer.model_extra["praxis"]["trace_id"])

    def test_an_answer_is_that_of_a_chat(self):
        chat = client.chat.completions.create(
            model=MODEL, temperature=0, max_tokens=16, messages=test_openai.user("Name a colour."),
        )
        self.assertEqual(ask().output_text, chat.choices[0].message.content)

    def test_messages_of_all_roles_are_read(self):
        answer = ask([
            {"role": "developer", "content": "Answer in one word."},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
            {"role": "assistant", "content": "Hello."},
            {"role": "user", "content": "Name a colour."},
        ])
        self.assertTrue(answer.output_text)
        items = checked.responses.input_items.list(answer.id, order="asc").data
        self.assertEqual([item.role for item in items], ["developer", "user", "assistant", "user"])

    def test_a_cut_answer_says_that_it_was_cut(self):
        answer = ask("Count from one to twenty in words.", max_output_tokens=3)
        self.assertEqual((answer.status, answer.incomplete_details.reason), ("incomplete", "max_output_tokens"))
        self.assertEqual(answer.output[-1].status, "incomplete")
        self.assertEqual(answer.usage.output_tokens, 3)

    def test_log_probabilities_on_demand(self):
        include = ["message.output_text.logprobs"]
        answer = ask(max_output_tokens=3, top_logprobs=2, include=include)
        tokens = answer.output[-1].content[0].logprobs
        self.assertEqual("".join(t.token for t in tokens), answer.output_text)
        for token in tokens:
            self.assertEqual(len(token.top_logprobs), 2)
            self.assertAlmostEqual(token.top_logprobs[0].logprob, token.logprob, places=3)
        plain = checked.responses.retrieve(answer.id)
        self.assertEqual(plain.output[-1].content[0].logprobs, [])
        kept = checked.responses.retrieve(answer.id, include=include)
        self.assertEqual(kept.output[-1].content[0].logprobs, tokens)

    def test_what_is_not_to_be_kept_is_not(self):
        answer = ask(store=False)
        self.assertTrue(answer.output_text)
        with self.assertRaises(openai.NotFoundError):
            checked.responses.retrieve(answer.id)

    def test_tokens_are_counted_before_they_are_sent(self):
        counted = checked.responses.input_tokens.count(model=MODEL, input="Name a colour.")
        self.assertEqual(counted.input_tokens, ask().usage.input_tokens)
        more = checked.responses.input_tokens.count(model=MODEL, input="Name a colour.", tools=[WEATHER])
        self.assertGreater(more.input_tokens, counted.input_tokens)

    def test_the_oldest_turns_go_where_a_conversation_is_too_long(self):
        long = [{"role": role, "content": "otter " * 6000} for role in ["user", "assistant"] * 2]
        question = {"role": "user", "content": "Name a colour."}
        with self.assertRaises(openai.BadRequestError) as caught:
            ask([*long, question])
        self.assertEqual(caught.exception.code, "context_length_exceeded")
        answer = ask([*long, question], truncation="auto")
        self.assertTrue(answer.output_text)


class Streamed(unittest.TestCase):
    def test_events_come_in_order_and_add_up(self):
        events = list(ask(stream=True))
        self.assertEqual([e.sequence_number for e in events], list(range(len(events))))
        deltas = [e for e in events if e.type == "response.output_text.delta"]
        self.assertGreater(len(deltas), 1, "text comes in pieces")
        others = [k for k in kinds(events) if k != "response.output_text.delta"]
        self.assertEqual(others[:-1], [
            "response.created", "response.in_progress", "response.output_item.added", "response.content_part.added",
            "response.output_text.done", "response.content_part.done", "response.output_item.done",
        ])
        self.assertIn(others[-1], ["response.completed", "response.incomplete"])
        whole = ask()
        self.assertEqual("".join(d.delta for d in deltas), whole.output_text)
        last = events[-1].response
        self.assertEqual(last.output_text, whole.output_text)
        self.assertEqual(checked.responses.retrieve(last.id).output, last.output)

    def test_the_helper_of_the_sdk_follows(self):
        with checked.responses.stream(
            model=MODEL, input="Invent a person, as JSON.", temperature=0, max_output_tokens=80, text_format=Person,
        ) as stream:
            text = "".join(e.delta for e in stream if e.type == "response.output_text.delta")
            final = stream.get_final_response()
        self.assertEqual(final.status, "completed")
        self.assertEqual(text, final.output_text)
        self.assertIsInstance(final.output_parsed, Person)

    def test_a_client_that_leaves_frees_the_model(self):
        stream = ask(STORY, client=client, max_output_tokens=2000, stream=True)
        for _, event in zip(range(6), stream):
            created = event.response if event.type == "response.created" else created
        stream.close()
        self.assertTrue(ask(max_output_tokens=1).output)
        with self.assertRaises(openai.NotFoundError):
            checked.responses.retrieve(created.id)

    def test_an_error_has_a_status_streaming_or_not(self):
        for stream in [False, True]:
            with self.assertRaises(openai.NotFoundError) as caught:
                ask(model="nothing", stream=stream)
            self.assertEqual(caught.exception.code, "not_found")


class Chains(unittest.TestCase):
    def test_a_response_goes_on_from_another(self):
        first = ask("My name is Ada.")
        alone = ask("What is my name?")
        second = ask("What is my name?", previous_response_id=first.id)
        self.assertEqual(second.previous_response_id, first.id)
        added = second.usage.input_tokens - alone.usage.input_tokens
        self.assertGreater(added, first.usage.output_tokens, "what was said before is read")
        same = ask([
            {"role": "user", "content": "My name is Ada."},
            *[item.to_dict() for item in first.output],
            {"role": "user", "content": "What is my name?"},
        ])
        self.assertEqual(same.output_text, second.output_text)
        self.assertEqual(same.usage.input_tokens, second.usage.input_tokens)
        third = ask("Say it again.", previous_response_id=second.id, max_output_tokens=4)
        self.assertGreater(third.usage.input_tokens, second.usage.input_tokens)
        # What was deleted is read no more; what came behind it is.
        checked.responses.delete(first.id)
        less = ask("Say it again.", previous_response_id=second.id, max_output_tokens=4)
        self.assertLess(less.usage.input_tokens, third.usage.input_tokens)
        with self.assertRaises(openai.NotFoundError) as caught:
            ask(previous_response_id=first.id)
        self.assertEqual(caught.exception.param, "previous_response_id")

    def test_instructions_are_not_carried_over(self):
        first = ask("Hi", instructions="Answer in French. " * 20, max_output_tokens=2)
        second = ask("Hi", previous_response_id=first.id, max_output_tokens=2)
        self.assertLess(second.usage.input_tokens, first.usage.input_tokens)

    def test_an_item_is_referred_to_by_its_id(self):
        first = ask("My name is Ada.")
        reference = {"type": "item_reference", "id": first.output[-1].id}
        answer = ask([reference, {"role": "user", "content": "Again."}], max_output_tokens=2)
        items = checked.responses.input_items.list(answer.id, order="asc").data
        self.assertEqual(items[0].content[0].text, first.output_text)
        with self.assertRaises(openai.NotFoundError) as caught:
            ask([{"type": "item_reference", "id": "msg_none"}])
        self.assertEqual(caught.exception.param, "input[0]")

    def test_what_a_response_was_given_is_listed_page_by_page(self):
        texts = ["one", "two", "three"]
        answer = ask([{"role": "user", "content": text} for text in texts], max_output_tokens=1)

        def listed(**options):
            return [i.content[0].text for i in checked.responses.input_items.list(answer.id, **options)]

        self.assertEqual(listed(order="asc"), texts)
        self.assertEqual(listed(limit=1), texts[::-1], "the SDK reads all pages")
        first = checked.responses.input_items.list(answer.id, order="asc", limit=2)
        self.assertTrue(first.has_more)
        self.assertEqual(listed(order="asc", after=first.last_id), ["three"])
        with self.assertRaises(openai.NotFoundError) as caught:
            listed(after="msg_none")
        self.assertEqual(caught.exception.param, "after")

    def test_what_is_deleted_is_gone(self):
        answer = ask(max_output_tokens=1)
        checked.responses.delete(answer.id)
        for call in [checked.responses.retrieve, checked.responses.delete, checked.responses.input_items.list]:
            with self.assertRaises(openai.NotFoundError):
                call(answer.id)


class Conversations(unittest.TestCase):
    def setUp(self):
        hello = {"type": "message", "role": "user", "content": "My name is Ada."}
        self.conversation = checked.conversations.create(items=[hello], metadata={"topic": "names"})
        self.items = checked.conversations.items

    def said(self):
        return list(self.items.list(self.conversation.id, order="asc", limit=2))

    def test_a_response_reads_a_conversation_and_adds_to_it(self):
        answer = ask("What is my name?", conversation=self.conversation.id)
        self.assertEqual(answer.conversation.id, self.conversation.id)
        first, asked, said = self.said()
        self.assertEqual([i.role for i in (first, asked, said)], ["user", "user", "assistant"])
        self.assertEqual(said.content[0].text, answer.output_text)
        self.assertEqual(said.id, answer.output[-1].id)
        again = ask("And yours?", conversation={"id": self.conversation.id}, store=False, stream=True)
        again = list(again)[-1].response
        self.assertGreater(again.usage.input_tokens, answer.usage.input_tokens)
        self.assertEqual(len(self.said()), 5, "also where the response is not kept")
        with self.assertRaises(openai.BadRequestError) as caught:
            ask(previous_response_id=answer.id)
        self.assertIn(self.conversation.id, str(caught.exception))

    def test_a_conversation_is_changed_and_deleted(self):
        id = self.conversation.id
        self.assertEqual(checked.conversations.retrieve(id).metadata, {"topic": "names"})
        changed = checked.conversations.update(id, metadata={"topic": "other"})
        self.assertEqual((changed.id, changed.metadata), (id, {"topic": "other"}))
        self.assertTrue(checked.conversations.delete(id).deleted)
        for call in [
            lambda: checked.conversations.retrieve(id),
            lambda: checked.conversations.delete(id),
            lambda: self.items.list(id),
            lambda: ask(conversation=id),
        ]:
            with self.assertRaises(openai.NotFoundError):
                call()

    def test_items_are_added_read_and_deleted(self):
        id = self.conversation.id
        added = self.items.create(id, items=[
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hello Ada."}]},
            {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": "4"},
        ])
        self.assertEqual([i.type for i in added.data], ["message", "function_call", "function_call_output"])
        self.assertEqual(self.items.retrieve(added.data[1].id, conversation_id=id).name, "f")
        self.assertEqual(len(self.said()), 4)
        for item in self.items.list(id, limit=1):
            self.assertEqual(self.items.delete(item.id, conversation_id=id).id, id)
        self.assertEqual(self.said(), [])
        with self.assertRaises(openai.NotFoundError):
            self.items.retrieve(added.data[0].id, conversation_id=id)

    def test_bounds_are_told(self):
        message = {"type": "message", "role": "user", "content": "x"}
        for call, param in [
            (lambda: checked.conversations.create(items=[message] * 21), "items"),
            (lambda: self.items.create(self.conversation.id, items=[message] * 21), "items"),
            (lambda: checked.conversations.create(metadata={"k": "v" * 513}), "metadata"),
            (lambda: self.items.create(self.conversation.id, items=[{"type": "odd"}]), "items[0].type"),
        ]:
            with self.assertRaises(openai.BadRequestError) as caught:
                call()
            self.assertEqual(caught.exception.param, param)


class Compaction(unittest.TestCase):
    def compact(self, client=None, **options):
        return (client or checked).responses.compact(**{"model": MODEL, **options})

    def test_a_conversation_becomes_shorter_and_goes_on(self):
        first = ask("My name is Ada, and I live in Oslo.")
        second = ask("I like otters.", previous_response_id=first.id)
        short = self.compact(previous_response_id=second.id, instructions="Write one sentence.")
        self.assertEqual(short.object, "response.compaction")
        *kept, sealed = short.output
        self.assertEqual([(item.type, item.role) for item in kept], [("message", "user")] * 2)
        self.assertEqual(sealed.type, "compaction")
        self.assertNotIn("Oslo", base64.b64decode(sealed.encrypted_content).decode())
        usage = short.usage
        self.assertEqual(usage.total_tokens, usage.input_tokens + usage.output_tokens)
        self.assertGreater(usage.output_tokens, 0)
        # It goes on from the items, or from the id, and reads the same.
        items = [item.to_dict() for item in short.output]
        alone = ask([*items[:-1], {"role": "user", "content": "Again."}], max_output_tokens=1)
        on = ask([*items, {"role": "user", "content": "Again."}], max_output_tokens=1)
        self.assertGreater(on.usage.input_tokens, alone.usage.input_tokens, "the summary is read")
        same = ask("Again.", previous_response_id=short.id, max_output_tokens=1)
        self.assertEqual(same.usage.input_tokens, on.usage.input_tokens)
        listed = checked.responses.input_items.list(on.id, order="asc").data
        self.assertEqual(listed[2].to_dict(), items[2])
        # It is kept with what went on from it, and is compacted again.
        checked.responses.delete(short.id)
        again = self.compact(input=[*items, {"role": "user", "content": "And lynxes."}])
        self.assertEqual(again.output[-1].type, "compaction")
        self.assertNotEqual(again.output[-1].id, sealed.id)

    def test_what_cannot_be_compacted_is_refused_by_name(self):
        call = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
        for options, kind, param in [
            ({}, openai.BadRequestError, "input"),
            ({"input": [call]}, openai.BadRequestError, "input"),
            ({"input": "x", "model": "function:answer"}, openai.BadRequestError, "model"),
            ({"input": "x", "model": "nothing"}, openai.NotFoundError, None),
            ({"previous_response_id": "resp_none"}, openai.NotFoundError, "previous_response_id"),
            ({"input": "word " * 200000}, openai.BadRequestError, "input"),
        ]:
            with self.assertRaises(kind, msg=repr(options)[:80]) as caught:
                self.compact(**options)
            self.assertEqual(caught.exception.param, param)
        for content in ["gAAAAABpM0Yj", "", base64.b64encode(b"praxis-compaction-1:cmp_none").decode()]:
            with self.assertRaises(openai.NotFoundError) as caught:
                ask([{"type": "compaction", "encrypted_content": content}])
            self.assertEqual(caught.exception.param, "input[0].encrypted_content")


class Files(unittest.TestCase):
    """What files say is read by the model; the small one knows nothing of images and PDF."""

    def said(self, part):
        question = {"type": "input_text", "text": "When is it closed?"}
        return [{"role": "user", "content": [question, part]}]

    def data(self, bytes, name="hours.md"):
        packed = base64.b64encode(bytes).decode()
        return {"type": "input_file", "filename": name, "file_data": f"data:text/plain;base64,{packed}"}

    def test_a_file_is_read_by_its_id_and_out_of_the_request(self):
        file = checked.files.create(file=("hours.md", NOTE), purpose="user_data")
        by_id = {"type": "input_file", "file_id": file.id}
        alone = ask("When is it closed?", max_output_tokens=1).usage.input_tokens
        answer = ask(self.said(by_id), max_output_tokens=1)
        read = answer.usage.input_tokens
        self.assertGreater(read, alone + 20)
        self.assertEqual(ask(self.said(self.data(NOTE)), max_output_tokens=1).usage.input_tokens, read)
        counted = checked.responses.input_tokens.count(model=MODEL, input=self.said(by_id))
        self.assertEqual(counted.input_tokens, read)
        [item] = checked.responses.input_items.list(answer.id).data
        self.assertEqual((item.content[1].type, item.content[1].file_id), ("input_file", file.id))
        # A chat reads the same.
        for part in [{"file_id": file.id}, {"filename": "hours.md", "file_data": self.data(NOTE)["file_data"]}]:
            parts = [{"type": "text", "text": "When is it closed?"}, {"type": "file", "file": part}]
            chat = client.chat.completions.create(
                model=MODEL, messages=[{"role": "user", "content": parts}], max_tokens=1,
            )
            self.assertEqual(chat.usage.prompt_tokens, read)
        # The next turn reads it again, as long as it is there.
        second = ask("And on Fridays?", previous_response_id=answer.id, max_output_tokens=1)
        checked.files.delete(file.id)
        third = ask("And on Fridays?", previous_response_id=answer.id, max_output_tokens=1)
        self.assertGreater(second.usage.input_tokens, third.usage.input_tokens + 20)

    def test_what_cannot_be_read_is_refused_with_its_place(self):
        place = "input[0].content[1]"
        url = {"type": "input_file", "file_url": "https://example.com/a.pdf"}
        for part, kind, param, said in [
            (url, openai.BadRequestError, f"{place}.file_url", "not fetched"),
            ({"type": "input_file"}, openai.BadRequestError, place, "file_id"),
            ({"type": "input_file", "file_id": "file-none"}, openai.NotFoundError, f"{place}.file_id", "file-none"),
            ({"type": "input_image", "file_id": "file-none"}, openai.NotFoundError, f"{place}.file_id", "file-none"),
            (self.data(b"{\\rtf1 x}", "a.rtf"), openai.BadRequestError, f"{place}.file_data", "a.rtf"),
            (self.data(b"otter " * 20000, "long.txt"), openai.BadRequestError, "input", "long.txt"),
        ]:
            with self.assertRaises(kind) as caught:
                ask(self.said(part))
            self.assertEqual(caught.exception.param, param)
            self.assertIn(said, str(caught.exception))
        self.assertEqual(caught.exception.code, "context_length_exceeded")
        part = {"type": "file", "file": {"file_id": "file-none"}}
        with self.assertRaises(openai.NotFoundError) as caught:
            client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": [part]}])
        self.assertEqual(caught.exception.param, "messages[0].content[0].file.file_id")

    def test_a_longer_conversation_is_compacted_with_its_files(self):
        long = self.said(self.data(b"The otter eats fish. " * 900, "long.txt"))
        with self.assertRaises(openai.BadRequestError):
            ask([*long, *long])
        short = checked.responses.compact(model=MODEL, input=long)
        self.assertEqual([item.type for item in short.output], ["compaction"])


class Tools(unittest.TestCase):
    """The small model has never seen a tool: what holds here holds by the constraint."""

    def call(self, **options):
        options = {"tool_choice": "required", "max_output_tokens": 120, "parallel_tool_calls": False, **options}
        return ask("Weather in Oslo?", tools=[WEATHER], **options)

    def check(self, call):
        self.assertEqual((call.type, call.name, call.status), ("function_call", "get_weather", "completed"))
        self.assertEqual(sorted(json.loads(call.arguments)), ["city", "unit"])

    def test_a_call_is_made_and_its_result_is_read(self):
        answer = self.call()
        self.assertEqual(answer.status, "completed")
        [call] = [item for item in answer.output if item.type == "function_call"]
        self.check(call)
        result = {"type": "function_call_output", "call_id": call.call_id, "output": "Snow."}
        told = ask([result], previous_response_id=answer.id, tools=[WEATHER], tool_choice="none")
        self.assertTrue(told.output_text)
        self.assertEqual(kinds(told.output), ["message"])
        # The same without anything that is kept.
        question = {"role": "user", "content": "Weather in Oslo?"}
        input = [question, *[item.to_dict() for item in answer.output], result]
        same = ask(input, tools=[WEATHER], tool_choice="none", store=False)
        self.assertEqual(same.output_text, told.output_text)
        for wrong in [[{"role": "user", "content": "And?"}], [{**result, "call_id": "call_none"}]]:
            with self.assertRaises(openai.BadRequestError) as caught:
                ask(wrong, previous_response_id=answer.id)
            self.assertEqual(caught.exception.param, "input")

    def test_a_streamed_call_is_the_same(self):
        events = list(self.call(stream=True))
        deltas = [e.delta for e in events if e.type == "response.function_call_arguments.delta"]
        [done] = [e for e in events if e.type == "response.function_call_arguments.done"]
        self.assertEqual("".join(deltas), done.arguments)
        self.assertEqual((done.name, done.arguments), ("get_weather", self.call().output[-1].arguments))

    def test_a_tool_by_its_name(self):
        self.check(self.call(tool_choice={"type": "function", "name": "get_weather"}).output[-1])
        allowed = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "get_weather"}]}
        self.check(self.call(tool_choice=allowed).output[-1])


class Forms(unittest.TestCase):
    def test_an_answer_is_parsed(self):
        answer = checked.responses.parse(
            model=MODEL, input="Invent a person, as JSON.", max_output_tokens=80, temperature=0, text_format=Person,
        )
        self.assertIsInstance(answer.output_parsed, Person)
        self.assertEqual(answer.text.format.type, "json_schema")

    def test_any_object(self):
        options = {"text": {"format": {"type": "json_object"}}, "max_output_tokens": 400}
        answer = ask("Invent a person, as a JSON object with a name.", **options)
        if answer.status == "completed":
            self.assertIsInstance(json.loads(answer.output_text), dict)
        self.assertTrue(answer.output_text.lstrip().startswith("{"))


class FileSearch(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.store = client.vector_stores.create(name="animals")
        texts = {"otter.md": "An otter lives at the river and eats fish.", "lynx.md": "A lynx hunts hares."}
        client.vector_stores.file_batches.upload_and_poll(
            cls.store.id, files=[(name, text.encode()) for name, text in texts.items()]
        )

    @classmethod
    def tearDownClass(cls):
        client.vector_stores.delete(cls.store.id)

    def ask(self, **options):
        tool = {"type": "file_search", "vector_store_ids": [self.store.id], "max_num_results": 1}
        options = {"tools": [tool], "tool_choice": {"type": "file_search"}, **options}
        options = {"max_output_tokens": 600, "parallel_tool_calls": False, **options}
        return ask("What does an otter eat?", **options)

    def test_files_are_searched_and_what_was_found_is_shown_on_demand(self):
        answer = self.ask(include=["file_search_call.results"])
        search = answer.output[0]
        self.assertEqual((search.type, search.status), ("file_search_call", "completed"))
        self.assertTrue(search.queries)
        [result] = search.results
        self.assertIn(result.filename, ["otter.md", "lynx.md"])
        self.assertTrue(result.text and 0 <= result.score <= 1)
        self.assertIsNone(checked.responses.retrieve(answer.id).output[0].results)
        for item in answer.output:
            for part in item.content if item.type == "message" else []:
                for annotation in part.annotations:
                    self.assertEqual(annotation.type, "file_citation")
                    self.assertRegex(part.text[annotation.index :], r"^\[\d+\]")
        # The next turn reads what was found.
        alone = ask("And a lynx?", max_output_tokens=1)
        again = ask("And a lynx?", previous_response_id=answer.id, max_output_tokens=1)
        self.assertGreater(again.usage.input_tokens, alone.usage.input_tokens + 40)

    def test_a_streamed_search_is_told_step_by_step(self):
        events = kinds(self.ask(stream=True))
        begin = events.index("response.file_search_call.in_progress")
        self.assertEqual(events[begin - 1 : begin + 4], [
            "response.output_item.added", "response.file_search_call.in_progress",
            "response.file_search_call.searching", "response.file_search_call.completed",
            "response.output_item.done",
        ])

    def test_a_vector_store_that_is_not_there_is_told_at_once(self):
        tool = {"type": "file_search", "vector_store_ids": ["vs_none"]}
        with self.assertRaises(openai.NotFoundError) as caught:
            ask(tools=[tool])
        self.assertEqual(caught.exception.param, "tools")


class Functions(unittest.TestCase):
    def test_a_function_answers_with_its_citations(self):
        question = test_openai.Functions.QUESTION
        for stream in [False, True]:
            answer = ask(question, model="function:answer", max_output_tokens=40, stream=stream)
            if stream:
                answer = list(answer)[-1].response
            part = answer.output[-1].content[0]
            self.assertTrue(part.annotations, part.text)
            for annotation in part.annotations:
                self.assertEqual(annotation.type, "url_citation")
                mark = part.text[annotation.start_index : annotation.end_index]
                self.assertRegex(mark, r"^\[\d\]$")
            self.assertFalse(answer.model_extra["praxis"]["refused"])

    def test_what_is_the_functions_to_say_is_refused(self):
        for options, param in [
            ({"tools": [WEATHER]}, "tools"),
            ({"instructions": "Be brief."}, "instructions"),
            ({"text": {"format": {"type": "json_object"}}}, "text.format"),
        ]:
            with self.assertRaises(openai.BadRequestError) as caught:
                ask(model="function:answer", **options)
            self.assertEqual(caught.exception.param, param)


class Background(unittest.TestCase):
    def poll(self, id):
        for _ in range(3000):
            found = checked.responses.retrieve(id)
            if found.status not in ["queued", "in_progress"]:
                return found
        self.fail("it never ends")

    def test_a_response_is_begun_and_asked_for_later(self):
        begun = ask(background=True)
        self.assertEqual((begun.status, begun.background, begun.output), ("queued", True, []))
        done = self.poll(begun.id)
        self.assertEqual(done.output_text, ask().output_text)
        self.assertEqual(checked.responses.cancel(begun.id).status, done.status, "it is too late for that")
        follow = ask("Again.", previous_response_id=begun.id, max_output_tokens=2)
        self.assertTrue(follow.output)

    def test_one_that_runs_or_waits_is_called_off(self):
        running = [ask(STORY, background=True, max_output_tokens=2000).id for _ in range(6)]
        for id in reversed(running):
            self.assertEqual(checked.responses.cancel(id).status, "cancelled")
        for id in running:
            self.assertEqual(checked.responses.retrieve(id).status, "cancelled")
        with self.assertRaises(openai.BadRequestError):
            ask(previous_response_id=running[0])

    def test_a_stream_is_left_and_followed_on(self):
        stream = ask("Name a colour.", client=client, background=True, stream=True)
        seen = [event for _, event in zip(range(4), stream)]
        stream.close()
        self.assertEqual(kinds(seen)[:3], ["response.created", "response.queued", "response.in_progress"])
        id = seen[0].response.id
        rest = list(checked.responses.retrieve(id, stream=True, starting_after=seen[-1].sequence_number))
        numbers = [event.sequence_number for event in [*seen, *rest]]
        self.assertEqual(numbers, list(range(len(numbers))))
        last = rest[-1].response
        self.assertEqual(last.output_text, ask().output_text)
        # When it has ended, the same events are read from what is kept.
        self.assertEqual(checked.responses.retrieve(id).output, last.output)
        self.assertEqual(list(checked.responses.retrieve(id, stream=True, starting_after=3)), rest)
        with checked.responses.stream(response_id=id) as helper:
            helper.until_done()

    def test_what_cannot_be_followed_or_called_off_is_told(self):
        plain = ask(max_output_tokens=1)
        quiet = ask(max_output_tokens=1, background=True)
        for id in [plain.id, quiet.id]:
            with self.assertRaises(openai.BadRequestError) as caught:
                checked.responses.retrieve(id, stream=True)
            self.assertEqual(caught.exception.param, "stream")
        with self.assertRaises(openai.BadRequestError):
            checked.responses.cancel(plain.id)


class Errors(unittest.TestCase):
    def test_what_is_wrong_is_refused_by_name(self):
        item = {"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}
        for options, param in [
            ({"temperature": 9}, "temperature"),
            ({"top_logprobs": 21}, "top_logprobs"),
            ({"include": ["everything"]}, "include"),
            ({"metadata": {"k": "v" * 513}}, "metadata"),
            ({"background": True, "store": False}, "background"),
            ({"previous_response_id": "resp_1", "conversation": "conv_1"}, "previous_response_id"),
            ({"tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]}, "tools"),
            ({"tools": [{"type": "image_generation"}]}, "tools[0].type"),
            ({"tool_choice": "required"}, "tool_choice"),
            ({"prompt": {"id": "pmpt_1"}}, "prompt"),
            ({"input": [item]}, "input[0].content[0].type"),
            ({"input": [{"type": "function_call_output", "call_id": "c", "output": "4"}]}, "input"),
            ({"input": []}, "input"),
        ]:
            with self.assertRaises(openai.BadRequestError, msg=repr(options)) as caught:
                ask(**{"input": "x", **options})
            self.assertEqual(caught.exception.param, param)

    def test_what_is_not_there_is_not_found(self):
        for call in [
            lambda: checked.responses.retrieve("resp_none"),
            lambda: checked.responses.cancel("resp_none"),
            lambda: checked.conversations.retrieve("conv_none"),
            lambda: ask(conversation="conv_none"),
            lambda: ask(model="nothing", background=True),
        ]:
            with self.assertRaises(openai.NotFoundError):
                call()


class Keys(unittest.TestCase):
    key = test_openai.Keys.key

    def test_another_key_sees_nothing(self):
        own, other = self.key("responses/own"), self.key("responses/other")
        answer = ask(client=own)
        conversation = own.conversations.create(items=[{"type": "message", "role": "user", "content": "Hi"}])
        item = own.conversations.items.list(conversation.id).data[0].id
        for key in [own, client]:
            self.assertEqual(key.responses.retrieve(answer.id), answer)
            self.assertEqual(key.conversations.retrieve(conversation.id), conversation)
        for call in [
            lambda: other.responses.retrieve(answer.id),
            lambda: other.responses.delete(answer.id),
            lambda: other.responses.cancel(answer.id),
            lambda: other.responses.input_items.list(answer.id),
            lambda: ask(client=other, previous_response_id=answer.id),
            lambda: ask([{"type": "item_reference", "id": answer.output[-1].id}], client=other),
            lambda: ask([{"type": "item_reference", "id": item}], client=other),
            lambda: ask(client=other, conversation=conversation.id),
            lambda: other.conversations.retrieve(conversation.id),
            lambda: other.conversations.update(conversation.id, metadata={"a": "b"}),
            lambda: other.conversations.delete(conversation.id),
            lambda: other.conversations.items.list(conversation.id),
            lambda: other.conversations.items.create(conversation.id, items=[{"role": "user", "content": "x"}]),
            lambda: other.conversations.items.delete(item, conversation_id=conversation.id),
        ]:
            with self.assertRaises(openai.NotFoundError):
                call()
        self.assertEqual(own.responses.retrieve(answer.id), answer)

    def test_what_was_compacted_is_for_its_key_alone(self):
        own, other = self.key("responses/sealer"), self.key("responses/stranger")
        short = own.responses.compact(model=MODEL, input="My name is Ada.")
        sealed, more = short.output[-1].to_dict(), {"role": "user", "content": "Again."}
        for key in [own, client]:
            self.assertTrue(ask([sealed, more], client=key, max_output_tokens=1).output)
        with self.assertRaises(openai.NotFoundError) as caught:
            ask([sealed, more], client=other)
        self.assertEqual(caught.exception.param, "input[0].encrypted_content")
        with self.assertRaises(openai.NotFoundError):
            ask("Again.", client=other, previous_response_id=short.id)

    def test_a_file_is_for_those_who_may_read_it_by_a_key_for_files(self):
        hr, it = self.key("responses/hr", "--label", "hr"), self.key("responses/it", "--label", "it")
        narrow = self.key("responses/narrow", "--label", "hr", "--scope", "responses,chat")
        file = hr.files.create(file=("hours.md", NOTE), purpose="user_data")
        message = {"role": "user", "content": [{"type": "input_file", "file_id": file.id}]}
        chat = {"role": "user", "content": [{"type": "file", "file": {"file_id": file.id}}]}
        self.assertTrue(ask([message], client=hr, max_output_tokens=1).output)
        for key, kind in [(it, openai.NotFoundError), (narrow, openai.PermissionDeniedError)]:
            for refused in [
                lambda: ask([message], client=key),
                lambda: key.responses.compact(model=MODEL, input=[message]),
                lambda: key.chat.completions.create(model=MODEL, messages=[chat]),
            ]:
                with self.assertRaises(kind):
                    refused()

    def test_a_key_is_for_what_it_was_made_for(self):
        chats, responses = self.key("responses/chats", "--scope", "chat"), self.key("responses/r", "--scope", "responses")
        self.assertTrue(ask(client=responses).output)
        tool = {"type": "file_search", "vector_store_ids": ["vs_none"]}
        for refused in [
            lambda: ask(client=chats),
            lambda: chats.conversations.create(),
            lambda: ask(client=responses, model="function:answer"),
            lambda: ask(client=responses, tools=[tool]),
        ]:
            with self.assertRaises(openai.PermissionDeniedError) as caught:
                refused()
            self.assertEqual(caught.exception.code, "forbidden")


if __name__ == "__main__":
    cache = pathlib.Path(os.environ.get("PRAXIS_CACHE", pathlib.Path.home() / ".cache/praxis"))
    missing = [name for name in [MODEL, EMBEDDER] if not list(cache.glob(f"**/{name}"))]
    if missing and "PRAXIS_URL" not in os.environ:
        print(f"SKIPPED: not in the cache: {', '.join(missing)}", file=sys.stderr)
        sys.exit(0)
    unittest.main(verbosity=2)
