#!/usr/bin/env python3
"""The chat engine beside llama.cpp on this machine, as Markdown tables. `make bench-engine` runs it.

usage: engine.py LLAMA_SERVER

Prefill and decode of both chat models, prompts of 512 and 2,048 tokens; the default model as a server:
many requests at a time, answers and short requests beside a long prompt (load.py says what is measured),
how soon a new process has its first token and what memory it has then; what adapters cost (ours alone);
greedy answers to 50 prompts, compared token by token (greedy.py); perplexity on a speech of public record,
where ../shared is there.
Peer and Praxis run one after the other, never together. A ratio above 1 means that Praxis is better.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from statistics import median
from typing import NamedTuple

from load import RULES, Request
from quality import DATA, praxis, start
from run import CHAT_MODELS, RELEASE, SCRIPTS, llama_serving, measure, model_path, processor

SERVED = CHAT_MODELS[-1]
PORT = 18123
# Of each server, the median of which is told.
STARTS = 3
# Tokens of prompt and answer that Praxis gives a request where nobody says, and llama.cpp is told to; and
# enough for a prompt of 4,000 tokens.
WINDOW, LONG_WINDOW = 8192, 5120
TEXT = DATA / "chunking/state_of_the_union.md"
TEXT_TOKENS = 5120


def row(what: str, ours: float, peer: float, unit: str, less_is_better: bool = False) -> None:
    ratio = peer / ours if less_is_better else ours / peer
    print(f"| {what} | {ours:g} | {peer:g} | {ratio:.2f} | {unit} |", flush=True)


def limits() -> dict:
    """What the processor can do at most (limits.c)."""
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "limits"
        flags = ["-O3", "-march=native", "-fopenmp"]
        subprocess.run(["cc", *flags, SCRIPTS / "limits.c", "-o", program], check=True)
        return measure(program)


def shares(most: dict, prefill: float, decode: float, work: dict) -> str:
    """How much of that a model reached."""
    units = [("AMX bfloat16", "amx_tmac_s"), ("VNNI", "vnni_tmac_s"), ("AVX2 bytes", "avx2_tmac_s")]
    rate = prefill * work["products_per_token"] / 1e12
    said = [f"{rate:.2f} TMAC/s, {rate / most[key]:.0%} of {name}'s {most[key]:.2f}" for name, key in units if most[key]]
    read = decode * work["bytes_per_token"] / 1e9
    said.append(f"decode reads {read:.1f} GB/s, {read / most['read_gb_s']:.0%} of {most['read_gb_s']:.1f}")
    return "; ".join(said)


def chat(said: list[str]) -> None:
    most = limits()
    for name in CHAT_MODELS:
        for tokens in (512, 2048):
            arguments = [model_path(name), tokens, 64, 2]
            peer = measure(sys.executable, SCRIPTS / "llama_cpp.py", *arguments)
            ours = measure(RELEASE / "examples/bench_chat", *arguments)
            for what, key in [("prefill", "prefill_tok_s"), ("decode after it", "decode_tok_s")]:
                row(f"{name}, {what}, {tokens} tokens", ours[key], peer[key], "tokens/s")
            reached = shares(most, ours["prefill_tok_s"], ours["decode_tok_s"], ours)
            said.append(f"{name}, {tokens} tokens: prefill {reached}")


class Server(NamedTuple):
    """A server of the default model."""

    process: subprocess.Popen
    url: str
    started: float  # as of `time.perf_counter`


@contextmanager
def llama_server(program: Path, slots: int, window: int) -> Iterator[Server]:
    """llama.cpp's, for so many requests at a time of so many tokens."""
    model = model_path(SERVED)
    started = time.perf_counter()
    with llama_serving(program, model, slots, window, PORT) as (process, url):
        yield Server(process, url, started)


@contextmanager
def our_server() -> Iterator[Server]:
    """Praxis as `praxis new` sets it up."""
    with tempfile.TemporaryDirectory() as folder:
        app = Path(folder) / "app"
        praxis("new", app, "--template", "knowledge-qa", "--quiet")
        started = time.perf_counter()
        process, url = start(app)
        try:
            yield Server(process, url, started)
        finally:
            process.terminate()
            process.wait()


def first_token(server: Server) -> float:
    """Seconds from the start of the process to the first token of an answer; it is asked until it takes the
    question."""
    messages = [{"role": "user", "content": "Say hello."}]
    while server.process.poll() is None and time.perf_counter() < server.started + 120:
        request = Request(server.url, SERVED, messages, 4)
        try:
            request.run()
        except OSError:
            # It does not listen yet, or loads its model.
            time.sleep(0.005)
            continue
        if request.first:
            return request.first - server.started
    sys.exit(f"{server.process.args[0]} does not answer")


def memory(server: Server) -> tuple[float, float]:
    """MiB of the process: resident, and without the others' share of what several processes have (PSS)."""
    lines = Path(f"/proc/{server.process.pid}/smaps_rollup").read_text().splitlines()
    sizes = {name: size for name, _, size in (line.partition(":") for line in lines)}
    return int(sizes["Rss"].split()[0]) / 1024, int(sizes["Pss"].split()[0]) / 1024


def begun(serve: Callable[[], AbstractContextManager[Server]]) -> list[float]:
    """Of some starts: seconds to the first token, and memory after one prompt of about 500 tokens."""
    runs = []
    messages = [{"role": "system", "content": RULES * 11}, {"role": "user", "content": "When is it closed?"}]
    for _ in range(STARTS):
        with serve() as server:
            seconds = first_token(server)
            Request(server.url, SERVED, messages, 16).run()
            runs.append((seconds, *memory(server)))
    return [median(figures) for figures in zip(*runs, strict=True)]


