#!/usr/bin/env python3
"""The server under mixed load for some time: a chat model with few slots and a small cache, asked for streams and for
whole answers, plain, held to a schema, with tools, several to a question, with LoRA adapters beside each other and with
more common beginnings than there is memory for; embeddings and searches, some reranked, beside it. Between them come
prompts that are too long, streams that are dropped, clients that give up, deadlines that pass, connections that say
nothing, and each minute more requests at once than the queue takes.

Every answer must be the one that was given when the server had nothing else to do, and every refusal the right one.
The server's memory must stay level. At its end it must come to rest, with all slots and places of the queue free.

usage: soak.py MINUTES [MODEL]        (MODEL: smollm2-135m-instruct, the default, or qwen2.5-coder-1.5b-instruct)

Prints a table by kind of work, what was wrong, and last one line of JSON:
  answered, wrong              answers; those that were others, or not what they must be
  dropped, left                streams that were dropped; clients that gave up before their answer
  refused, busy, late          prompts that were too long (400); requests without a place (429); deadlines (504)
  silent                       connections without a request, or with half of one
  kept, evicted                prompts whose common beginning was found in the cache, and was not
  rss_*                        memory in the second quarter of the time and the last, its change in %, each twelfth
  stuck_slots, stuck_places    those that no request gets any more at the end; rest: whether nothing is computed then
  kinds                        answers, wrong ones, and seconds (median, 95 %) of each kind of work
"""

import http.client
import json
import random
import socket
import sys
import tempfile
import threading
import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, median
from typing import NamedTuple
from urllib.parse import urlsplit

from gateway import cpu_seconds, memory
from load import RULES
from quality import ROOT, praxis, start
from run import texts

CLIENTS = 12
LEVEL = 0.05
SHOWN = 10  # of what was wrong
PATIENCE = 300.0  # seconds for an answer
FLOOD_EVERY = 60.0  # seconds

# The chat model: few slots, so that requests wait, and a cache that is too small for what comes, so that beginnings
# are forgotten and requests are set back. The queue's places are the engine's own.
PARALLEL, PLACES = 8, 64
WINDOW, CACHE_TOKENS = 2048, 4096
SPARE = 24  # requests of a flood that find no place
HASTY = "1s"

EMBEDDER = "all-minilm-l6-v2"
# Of random weights, and tiny: what it says matters less than that it always says the same.
RERANKER = ROOT / "crates/praxis-engine/tests/fixtures/tiny-xlmr-reranker"
ADAPTERS = {"first": 2, "second": 4, "third": 8}  # ranks


class Shape(NamedTuple):
    """The sizes of a chat model that its adapters depend on."""

    layers: int
    hidden: int
    keys: int
    feed_forward: int

    def targets(self) -> dict[str, tuple[int, int]]:
        """Outputs and inputs of what can be adapted of a layer."""
        return {
            "self_attn.q_proj": (self.hidden, self.hidden),
            "self_attn.k_proj": (self.keys, self.hidden),
            "self_attn.v_proj": (self.keys, self.hidden),
            "self_attn.o_proj": (self.hidden, self.hidden),
            "mlp.gate_proj": (self.feed_forward, self.hidden),
            "mlp.up_proj": (self.feed_forward, self.hidden),
            "mlp.down_proj": (self.hidden, self.feed_forward),
        }


SHAPES = {
    "smollm2-135m-instruct": Shape(30, 576, 192, 1536),
    "qwen2.5-coder-1.5b-instruct": Shape(28, 1536, 256, 8960),
}

ORDER = {
    "type": "object",
    "properties": {
        "product": {"enum": ["apples", "books", "boats"]},
        "count": {"type": "integer", "minimum": 1, "maximum": 99},
        "urgent": {"type": "boolean"},
        "remarks": {"type": "array", "items": {"type": "string", "maxLength": 20}, "minItems": 1, "maxItems": 2},
    },
    "required": ["product", "count", "urgent", "remarks"],
    "additionalProperties": False,
}
WEATHER = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "maxLength": 30},
        "days": {"type": "integer", "minimum": 1, "maximum": 7},
        "unit": {"enum": ["celsius", "fahrenheit"]},
    },
    "required": ["city", "days", "unit"],
    "additionalProperties": False,
}
# An answer that does not end before the window does.
ENDLESS = {"structured_outputs": {"regex": "(?s).{50000,}"}}


