#!/usr/bin/env python3
"""What a threshold of `praxis.cache` lets through: paraphrases that get a kept answer, and questions that only look
alike. `scripts/bench-reuse.sh` runs it.

usage: reuse.py [--app DIR] [--model NAME] [--pairs FILE] [--out DIR]

Each line of the pairs is a question with two paraphrases and two that ask for something else: another number, name
or thing, the opposite, a negation, another attribute. They were written for this, half of them English, half
Chinese. Lists and thresholds were chosen on the lines whose `part` is "tune"; those of "test" say how good they are.
The vectors are those of `praxis embed --kind query`, which is what a function with the key compares.
"""

import argparse
import json
import subprocess
from pathlib import Path

from run import RELEASE, SCRIPTS


def texts(path: Path) -> list[str]:
    """All questions, each once, in their order."""
    found: dict[str, None] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        pair = json.loads(line)
        try:
            others = [other["question"] for other in pair["other"]]
            found.update(dict.fromkeys([pair["question"], *pair["same"], *others]))
        except (KeyError, TypeError) as error:
            raise SystemExit(f"{path}:{number}: a line needs `question`, `same` and `other`: {error}")
    return list(found)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--app", type=Path, help="the application whose models there are; default: an empty one")
    parser.add_argument("--model", default="multilingual-e5-small", help="the embedder")
    parser.add_argument("--pairs", type=Path, default=SCRIPTS / "paraphrases.jsonl")
    parser.add_argument("--out", type=Path, default=Path("target/reuse"), help="where the vectors go")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    app = args.app or args.out / "app"
    if args.app is None:
        app.mkdir(exist_ok=True)
        (app / "praxis.toml").write_text('[app]\nname = "reuse"\n', encoding="utf-8")
    questions, vectors = args.out / "texts.jsonl", args.out / "vectors.jsonl"
    lines = (json.dumps({"text": text}, ensure_ascii=False) for text in texts(args.pairs))
    questions.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    embed = [RELEASE / "praxis", "--app", app, "embed", "--kind", "query", "--model", args.model]
    subprocess.run([*embed, "--data", questions, "--out", vectors], check=True)
    print(f"\n{args.pairs.name} with {args.model}\n", flush=True)
    subprocess.run([RELEASE / "examples/reuse", args.pairs, vectors], check=True)


if __name__ == "__main__":
    main()
