#!/usr/bin/env python3
"""A disk that fills up at random moments while documents are ingested. `make bench-faults` runs it.

usage: full.py [ROUNDS [SEED]]     (default: 60 rounds)

The state of an application lies on a small file system in memory (its own mount namespace; Linux with user
namespaces). In each round documents come, change and go, all but a random rest of the file system is taken away, and
`praxis ingest` runs: it ends well, or says `storage_full`, and nothing else. With the room back, `praxis knowledge
check` must find every chunk in every index and nothing else, and what was acknowledged before is found. At the end a
server meets the same: what it cannot keep it refuses with 507, it goes on searching, and it keeps again
what it is sent when there is room.
"""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from faults import WORDS, Base
from quality import serving, skipped

SIZE = 24 << 20
INSIDE = "PRAXIS_FULL_INSIDE"


def run_inside() -> None:
    """Goes on in a mount namespace of its own; says so where there are none."""
    if INSIDE in os.environ:
        return
    command = ["unshare", "--user", "--map-root-user", "--mount"]
    try:
        subprocess.run([*command, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        skipped(f"no mount namespace on this machine ({error})")
    os.environ[INSIDE] = "1"
    os.execvp(command[0], [*command, sys.executable, *sys.argv])


class Disk:
    """A small file system, all of whose room but a rest can be taken away."""

    def __init__(self, folder: Path):
        folder.mkdir()
        size = f"size={SIZE}"
        subprocess.run(["mount", "-t", "tmpfs", "-o", size, "none", folder], check=True)
        self.folder, self.ballast = folder, folder / "ballast"

    def leave(self, rest: int) -> None:
        room = os.statvfs(self.folder)
        free = room.f_bavail * room.f_bsize
        with self.ballast.open("wb") as file:
            if free > rest:
                os.posix_fallocate(file.fileno(), 0, free - rest)

    def free(self) -> None:
        self.ballast.unlink(missing_ok=True)


def ended(process: subprocess.Popen, base: Base, what: str) -> bool:
    """Whether it did its work; else it must have said that there was no room."""
    try:
        out, err = process.communicate(timeout=120)
    except subprocess.TimeoutExpired:
        base.fail(f"{what} hangs on a full disk")
    if process.returncode < 0:
        base.fail(f"{what} was ended by {signal.Signals(-process.returncode).name}: {err}")
    if "panicked" in err:
        base.fail(f"{what} panicked: {err}")
    if process.returncode == 0:
        return True
    try:
        code = json.loads(out)["error"]["code"]
    except (json.JSONDecodeError, KeyError):
        code = None
    if code != "storage_full":
        base.fail(f"{what} did not say what is wrong: {out} {err}")
    return False


def ingests(base: Base, disk: Disk, dice: random.Random, rounds: int) -> tuple[int, int]:
    """How many ingests, and how many searches, said that there was no room."""
    refused = silent = 0
    for number in range(rounds):
        base.change()
        disk.leave(dice.choice([0, dice.randrange(64 << 10), dice.randrange(512 << 10), dice.randrange(2 << 20)]))
        if ended(base.start("ingest"), base, f"round {number}: the ingest"):
            base.acknowledge()
        else:
            refused += 1
        silent += not ended(base.start("search", dice.choice(WORDS)), base, f"round {number}: a search")
        disk.free()
        base.check(f"round {number}")
        kept = base.kept()
        for name in dice.sample(kept, min(2, len(kept))):
            if base.finds(base.known[name]) != {name}:
                base.fail(f"round {number}: {name} was acknowledged and is not found")
        if number % 5 == 4:
            base.run("ingest")
            base.acknowledge()
    base.run("ingest")
    base.check("in the end")
    for name, mark in base.texts.items():
        if base.finds(mark) != {name}:
            base.fail(f"in the end {name} is not found")
    return refused, silent


def asked(request: str | urllib.request.Request) -> tuple[int, dict]:
    """Status and answer."""
    try:
        with urllib.request.urlopen(request, timeout=120) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def sent(url: str, body: dict) -> tuple[int, dict]:
    headers = {"content-type": "application/json"}
    return asked(urllib.request.Request(url, json.dumps(body).encode(), headers))


def uploaded(url: str, name: str, text: str) -> tuple[int, dict]:
    edge = "praxis-bench-edge"
    parts = [f'--{edge}\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nassistants\r\n']
    disposition = f'content-disposition: form-data; name="file"; filename="{name}"'
    parts.append(f"--{edge}\r\n{disposition}\r\ncontent-type: text/plain\r\n\r\n{text}\r\n--{edge}--\r\n")
    headers = {"content-type": f"multipart/form-data; boundary={edge}"}
    return asked(urllib.request.Request(f"{url}/v1/files", "".join(parts).encode(), headers))


def wait_for(url: str, store: str, file: str, base: Base) -> None:
    for _ in range(300):
        status, found = asked(f"{url}/v1/vector_stores/{store}/files/{file}")
        if status == 200 and found["status"] == "completed":
            return
        if status == 200 and found["status"] == "failed":
            base.fail(f"a file of a vector store failed: {found}")
        time.sleep(0.2)
    base.fail("a file of a vector store is not read once there is room again")


def served(base: Base, disk: Disk) -> None:
    mark = next(iter(base.texts.values()))
    with serving(base.folder) as url:
        store = sent(f"{url}/v1/vector_stores", {"name": "full"})[1]["id"]

        def put(name: str) -> str:
            status, file = uploaded(url, name, f"The harbour master of {name} keeps the tide tables.\n" * 50)
            if status != 200:
                base.fail(f"a file is refused although there is room: {status} {file}")
            return file["id"]

        def found(name: str) -> None:
            status, answer = sent(f"{url}/v1/vector_stores/{store}/search", {"query": f"harbour master of {name}"})
            if status != 200 or name not in {hit["filename"] for hit in answer["data"]}:
                base.fail(f"{name} is not found: {status} {answer}")

        first, waiting = put("first.txt"), put("waiting.txt")
        sent(f"{url}/v1/vector_stores/{store}/files", {"file_id": first})
        wait_for(url, store, first, base)
        disk.leave(0)
        status, answer = uploaded(url, "refused.txt", "No room for this.\n" * 5000)
        if status != 507 or answer["error"]["code"] != "storage_full":
            base.fail(f"an upload to a full disk: {status} {answer}")
        status, answer = sent(f"{url}/v1/vector_stores/{store}/files", {"file_id": waiting})
        if status not in (200, 507):
            base.fail(f"a file for a vector store on a full disk: {status} {answer}")
        found("first.txt")
        status, answer = sent(f"{url}/praxis/v1/knowledge/docs/search", {"query": mark})
        if status != 200 or mark not in json.dumps(answer):
            base.fail(f"a search on a full disk: {status} {answer}")
        time.sleep(2)
        disk.free()
        status, answer = sent(f"{url}/v1/vector_stores/{store}/files", {"file_id": waiting})
        if status != 200:
            base.fail(f"a file for a vector store with room again: {status} {answer}")
        last = put("last.txt")
        sent(f"{url}/v1/vector_stores/{store}/files", {"file_id": last})
        for name, file in [("waiting.txt", waiting), ("last.txt", last)]:
            wait_for(url, store, file, base)
            found(name)
    base.check("after the server")


def main() -> None:
    run_inside()
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    dice = random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 7)
    with tempfile.TemporaryDirectory() as folder:
        app = Path(folder) / "app"
        app.mkdir()
        disk = Disk(app / ".praxis")
        try:
            base = Base(app, dice)
            for _ in range(20):
                base.write(f"{base.next:06}.md")
            base.run("ingest")
            base.acknowledge()
            refused, silent = ingests(base, disk, dice, rounds)
            served(base, disk)
        finally:
            subprocess.run(["umount", "--lazy", disk.folder], check=False)
    print(
        f"{rounds} rounds on a full disk: {refused} ingests and {silent} searches said so, nothing lost, every check"
        " clean; the server refused, went on and took again"
    )


if __name__ == "__main__":
    main()