def is_of(schema: dict, value: object) -> bool:
    """Whether a value is of a schema, as far as the two above go."""
    if "enum" in schema:
        return value in schema["enum"]
    match schema["type"]:
        case "object":
            parts = schema["properties"]
            return isinstance(value, dict) and value.keys() == parts.keys() and all(
                is_of(part, value[name]) for name, part in parts.items()
            )
        case "array":
            fits = isinstance(value, list) and schema["minItems"] <= len(value) <= schema["maxItems"]
            return fits and all(is_of(schema["items"], item) for item in value)
        case "string":
            return isinstance(value, str) and len(value) <= schema["maxLength"]
        case "integer":
            return type(value) is int and schema["minimum"] <= value <= schema["maximum"]
        case _:
            return isinstance(value, bool)


def parsed(text: str) -> object:
    """JSON, or nothing where it is none."""
    try:
        return json.loads(text)
    except ValueError:
        return None


def is_order(said: list) -> bool:
    [[content, calls, finish]] = said
    return not calls and finish == "stop" and is_of(ORDER, parsed(content))


def is_call(said: list) -> bool:
    [[content, calls, finish]] = said
    if content or finish != "tool_calls" or len(calls) != 1:
        return False
    [[name, arguments]] = calls
    return name == "get_weather" and is_of(WEATHER, parsed(arguments))


@dataclass
class Ask:
    """A request, and what its answer must be."""

    path: str
    body: dict
    holds: Callable[[list], bool] = lambda said: True
    free: bool = False  # no two answers need be alike
    expected: list | None = None  # what the idle server said


class Reply(NamedTuple):
    """What came back; of an answer, what it says and nothing that differs from one time to the next."""

    status: int  # 0: an error within a stream
    said: list | None = None
    cached: int = 0  # tokens of the prompt
    code: str = ""
    retry_after: str | None = None


def chat(text: str, tokens: int, model: str = "chat", system: str = "", **more: object) -> Ask:
    messages = [{"role": "system", "content": system}] if system else []
    messages.append({"role": "user", "content": text})
    body = {"model": model, "messages": messages, "max_tokens": tokens, "temperature": 0}
    return Ask("/v1/chat/completions", body | more)


def passages() -> list[str]:
    """Texts that the embedder reads whole."""
    return [text for text in texts(64) if text.count(" ") < 120]


def kinds_of_work() -> dict[str, list[Ask]]:
    questions = [f"What can one do with {n} {thing}?" for n in (2, 7, 30) for thing in ("apples", "books", "boats")]
    order = {"response_format": {"type": "json_schema", "json_schema": {"name": "order", "schema": ORDER}}}
    orders = [chat(f"Make an order of this: {question}", 300, **order) for question in questions[:4]]
    function = {"name": "get_weather", "description": "The weather of a city.", "parameters": WEATHER}
    tools = {"tools": [{"type": "function", "function": function}], "tool_choice": "required"}
    calls = [
        chat(f"How is the weather in {city}?", 200, **tools, parallel_tool_calls=False)
        for city in ("Oslo", "Bern", "Tunis")
    ]
    beginnings = [f"Edition {number}. {RULES * 11}" for number in range(16)]
    found, base = passages(), "/praxis/v1/knowledge/docs/search"
    searches = [Ask(base, {"query": " ".join(text.split()[:5]), "limit": 5}) for text in found[:8]]
    rerank = {"rerank": {"model": "reranker", "depth": 10, "weight": 1.0}}
    vectors = {"model": EMBEDDER, "encoding_format": "base64"}
    return {
        "plain": [chat(question, 40) for question in questions],
        "flex": [chat(question, 24, service_tier="flex") for question in questions[:3]],
        "schema": [replace(ask, holds=is_order) for ask in orders],
        "schema, by chance": [
            replace(ask, body=ask.body | {"temperature": 1}, holds=is_order, free=True) for ask in orders
        ],
        "tools": [replace(ask, holds=is_call) for ask in calls],
        "samples": [
            chat(question, 24, n=4, temperature=0.8, seed=seed) for seed, question in enumerate(questions[:4])
        ],
        "adapters": [chat(question, 40, model=name) for name in ADAPTERS for question in questions[:3]],
        "beginnings": [chat(question, 24, system=text) for text in beginnings for question in questions[:2]],
        "flood": [chat(question, 8) for question in questions],
        "embeddings": [Ask("/v1/embeddings", vectors | {"input": found[at : at + 8]}) for at in range(0, 40, 8)],
        "search": searches,
        "rerank": [replace(ask, body=ask.body | rerank) for ask in searches],
    }


