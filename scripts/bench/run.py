#!/usr/bin/env python3
"""Speed of Praxis beside its peers on this machine, as one Markdown table. `make bench` runs it.

usage: run.py [--quick]

Chat models: prefill and decode in tokens/s, against llama-cpp-python with the same GGUF file.
Embeddings: texts/s, against sentence-transformers with the same safetensors file. Peer and Praxis
run one after the other, never together; each reports the best of its runs. A ratio above 1 means
that Praxis is faster.
"""

import json
import os
import platform
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RELEASE = ROOT / "target/release"
SCRIPTS = ROOT / "scripts/bench"

CHAT_MODELS = ["smollm2-135m-instruct", "qwen2.5-coder-1.5b-instruct"]
# The peer reads safetensors; e5 is converted from a container that only Praxis reads.
EMBEDDERS = [("all-minilm-l6-v2", True), ("multilingual-e5-small", False)]
PROMPT_TOKENS, ANSWER_TOKENS = 512, 64

WORDS = (
    "the of and to in a is that for it as was with be by on not he his but at are this have from "
    "which one had or an they you were all her she there would their we him been has when who will "
    "more no if out so what up said about other into than its time only could new them man some "
    "these then two first may any like now over such our even most made after also did many "
    "retrieval document answer question paragraph heading model token vector index search passage"
).split()


def texts(count: int) -> list[str]:
    """English-like texts of unequal length (8 to 200 words, most of them short), always the same."""
    dice = random.Random(7)
    lengths = [min(200, max(8, int(dice.lognormvariate(3.6, 0.8)))) for _ in range(count)]
    return [" ".join(dice.choices(WORDS, k=length)) for length in lengths]


def measure(*command: object) -> dict:
    """Runs a benchmark and reads the last line that it prints."""
    print("  ", " ".join(Path(str(part)).name for part in command[:2]), file=sys.stderr)
    run = subprocess.run([str(part) for part in command], capture_output=True, text=True, cwd=ROOT)
    if run.returncode != 0:
        sys.exit(f"{command[0]} failed:\n{run.stderr[-2000:]}")
    return json.loads(run.stdout.strip().splitlines()[-1])


def model_path(name: str) -> Path:
    """Where the model lies: a GGUF file, or a folder with safetensors."""
    command = [RELEASE / "praxis", "models", "info", name, "--json"]
    path = json.loads(subprocess.check_output(command, cwd=ROOT))["path"]
    if path is None:
        sys.exit(f"{name} is not on this machine; run `praxis models pull {name}`")
    gguf = Path(path) / "model.gguf"
    return gguf if gguf.exists() else Path(path)


@contextmanager
def llama_serving(
    program: Path | str, model: Path, slots: int, window: int, port: int, *flags: str
) -> Iterator[tuple[subprocess.Popen, str]]:
    """llama.cpp's server of a model file, for so many requests at a time of so many tokens: its process and its address.
    It may be that it does not listen yet."""
    threads = len(os.sched_getaffinity(0))
    command = [program, "-m", model, "-np", slots, "-c", slots * window, "-t", threads, "--port", port, *flags]
    process = subprocess.Popen([str(c) for c in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def chat_rows(runs: int) -> list[tuple[str, float, float | None, str]]:
    rows = []
    for name in CHAT_MODELS:
        path = model_path(name)
        arguments = [path, PROMPT_TOKENS, ANSWER_TOKENS, runs]
        peer = measure(sys.executable, SCRIPTS / "llama_cpp.py", *arguments)
        ours = measure(RELEASE / "examples/bench_chat", *arguments)
        for what, key in [("prefill", "prefill_tok_s"), ("decode", "decode_tok_s")]:
            rows.append((f"{name}, {what}", ours[key], peer[key], "tokens/s"))
    return rows


def embed_rows(runs: int, count: int) -> list[tuple[str, float, float | None, str]]:
    rows = []
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(texts(count), file)
        file.flush()
        for name, has_peer in EMBEDDERS:
            path = model_path(name)
            script = SCRIPTS / "sentence_transformers.py"
            peer = measure(sys.executable, script, path, file.name, runs) if has_peer else None
            ours = measure(RELEASE / "examples/bench_embed", path, file.name, runs)
            rows.append((name, ours["per_s"], peer and peer["per_s"], "texts/s"))
    return rows


def main() -> None:
    quick = "--quick" in sys.argv[1:]
    runs, count = (1, 64) if quick else (3, 256)
    rows = chat_rows(runs) + embed_rows(runs, count)
    threads = len(os.sched_getaffinity(0))
    print(f"\n{processor()}, {threads} threads, prompt of {PROMPT_TOKENS} tokens, best of {runs}\n")
    print("| | Praxis | llama.cpp / sentence-transformers | ratio | |")
    print("| --- | ---: | ---: | ---: | --- |")
    for what, ours, theirs, unit in rows:
        peer, ratio = (f"{theirs:.1f}", f"{ours / theirs:.2f}") if theirs else ("–", "–")
        print(f"| {what} | {ours:.1f} | {peer} | {ratio} | {unit} |")


if __name__ == "__main__":
    main()