def beginning(program: Path) -> None:
    """How soon a new process answers, and its memory."""
    with model_path(SERVED).open("rb") as file:
        # So that the system has the file in memory, for both.
        while file.read(1 << 20):
            pass
    peer, own = begun(lambda: llama_server(program, 1, WINDOW)), begun(our_server)
    for what, at, digits, unit in [
        ("first token after the start of the process, file in memory", 0, 2, "s"),
        ("memory after one prompt, resident", 1, None, "MiB"),
        ("memory after one prompt, PSS", 2, None, "MiB"),
    ]:
        row(what, round(own[at], digits), round(peer[at], digits), unit, less_is_better=True)


def measured(server: Server, part: str) -> dict:
    """What load.py says of a server that is ready."""
    first_token(server)
    return measure(sys.executable, SCRIPTS / "load.py", server.url, SERVED, part)


def load(program: Path) -> None:
    with llama_server(program, 9, 2048) as server:
        peer = measured(server, "many")
    with our_server() as server:
        own = measured(server, "many")
    what = "8 requests at once, 1,000 tokens in common"
    row(what, own["aggregate_tok_s"], peer["aggregate_tok_s"], "tokens/s in all")
    row("an answer that repeats a text of its prompt", own["copy_tok_s"], peer["copy_tok_s"], "tokens/s")
    for what, key in [("a ninth request", "ttft_beside_s"), ("the same, alone", "ttft_alone_s")]:
        if own[key] and peer[key]:
            row(f"first token of {what}", own[key], peer[key], "s", less_is_better=True)
    beside_a_long_prompt(program)
    beginning(program)
    for name, result in [("Praxis", own), ("llama.cpp", peer)]:
        times = result["eight_s"] / result["one_s"]
        print(f"\n{name}: 8 samples of one prompt take {times:.2f} times as long as one", end="")
        if result["ttft_beside_s"]:
            times = result["ttft_beside_s"] / result["ttft_alone_s"]
            print(f"; a ninth request's first token comes after {times:.2f} times the time alone", end="")
    print()


def beside_a_long_prompt(program: Path) -> None:
    """What 3 answers and a short request notice of a prompt of 4,000 tokens."""
    with llama_server(program, 5, LONG_WINDOW) as server:
        peer = measured(server, "long")
    with our_server() as server:
        own = measured(server, "long")
    for what, key in [
        ("the longest gap in 3 answers while a prompt of 4,000 tokens is read", "gap_most_s"),
        ("the median gap in them", "gap_median_s"),
        ("first token of a short request that comes meanwhile", "ttft_short_s"),
        ("first token of the long prompt itself", "ttft_long_s"),
    ]:
        if own[key] and peer[key]:
            row(what, own[key], peer[key], "s", less_is_better=True)


def adapters() -> None:
    """What adapters cost. llama.cpp's server does not answer requests with different ones together."""
    name = CHAT_MODELS[0]
    command = [str(RELEASE / "examples/bench_adapters"), str(model_path(name))]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{command[0]} failed:\n{done.stderr[-2000:]}")
    runs = [json.loads(line) for line in done.stdout.splitlines()]
    speeds = {(run["bare"], run["adapters"]): run["decode_tok_s"] for run in runs}
    bare, mixed = speeds[8, 0], speeds[4, 4]
    print(
        f"\n{name}, 8 answers at once: {mixed:g} tokens/s in all where 4 have each an adapter of its own (rank"
        f" {runs[0]['rank']}) and 4 have none; {bare:g} where none has one, {mixed / bare:.2f} times as many"
    )


def greedy() -> None:
    print("\n| greedy answers | wholly alike | tokens alike | gap of logits where not: median | largest |")
    print("| --- | ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as folder:
        answers = Path(folder) / "answers.json"
        for name in CHAT_MODELS:
            path = model_path(name)
            ours = measure(RELEASE / "examples/greedy", path, SCRIPTS / "prompts.txt", 48)
            answers.write_text(json.dumps(ours))
            seen = measure(sys.executable, SCRIPTS / "greedy.py", path, answers)
            alike = f"{seen['tokens'] - seen['differ']} of {seen['tokens']}"
            print(
                f"| {name} | {seen['alike']} of {seen['prompts']} | {alike} | {seen['median_gap']} |"
                f" {seen['largest_gap']} |",
                flush=True,
            )


def perplexity() -> None:
    if not TEXT.exists():
        print("\nperplexity: skipped, ../shared is not on this machine")
        return
    print("\n| perplexity | Praxis | llama.cpp | difference |\n| --- | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as folder:
        tokens = Path(folder) / "tokens.json"
        for name in CHAT_MODELS:
            path = model_path(name)
            peer = measure(sys.executable, SCRIPTS / "perplexity.py", path, TEXT, tokens, TEXT_TOKENS)
            ours = measure(RELEASE / "examples/perplexity", path, tokens)
            a, b = ours["perplexity"], peer["perplexity"]
            print(f"| {name} | {a:.3f} | {b:.3f} | {100 * (a / b - 1):+.2f} % |", flush=True)


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    print(f"\n{processor()}, {len(os.sched_getaffinity(0))} threads\n")
    print("| what | Praxis | llama.cpp | ratio | |\n| --- | ---: | ---: | ---: | --- |")
    said: list[str] = []
    chat(said)
    load(Path(sys.argv[1]).resolve())
    print("\nOf what the processor can do:\n\n" + "\n".join(f"- {line}" for line in said))
    adapters()
    greedy()
    perplexity()


if __name__ == "__main__":
    main()