# How often each comes; a flood comes by itself.
WEIGHTS = {
    "plain": 20,
    "flex": 2,
    "schema": 10,
    "schema, by chance": 5,
    "tools": 8,
    "samples": 8,
    "adapters": 16,
    "beginnings": 14,
    "embeddings": 10,
    "search": 8,
    "rerank": 6,
}
CHATS = ["plain", "schema", "tools", "samples", "adapters", "beginnings"]


def write_adapter(folder: Path, shape: Shape, rank: int, seed: int) -> None:
    """A LoRA adapter of random numbers, as PEFT saves one; sizes are those of the engine's tests, which change
    answers."""
    dice, header, data = random.Random(seed), {}, bytearray()

    def add(name: str, rows: int, columns: int, size: float) -> None:
        values = array("f", (dice.uniform(-size, size) for _ in range(rows * columns)))
        place = [len(data), len(data) + 4 * len(values)]
        header[f"base_model.model.model.layers.{name}.weight"] = {
            "dtype": "F32", "shape": [rows, columns], "data_offsets": place,
        }
        data.extend(values.tobytes())

    for layer in range(shape.layers):
        for target, (outputs, inputs) in shape.targets().items():
            add(f"{layer}.{target}.lora_A", rank, inputs, inputs**-0.5)
            add(f"{layer}.{target}.lora_B", outputs, rank, 0.125)
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    folder.mkdir(parents=True)
    (folder / "adapter_model.safetensors").write_bytes(len(head).to_bytes(8, "little") + head + data)
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": rank, "lora_alpha": rank}))


def make(app: Path, model: str) -> None:
    """The application: one engine under several names, and a base."""
    engine = f'provider = "local"\nmodel = "{model}"\ncontext_length = {WINDOW}\n'
    engine += f"parallel = {PARALLEL}\ncache_tokens = {CACHE_TOKENS}\n"
    tables = [
        '[app]\nname = "soak"\n',
        f'[defaults]\nchat = "chat"\nembedding = "{EMBEDDER}"\n',
        f"[models.chat]\n{engine}",
        f'[models.hasty]\n{engine}timeout = "{HASTY}"\n',
        f'[models.reranker]\nprovider = "local"\ntask = "reranking"\nmodel = {json.dumps(str(RERANKER))}\n',
    ]
    for seed, (name, rank) in enumerate(ADAPTERS.items()):
        tables.append(f'[models.{name}]\n{engine}adapter = "adapters/{name}"\n')
        write_adapter(app / "adapters" / name, SHAPES[model], rank, seed)
    (app / "praxis.toml").write_text("\n".join(tables))
    (app / "knowledge/texts").mkdir(parents=True)
    (app / "knowledge/docs.toml").write_text('[source]\npaths = ["texts"]\n')
    for number, text in enumerate(passages()):
        (app / f"knowledge/texts/{number}.md").write_text(f"# Text {number}\n\n{text}\n")
    praxis("ingest", "--app", app, "--quiet")


