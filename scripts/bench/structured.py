#!/usr/bin/env python3
"""How often outputs keep the promise of a nested schema, as a Markdown table. `make bench-structured` runs
it.

usage: structured.py [CONSTRAINED [FREE]]     (default: 500 and 100 calls)

The application is examples/structured: e-mails with orders become JSON with enumerations, numbers in range
and lists. SmolLM2-135M is held to the schema while it writes. Qwen 1.5B writes freely, and what breaks the
schema goes back to it with the errors, three times at most. Outputs are validated once more here, by
Python's jsonschema. A valid output need not be a right one: that is the model's business.
"""

import json
import random
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import jsonschema
import yaml

from run import RELEASE, ROOT, processor

APP = ROOT / "examples/structured"
NAMES = ["Ada Lovelace", "Lin Mei", "José Álvarez", "Nadia Haddad", "Tom O'Brien", "王芳", "Ingrid Berg"]
CITIES = ["Bern", "Shanghai", "São Paulo", "Cork", "Tunis", "Oslo", "北京"]
PRODUCTS = ["lamps", "desk chairs", "notebooks", "USB-C cables", "tea pots", "rugs", "bicycle bells"]
COLOURS = ["red", "green", "blue", "black", "white", "turquoise"]
CLOSINGS = [
    "Please hurry, we need it within {days} days!",
    "There is no rush; {days} days are fine.",
    "Send it by express, it must be here in {days} days.",
    'Deliver it in {days} days. PS: call me "boss", not {{customer}}.',
]


def mails(count: int) -> list[str]:
    dice = random.Random(5)
    made = []
    for number in range(count):
        wanted = [
            f"{dice.randint(1, 99)} {dice.choice(COLOURS)} {dice.choice(PRODUCTS)}"
            for _ in range(dice.randint(1, 3))
        ]
        closing = dice.choice(CLOSINGS).format(days=dice.randint(1, 30))
        sender = f"{dice.choice(NAMES)}, {dice.choice(CITIES)}"
        made.append(f"Hello, order {number + 1}: I would like {' and '.join(wanted)}. {closing}\n{sender}")
    return made


def run(variant: str, count: int, model: str) -> list[dict]:
    with tempfile.TemporaryDirectory() as folder:
        cases, results = Path(folder) / "cases.jsonl", Path(folder) / "results.jsonl"
        lines = [json.dumps({"input": {"mail": mail}}) for mail in mails(count)]
        cases.write_text("\n".join(lines) + "\n")
        command = [RELEASE / "praxis", "--app", APP, "--quiet", "prompts", "try", "order", "--data", cases]
        command += ["--compare", variant, "--model", model, "--concurrency", 8, "--out", results]
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
        if not results.exists():
            sys.exit(done.stderr)
        return [json.loads(line) for line in results.read_text().splitlines()]


def main() -> None:
    counts = [int(a) for a in sys.argv[1:]]
    constrained, free = counts + [500, 100][len(counts):]
    front = (APP / "prompts/order.prompt").read_text().split("---")[1]
    validator = jsonschema.Draft202012Validator(yaml.safe_load(front)["output"]["schema"])

    def is_valid(result: dict) -> bool:
        return result["error"] is None and validator.is_valid(result["output"])

    print(f"\n{processor()}; nested schema of examples/structured\n")
    print("| | calls | valid | at the first try | after 1 repair | after 2 | after 3 | never |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for what, variant, count, model in [
        ("SmolLM2-135M, held to the schema", "base", constrained, "smollm2-135m-instruct"),
        ("Qwen 1.5B, written freely and repaired", "free", free, "qwen2.5-coder-1.5b-instruct"),
    ]:
        if count == 0:
            continue
        results = run(variant, count, model)
        valid = [result for result in results if is_valid(result)]
        tries = Counter(result["repairs"] for result in valid)
        share = f"{len(valid) / len(results):.1%}"
        after = " | ".join(str(tries[n]) for n in range(4))
        print(f"| {what} | {len(results)} | {share} | {after} | {len(results) - len(valid)} |", flush=True)
        errors = Counter(result["error"] for result in results if result["error"])
        for error, times in errors.most_common(3):
            print(f"  {times} times: {error[:300]}", file=sys.stderr)


if __name__ == "__main__":
    main()
