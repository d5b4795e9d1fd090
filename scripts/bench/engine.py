#!/usr/bin/env python3
"""The chat engine beside llama.cpp on this machine, as Markdown tables. `make bench-engine` runs it.

usage: engine.py LLAMA_SERVER

Prefill and decode of both chat models, prompts of 512 and 2,048 tokens; the default model as a server
(load.py says what is measured); greedy answers to 50 prompts, compared token by token (greedy.py);
perplexity on a speech of public record, where ../shared is there.
Peer and Praxis run one after the other, never together. A ratio above 1 means that Praxis is better.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from quality import DATA, praxis, serving
from run import CHAT_MODELS, RELEASE, SCRIPTS, measure, model_path, processor

SERVED = CHAT_MODELS[-1]
PORT = 18123
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
    units = [("AMX bfloat16", "amx_tmac_s"), ("VNNI", "vnni_tmac_s")]
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


def served_by_llama(server: Path) -> dict:
    threads = len(os.sched_getaffinity(0))
    command = [server, "-m", model_path(SERVED), "-np", 9, "-c", 9 * 2048, "-t", threads, "--port", PORT]
    process = subprocess.Popen([str(c) for c in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{PORT}"
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"{url}/health").close()
                break
            except OSError:
                time.sleep(0.2)
        return measure(sys.executable, SCRIPTS / "load.py", url, SERVED)
    finally:
        process.terminate()
        process.wait()


def served_by_praxis() -> dict:
    with tempfile.TemporaryDirectory() as folder:
        app = Path(folder) / "app"
        praxis("new", app, "--template", "knowledge-qa", "--quiet")
        with serving(app) as url:
            return measure(sys.executable, SCRIPTS / "load.py", url, SERVED)


def load(server: Path) -> None:
    peer, ours = served_by_llama(server), served_by_praxis()
    what = "8 requests at once, 1,000 tokens in common"
    row(what, ours["aggregate_tok_s"], peer["aggregate_tok_s"], "tokens/s in all")
    row("an answer that repeats a text of its prompt", ours["copy_tok_s"], peer["copy_tok_s"], "tokens/s")
    for what, key in [("a ninth request", "ttft_beside_s"), ("the same, alone", "ttft_alone_s")]:
        if ours[key] and peer[key]:
            row(f"first token of {what}", ours[key], peer[key], "s", less_is_better=True)
    for name, result in [("Praxis", ours), ("llama.cpp", peer)]:
        times = result["eight_s"] / result["one_s"]
        print(f"\n{name}: 8 samples of one prompt take {times:.2f} times as long as one", end="")
        if result["ttft_beside_s"]:
            times = result["ttft_beside_s"] / result["ttft_alone_s"]
            print(f"; a ninth request's first token comes after {times:.2f} times the time alone", end="")
    print()


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
    greedy()
    perplexity()


if __name__ == "__main__":
    main()