def of_prompt(usage: dict | None) -> int:
    """How much of a prompt was in the cache."""
    return ((usage or {}).get("prompt_tokens_details") or {}).get("cached_tokens", 0)


def whole(answer: dict) -> Reply:
    """An answer that came in one piece."""
    if "passages" in answer:
        return Reply(200, [[hit["chunk"], hit["score"], hit["relevance"]] for hit in answer["passages"]])
    if "data" in answer:
        return Reply(200, [vector["embedding"] for vector in answer["data"]])
    said = []
    for choice in answer["choices"]:
        calls = [call["function"] for call in choice["message"].get("tool_calls") or []]
        calls = [[call["name"], call["arguments"]] for call in calls]
        said.append([choice["message"]["content"] or "", calls, choice["finish_reason"]])
    return Reply(200, said, of_prompt(answer["usage"]))


def folded(lines: Iterable[bytes], most: int | None) -> Reply:
    """A streamed answer, put together; it is dropped after `most` pieces."""
    choices: dict[int, list] = {}
    usage, seen = None, 0
    for line in lines:
        if line.startswith(b"data: [DONE]"):
            return Reply(200, [choices[at] for at in sorted(choices)], of_prompt(usage))
        if not line.startswith(b"data: "):
            continue
        event = json.loads(line[6:])
        if "error" in event:
            return Reply(0, code=event["error"]["code"])
        usage = event.get("usage") or usage
        for choice in event["choices"]:
            said = choices.setdefault(choice["index"], ["", [], None])
            delta = choice["delta"]
            said[0] += delta.get("content") or ""
            for call in delta.get("tool_calls") or []:
                said[1] += [["", ""] for _ in range(call["index"] + 1 - len(said[1]))]
                said[1][call["index"]][0] += call["function"].get("name") or ""
                said[1][call["index"]][1] += call["function"]["arguments"]
            said[2] = choice["finish_reason"] or said[2]
            seen += bool(delta.get("content") or delta.get("tool_calls"))
        if most is not None and seen > most:
            return Reply(200, [choices[at] for at in sorted(choices)])
    return Reply(0, code="the stream broke off")


class Server:
    def __init__(self, app: Path):
        self.process, url = start(app)
        self.host = urlsplit(url).netloc

    def connect(self) -> socket.socket:
        host, port = self.host.split(":")
        return socket.create_connection((host, int(port)))

    def ask(self, ask: Ask, streamed: bool = False, most: int | None = None, patience: float = PATIENCE) -> Reply:
        connection = http.client.HTTPConnection(self.host, timeout=patience)
        stream = {"stream": True, "stream_options": {"include_usage": True}} if streamed else {}
        try:
            headers = {"content-type": "application/json"}
            connection.request("POST", ask.path, json.dumps(ask.body | stream), headers)
            response = connection.getresponse()
            if response.status == 200 and streamed:
                return folded(response, most)
            answer = json.loads(response.read())
        finally:
            connection.close()
        if response.status == 200:
            return whole(answer)
        retry_after = response.getheader("retry-after")
        return Reply(response.status, code=answer["error"]["code"], retry_after=retry_after)


class Endless(threading.Thread):
    """A streamed request for an answer without an end."""

    def __init__(self, server: Server):
        super().__init__(daemon=True)
        self.connection = http.client.HTTPConnection(server.host)
        self.connection.sock = self.socket = server.connect()
        self.status = 0
        self.begun = False

    def run(self) -> None:
        ask = chat("Write.", WINDOW, temperature=1, seed=1, stream=True, **ENDLESS)
        try:
            self.connection.request("POST", ask.path, json.dumps(ask.body), {"content-type": "application/json"})
            response = self.connection.getresponse()
            self.status = response.status
            for line in response:
                if line.startswith(b"data: {"):
                    choices = json.loads(line[6:]).get("choices", [])
                    self.begun |= any(choice["delta"].get("content") for choice in choices)
        except (OSError, ValueError, http.client.HTTPException):
            pass  # Its connection was closed under it.

    def leave(self) -> None:
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # The server closed it before.
        self.join(PATIENCE)
        self.connection.close()
        self.socket.close()


