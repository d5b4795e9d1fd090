#!/usr/bin/env python3
"""`kill -9` at random moments while documents are ingested, deleted and searched. `make bench-faults` runs it.

usage: faults.py [ROUNDS [SEED]]     (default: 200 rounds)

In each round some documents come, change and go, `praxis ingest` is started and killed somewhere on its way,
and another process searches meanwhile. After each round `praxis knowledge check` must find every chunk in every
index and nothing else, what an ingest acknowledged must be found, and what it removed must not. In the end an ingest
that is left alone must bring the base to what the folder holds.
"""

import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from quality import PRAXIS

WORDS = "amber basalt cedar delta ember fjord garnet heather indigo juniper kelp lichen maple nectar opal".split()


class Base:
    def __init__(self, folder: Path, dice: random.Random):
        self.folder, self.dice, self.next = folder, dice, 0
        self.texts: dict[str, str] = {}  # what the folder holds
        self.known: dict[str, str] = {}  # what the last ingest that ended has acknowledged
        (folder / "knowledge/docs").mkdir(parents=True)
        config = '[app]\nname = "faults"\n\n[defaults]\nembedding = "all-minilm-l6-v2"\n'
        (folder / "praxis.toml").write_text(config)
        (folder / "knowledge/docs.toml").write_text('[source]\npaths = ["docs"]\n')

    def write(self, name: str) -> None:
        self.next += 1
        mark = f"mark{self.next:06}"  # a word that no other text has
        lines = [f"# {mark}"] + [f"The {mark} of {' '.join(self.dice.choices(WORDS, k=40))}." for _ in range(6)]
        self.texts[name] = mark
        (self.folder / f"knowledge/docs/{name}").write_text("\n\n".join(lines))

    def change(self) -> None:
        for _ in range(self.dice.randint(1, 4)):
            what = self.dice.random()
            if what < 0.5 or len(self.texts) < 5:
                self.write(f"{self.next:06}.md")
            elif what < 0.75:
                self.write(self.dice.choice(list(self.texts)))
            else:
                name = self.dice.choice(list(self.texts))
                del self.texts[name]
                (self.folder / f"knowledge/docs/{name}").unlink()

    def start(self, *args: str) -> subprocess.Popen:
        command = [str(PRAXIS), "--app", str(self.folder), "--quiet", "--json", *args]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run(self, *args: str) -> dict:
        process = self.start(*args)
        out, err = process.communicate(timeout=120)
        if process.returncode != 0:
            sys.exit(f"praxis {' '.join(args)}: {err}")
        return json.loads(out)

    def check(self, where: str) -> None:
        process = self.start("knowledge", "check")
        out, err = process.communicate(timeout=120)
        if process.returncode != 0:
            self.fail(f"{where}: the check failed: {out} {err}")

    def fail(self, message: str) -> None:
        kept = shutil.copytree(self.folder, tempfile.mkdtemp(prefix="faults-"), dirs_exist_ok=True)
        sys.exit(f"{message}; the application is kept in {kept}")

    def finds(self, mark: str) -> set[str]:
        found = self.run("search", mark, "-n", "3")["passages"]
        return {Path(p["passage"]["uri"]).name for p in found if mark in p["passage"]["text"]}


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    dice = random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 7)
    with tempfile.TemporaryDirectory() as folder:
        base = Base(Path(folder) / "app", dice)
        for _ in range(20):
            base.write(f"{base.next:06}.md")
        started = time.monotonic()
        base.run("ingest")
        usual = time.monotonic() - started
        base.known = dict(base.texts)
        killed = 0
        for number in range(rounds):
            base.change()
            ingest = base.start("ingest")
            search = base.start("search", dice.choice(WORDS))
            began = time.monotonic()
            try:
                ingest.wait(dice.random() * usual)
                if ingest.returncode != 0:
                    base.fail(f"round {number}: the ingest failed: {ingest.stderr.read()}")
                usual = 0.7 * usual + 0.3 * (time.monotonic() - began)
                base.known = dict(base.texts)
            except subprocess.TimeoutExpired:
                ingest.kill()
                ingest.wait()
                killed += 1
                usual *= 1.02
            search.communicate(timeout=120)
            if search.returncode != 0:
                base.fail(f"round {number}: the search beside it failed")
            base.check(f"round {number}")
            kept = [name for name, mark in base.known.items() if base.texts.get(name) == mark]
            for name in dice.sample(kept, min(2, len(kept))):
                found = base.finds(base.known[name])
                if found != {name}:
                    base.fail(f"round {number}: {name} was acknowledged, and {base.known[name]} is found in {found}")
        base.run("ingest")
        base.check("in the end")
        listed = base.run("knowledge", "documents")["documents"]
        names = sorted(Path(d["document"]["uri"]).name for d in listed)
        if names != sorted(base.texts):
            base.fail(f"in the end the base holds {len(names)} documents, the folder {len(base.texts)}")
        for name, mark in base.texts.items():
            if base.finds(mark) != {name}:
                base.fail(f"in the end {name} is not found")
    print(f"{rounds} rounds, {killed} ingests killed: nothing lost, no ghost, every check clean")


if __name__ == "__main__":
    main()
