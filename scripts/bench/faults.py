#!/usr/bin/env python3
"""`kill -9` at random moments while documents are ingested, deleted and searched.

`make bench-faults` runs it.

usage: faults.py [ROUNDS [SEED]]     (default: 200 rounds)

The base has some documents of several chunks each, and thousands of lines of a file of records, each a
document of one short chunk: enough that the index of vectors makes segments of what is new and merges them,
every few rounds. In each round documents and lines come, change and go, `praxis ingest` is started and killed
somewhere on its way; or so many lines come that a segment is made, and it is killed when that has appeared or
a moment later, while segments are merged. Another process searches meanwhile, and must find what an earlier
ingest acknowledged and nobody touched. After each round `praxis knowledge check` must find every chunk in
every index and nothing else, what an ingest acknowledged must be found, and what one removed must not, by
words that no other text has. In the end an ingest that is left alone must bring the base to what the folder
holds.
"""

import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from quality import PRAXIS

WORDS = "amber basalt cedar delta ember fjord garnet heather indigo juniper kelp lichen maple nectar opal".split()


LINES = 3000  # of records, in the beginning
NEW_LINES = (50, 400)  # in a round
SURGE = 2100  # lines in a round that makes a segment, for it takes 2,048
SURGES = 0.2  # share of such rounds
LEAST_LINES, MOST_LINES = 2000, 5000
RECORDS = "lines/records.jsonl"
CONFIG = """
[source]
paths = ["docs"]
"""
LINES_CONFIG = """
[[sources]]
type = "jsonl"
paths = ["lines/*.jsonl"]
id = "id"
text = "text"
"""


class Base:
    """An application with one base, and what it should hold. Documents are known by the names of their files,
    lines by `records.jsonl#ID`; each has a mark, a word that no other text has."""

    def __init__(self, folder: Path, dice: random.Random, lines: int = 0):
        self.folder, self.dice, self.next = folder, dice, 0
        self.texts: dict[str, str] = {}  # what the folder holds, name and mark
        self.lines: dict[str, str] = {}  # what the file of records holds, id and text
        self.known: dict[str, str] = {}  # what the last ingest that ended has acknowledged
        self.went: list[str] = []  # marks that went since then
        self.gone: list[str] = []  # marks of which an ingest acknowledged that they went
        (folder / "knowledge/docs").mkdir(parents=True)
        config = '[app]\nname = "faults"\n\n[defaults]\nembedding = "all-minilm-l6-v2"\n'
        (folder / "praxis.toml").write_text(config)
        (folder / "knowledge/docs.toml").write_text(CONFIG + (LINES_CONFIG if lines else ""))
        if lines:
            (folder / f"knowledge/{RECORDS}").parent.mkdir()
            self.add_lines(lines)
            self.write_lines()

    def mark(self, name: str) -> str:
        """A new mark for a document, in the place of the one it had."""
        self.remove(name)
        self.next += 1
        self.texts[name] = f"mark{self.next:06}"
        return self.texts[name]

    def remove(self, name: str) -> None:
        if name in self.texts:
            self.went.append(self.texts.pop(name))

    def write(self, name: str) -> None:
        mark = self.mark(name)
        lines = [f"The {mark} of {' '.join(self.dice.choices(WORDS, k=40))}." for _ in range(6)]
        (self.folder / f"knowledge/docs/{name}").write_text("\n\n".join([f"# {mark}", *lines]))

    def write_line(self, id: str) -> None:
        mark = self.mark(f"records.jsonl#{id}")
        self.lines[id] = f"{mark} {' '.join(self.dice.choices(WORDS, k=5))}"

    def add_lines(self, count: int) -> None:
        for _ in range(count):
            self.write_line(f"{self.next:06}")

    def write_lines(self) -> None:
        records = (json.dumps({"id": id, "text": text}) for id, text in self.lines.items())
        file = self.folder / f"knowledge/{RECORDS}"
        file.with_suffix(".new").write_text("\n".join(records) + "\n")
        file.with_suffix(".new").replace(file)

    def change(self, surge: bool = False) -> None:
        documents = [name for name in self.texts if "#" not in name]
        for _ in range(self.dice.randint(1, 4)):
            what = self.dice.random()
            if what < 0.5 or len(documents) < 5:
                documents.append(f"{self.next:06}.md")
                self.write(documents[-1])
            elif what < 0.75:
                self.write(self.dice.choice(documents))
            else:
                name = documents.pop(self.dice.randrange(len(documents)))
                self.remove(name)
                (self.folder / f"knowledge/docs/{name}").unlink()
        if self.lines:
            self.change_lines(SURGE if surge else self.dice.randint(*NEW_LINES))

    def change_lines(self, new: int) -> None:
        self.add_lines(new)
        for id in self.dice.sample(list(self.lines), self.dice.randint(0, 100)):
            self.write_line(id)
        most = MOST_LINES if self.dice.random() < 0.9 else LEAST_LINES
        going = max(self.dice.randint(0, 400), len(self.lines) - most)
        for id in self.dice.sample(list(self.lines), min(going, len(self.lines) - 1)):
            self.remove(f"records.jsonl#{id}")
            del self.lines[id]
        self.write_lines()

    def acknowledge(self) -> None:
        """An ingest ended well: it has done all that was done to the folder."""
        self.known = dict(self.texts)
        self.gone += self.went
        self.went = []

    def kept(self) -> list[str]:
        """Names of what an ingest acknowledged and nobody touched since."""
        return [name for name, mark in self.known.items() if self.texts.get(name) == mark]

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
        """Names of the documents with this mark that a search for it finds."""
        return with_mark(self.run("search", mark, "-n", "3"), mark)

    def segments(self) -> set[Path]:
        """Files of the segments of the index of vectors."""
        return set((self.folder / ".praxis/index/docs/vectors").glob("*/*.codes"))