def until(done: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not done() and time.monotonic() < end:
        time.sleep(0.05)


def stuck(server: Server) -> tuple[int, int]:
    """Slots and places of the queue that nobody gets although nobody else asks. Of endless answers as many begin at
    once as there are slots, and of those that come then so many are kept as there are places."""
    first = [Endless(server) for _ in range(PARALLEL)]
    for one in first:
        one.start()
    until(lambda: all(one.begun for one in first))
    slots = sum(not one.begun for one in first)
    others = [Endless(server) for _ in range(PLACES + SPARE)]
    for one in others:
        one.start()
    until(lambda: all(one.status for one in others))
    refused = sum(one.status == 429 for one in others)
    for one in first + others:
        one.leave()
    # Those of the first that got no slot have places.
    return slots, max(0, refused - SPARE - slots)


def rests(server: Server) -> bool:
    """Whether the server stops computing within half a minute after everybody has left."""
    for _ in range(15):
        before = cpu_seconds(server.process.pid)
        time.sleep(2)
        if cpu_seconds(server.process.pid) - before < 0.1:
            return True
    return False


class Soak:
    """The clients, and what they saw."""

    def __init__(self, server: Server, kinds: dict[str, list[Ask]]):
        self.server, self.kinds = server, kinds
        self.end = 0.0
        self.hasty: list[Ask] = []
        self.lock = threading.Lock()
        self.counts, self.misses = Counter(), Counter()
        self.seconds: dict[str, list[float]] = {kind: [] for kind in [*kinds, "hasty"]}
        self.wrong: list[str] = []
        self.acts = {
            self.answered: 70,
            self.dropped: 13,
            self.left: 5,
            self.late: 4,
            self.refused: 4,
            self.silent: 4,
        }

    def learn(self) -> None:
        """Notes what the idle server answers, and that kinds differ that are to be told apart."""
        for kind, asks in self.kinds.items():
            for ask in asks:
                reply = self.server.ask(ask)
                if reply.status != 200 or not ask.holds(reply.said):
                    sys.exit(f"the idle server answers this with {reply}: {ask.body}")
                ask.expected = reply.said
        of_models = [self.kinds["plain"][0], *self.kinds["adapters"][::3]]
        if len({ask.expected[0][0] for ask in of_models}) < len(of_models):
            sys.exit("the adapters do not change the answer")
        pairs = zip(self.kinds["search"], self.kinds["rerank"], strict=True)
        if all(plain.expected == reranked.expected for plain, reranked in pairs):
            sys.exit("the reranker does not change the order")
        hasty = [replace(ask, body=ask.body | {"model": "hasty"}) for ask in self.kinds["plain"][:3]]
        self.hasty = [*hasty, chat("Write.", WINDOW, model="hasty", **ENDLESS)]

    def count(self, what: str) -> None:
        with self.lock:
            self.counts[what] += 1

    def fail(self, kind: str, why: str) -> None:
        with self.lock:
            self.counts["wrong"] += 1
            self.misses[kind] += 1
            if len(self.wrong) < SHOWN:
                self.wrong.append(f"{kind}: {why}")

    def had_no_place(self, kind: str, reply: Reply) -> bool:
        """Whether the queue was full; then the refusal must say when to come again."""
        if reply.status != 429:
            return False
        seconds = reply.retry_after or ""
        if reply.code != "rate_limited" or not seconds.isdigit() or int(seconds) < 1:
            self.fail(kind, f"a refusal for want of a place: {reply}")
        self.count("busy")
        return True

    def judge(self, kind: str, ask: Ask, reply: Reply, started: float) -> None:
        if self.had_no_place(kind, reply):
            return
        took = time.monotonic() - started
        right = reply.status == 200 and ask.holds(reply.said) and (ask.free or reply.said == ask.expected)
        if not right:
            self.fail(kind, f"{json.dumps(ask.body)[-300:]}: {reply}, not {ask.expected}")
        self.count("answered")
        if kind == "beginnings":
            self.count("kept" if reply.cached >= 256 else "evicted")
        with self.lock:
            self.seconds[kind].append(took)

    def any_chat(self, dice: random.Random) -> tuple[str, Ask]:
        kind = dice.choice(CHATS)
        return kind, dice.choice(self.kinds[kind])

    def answered(self, dice: random.Random) -> None:
        [kind] = dice.choices(list(WEIGHTS), list(WEIGHTS.values()))
        ask, started = dice.choice(self.kinds[kind]), time.monotonic()
        reply = self.server.ask(ask, streamed="messages" in ask.body and dice.random() < 0.5)
        self.judge(kind, ask, reply, started)
        if reply.status == 429 and (reply.retry_after or "").isdigit():
            time.sleep(int(reply.retry_after))

    def dropped(self, dice: random.Random) -> None:
        kind, ask = self.any_chat(dice)
        reply = self.server.ask(ask, streamed=True, most=dice.randrange(6))
        if self.had_no_place(kind, reply):
            return
        parts = zip(ask.expected, reply.said or [], strict=False)
        if reply.status != 200 or not all(all_of[0].startswith(part[0]) for all_of, part in parts):
            self.fail(kind, f"dropped: {reply}, not {ask.expected}")
        self.count("dropped")

    def left(self, dice: random.Random) -> None:
        (kind, ask), started = self.any_chat(dice), time.monotonic()
        try:
            reply = self.server.ask(ask, patience=dice.uniform(0.02, 1.0))
        except TimeoutError:
            self.count("left")
            return
        self.judge(kind, ask, reply, started)

    def late(self, dice: random.Random) -> None:
        ask, started = dice.choice(self.hasty), time.monotonic()
        reply = self.server.ask(ask)
        if (reply.status, reply.code) == (504, "timeout"):
            self.count("late")
        else:
            self.judge("hasty", ask, reply, started)

    def refused(self, dice: random.Random) -> None:
        # One that is counted, and one whose bytes tell.
        reply = self.server.ask(chat("word " * dice.choice((25_000, 300_000)), 8))
        if self.had_no_place("too long", reply):
            return
        if (reply.status, reply.code) != (400, "context_length_exceeded"):
            self.fail("too long", str(reply))
        self.count("refused")

    def silent(self, dice: random.Random) -> None:
        head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: soak\r\ncontent-type: application/json\r\n"
        half = head + b'content-length: 100\r\n\r\n{"model": "ch'
        with self.server.connect() as connection:
            connection.sendall(dice.choice((b"", head, half)))
        self.count("silent")

    def attempt(self, act: Callable[..., None], *arguments: object) -> None:
        try:
            act(*arguments)
        except Exception as error:  # Whatever it is, the server did something that nobody counted with.
            self.fail(act.__name__, repr(error))
            time.sleep(0.1)

    def client(self, seed: int) -> None:
        dice, acts = random.Random(seed), list(self.acts)
        while time.monotonic() < self.end:
            self.attempt(dice.choices(acts, list(self.acts.values()))[0], dice)

    def one_of_a_flood(self, ask: Ask, streamed: bool) -> None:
        started = time.monotonic()
        self.judge("flood", ask, self.server.ask(ask, streamed), started)

    def floods(self) -> None:
        """Now and then, more requests at once than there are slots and places."""
        dice = random.Random(CLIENTS)
        while (now := time.monotonic()) < self.end:
            asks = dice.choices(self.kinds["flood"], k=PARALLEL + PLACES + SPARE)
            together = [
                threading.Thread(target=self.attempt, args=[self.one_of_a_flood, ask, dice.random() < 0.5])
                for ask in asks
            ]
            for thread in together:
                thread.start()
            for thread in together:
                thread.join()
            time.sleep(max(0.0, min(now + FLOOD_EVERY, self.end) - time.monotonic()))

    def run(self, minutes: float) -> list[float]:
        """The load; what memory the server had meanwhile, in MiB."""
        self.end = time.monotonic() + 60 * minutes
        clients = [threading.Thread(target=self.client, args=[seed]) for seed in range(CLIENTS)]
        clients.append(threading.Thread(target=self.floods))
        for thread in clients:
            thread.start()
        seen = []
        while any(thread.is_alive() for thread in clients):
            time.sleep(min(5, 6 * minutes))
            seen.append(memory(self.server.process.pid))
        return seen

    def afterwards(self) -> None:
        """The same answers once more; and whether all came that was to come."""
        for kind, asks in self.kinds.items():
            for ask in asks:
                reply = self.server.ask(ask)
                if reply.status != 200 or not (ask.free or reply.said == ask.expected):
                    self.fail(kind, f"afterwards: {reply}, not {ask.expected}")
        for kind in self.kinds:
            if not self.seconds[kind]:
                self.fail(kind, "none was answered: this takes some minutes")
        for what in ("dropped", "left", "refused", "busy", "late", "silent", "kept", "evicted"):
            if not self.counts[what]:
                self.fail(what, "there was none: this takes some minutes")

    def figures(self) -> dict[str, dict]:
        """By kind of work."""
        figures = {}
        for kind, seconds in self.seconds.items():
            ordered = sorted(seconds) or [0.0]
            figures[kind] = {
                "answered": len(seconds),
                "wrong": self.misses[kind],
                "median_s": round(median(ordered), 3),
                "p95_s": round(ordered[int(0.95 * (len(ordered) - 1))], 3),
            }
        return figures


def main() -> None:
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    minutes = float(sys.argv[1])
    model = sys.argv[2] if len(sys.argv) > 2 else "smollm2-135m-instruct"
    if model not in SHAPES:
        sys.exit(f"the sizes of {model} are not known here, which its adapters need; take one of {', '.join(SHAPES)}")
    with tempfile.TemporaryDirectory() as folder:
        app = Path(folder) / "app"
        make(app, model)
        server = Server(app)
        try:
            soak = Soak(server, kinds_of_work())
            soak.learn()
            seen = soak.run(minutes)
            soak.afterwards()
            slots, places = stuck(server)
            is_at_rest = rests(server)
        finally:
            server.process.terminate()
            stopped = server.process.wait(60)
    # What is in flight makes it go up and down, so quarters are compared and not moments.
    quarter = max(1, len(seen) // 4)
    before, after = fmean(seen[quarter : 2 * quarter] or seen), fmean(seen[-quarter:])
    growth = after / before - 1
    twelfths = [seen[i * len(seen) // 12 : (i + 1) * len(seen) // 12] for i in range(12)]
    kinds = soak.figures()
    print("| kind of work | answered | wrong | median | 95 % | |\n| --- | ---: | ---: | ---: | ---: | --- |")
    for kind, of in kinds.items():
        print(f"| {kind} | {of['answered']} | {of['wrong']} | {of['median_s']} | {of['p95_s']} | s |")
    for line in soak.wrong:
        print("wrong:", line)
    named = ["answered", "dropped", "left", "refused", "busy", "late", "silent", "kept", "evicted", "wrong"]
    figures = {name: soak.counts[name] for name in named}
    figures |= {"rss_start_mib": round(before), "rss_end_mib": round(after), "rss_change_pct": round(100 * growth, 1)}
    figures |= {"rss_twelfths_mib": [round(fmean(some)) for some in twelfths if some]}
    figures |= {"stuck_slots": slots, "stuck_places": places, "rest": is_at_rest, "ended_with": stopped}
    print(json.dumps(figures | {"kinds": kinds}))
    if figures["wrong"] or growth > LEVEL or slots or places or not is_at_rest or stopped != 0:
        sys.exit("the server did not hold")


if __name__ == "__main__":
    main()