def with_mark(answer: dict, mark: str) -> set[str]:
    return {
        Path(p["passage"]["uri"]).name for p in answer["passages"] if mark in p["passage"]["text"].split()
    }


def killed(base: Base, ingest: subprocess.Popen, usual: float, at_segment: bool) -> str | None:
    """Waits for an ingest, and kills it at a random moment: of its usual time, or behind the appearance of a
    segment. Where it was killed; `None` if it was done before."""
    before = base.segments()
    ends = time.monotonic() + (120 if at_segment else base.dice.random() * usual)
    while ingest.poll() is None:
        if at_segment and base.segments() - before:
            # Making and merging segments takes tens of milliseconds here, and the end of it comes soon.
            time.sleep(base.dice.choice([0, base.dice.random() * 0.05]))
            ingest.kill()
            break
        if time.monotonic() >= ends:
            ingest.kill()
            break
        time.sleep(0.001)
    else:
        return None
    ingest.wait()
    if ingest.returncode != -signal.SIGKILL:
        return None
    return "at a segment" if base.segments() - before else "on its way"


def one_round(base: Base, where: str, usual: float) -> tuple[str | None, float]:
    """Where the ingest was killed, and how long one usually takes."""
    surge = base.dice.random() < SURGES
    base.change(surge)
    kept = base.kept()
    mark = base.known[base.dice.choice(kept)] if kept else ""
    ingest = base.start("ingest")
    search = base.start("search", mark or base.dice.choice(WORDS), "-n", "3")
    began = time.monotonic()
    how = killed(base, ingest, usual, surge)
    if how is None:
        if ingest.returncode != 0:
            base.fail(f"{where}: the ingest failed: {ingest.stderr.read()}")
        base.acknowledge()
    if not surge:
        usual = usual * 1.02 if how else 0.7 * usual + 0.3 * (time.monotonic() - began)
    out, err = search.communicate(timeout=120)
    if search.returncode != 0:
        base.fail(f"{where}: the search beside it failed: {err}")
    if mark and not with_mark(json.loads(out), mark):
        base.fail(f"{where}: {mark} was acknowledged, and the search beside the ingest has not found it")
    base.check(where)
    kept = base.kept()
    for name in base.dice.sample(kept, min(2, len(kept))):
        found = base.finds(base.known[name])
        if found != {name}:
            base.fail(f"{where}: {name} was acknowledged, and {base.known[name]} is found in {found}")
    # Those that went last are where a ghost is most likely.
    for mark in {*base.gone[-1:], *base.dice.sample(base.gone, min(1, len(base.gone)))}:
        if found := base.finds(mark):
            base.fail(f"{where}: {mark} was removed, and is found in {found}")
    return how, usual


def settled(base: Base) -> None:
    """After an ingest that was left alone, the base is what the folder is."""
    base.run("ingest")
    base.acknowledge()
    base.check("in the end")
    listed = base.run("knowledge", "documents")["documents"]
    names = sorted(Path(d["document"]["uri"]).name for d in listed)
    if names != sorted(base.texts):
        base.fail(f"in the end the base holds {len(names)} documents, the folder {len(base.texts)}")
    names = [name for name in base.texts if "#" not in name]
    names += base.dice.sample(sorted(base.texts), min(20, len(base.texts)))
    for name in names:
        if base.finds(base.texts[name]) != {name}:
            base.fail(f"in the end {name} is not found")
    for mark in base.dice.sample(base.gone, min(20, len(base.gone))):
        if found := base.finds(mark):
            base.fail(f"in the end {mark}, which was removed, is found in {found}")


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    dice = random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 7)
    with tempfile.TemporaryDirectory() as folder:
        base = Base(Path(folder) / "app", dice, LINES)
        for _ in range(20):
            base.write(f"{base.next:06}.md")
        base.run("ingest")
        base.acknowledge()
        # The first ingest has many times the work of a later one.
        base.change()
        started = time.monotonic()
        base.run("ingest")
        base.acknowledge()
        usual = time.monotonic() - started
        ends: dict[str | None, int] = {}
        made: set[Path] = base.segments()
        for number in range(rounds):
            how, usual = one_round(base, f"round {number}", usual)
            ends[how] = ends.get(how, 0) + 1
            made |= base.segments()
        settled(base)
    if not made:
        sys.exit("no segment was ever made of the vectors: nothing of that was measured")
    at_segment, on_its_way = ends.get("at a segment", 0), ends.get("on its way", 0)
    print(
        f"{rounds} rounds, {at_segment + on_its_way} ingests killed, {at_segment} of them after a new segment"
        f" of vectors had appeared; {len(made)} segments were seen: nothing lost, no ghost, every check clean"
    )


if __name__ == "__main__":
    main()
