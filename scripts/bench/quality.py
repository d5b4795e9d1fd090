"""What the quality benchmarks share: the data, and applications run by the real binary."""

import json
import os
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parents[2]
PRAXIS = Path(os.environ.get("PRAXIS_BIN", ROOT / "target/release/praxis"))
DATA = ROOT.parent / "shared/data"


def skipped(why: str) -> NoReturn:
    """Ends the program well: nothing was measured, and nothing failed."""
    print(f"SKIPPED: {why}")
    sys.exit(0)


def need_data() -> None:
    """Ends the program where the data is not on this machine, and says so."""
    if not DATA.is_dir():
        skipped("the data of ../shared is not on this machine")


def squad(file: str) -> list[list[dict]]:
    """Articles of a file in the shape of SQuAD, each a list of paragraphs with questions."""
    return [article["paragraphs"] for article in json.loads((DATA / file).read_text())["data"]]


def praxis(*arguments: object) -> None:
    """Runs the binary; an error ends the program."""
    subprocess.run([PRAXIS, *map(str, arguments)], check=True)


def start(app: Path) -> tuple[subprocess.Popen, str]:
    """A server over an application, and its address."""
    command = [PRAXIS, "serve", "--app", app, "--port", "0", "--json"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    out = ""
    for line in server.stdout:
        out += line
        try:
            return server, json.loads(out)["url"]
        except json.JSONDecodeError:
            continue
    sys.exit(f"praxis serve ended: {out}")


@contextmanager
def serving(app: Path):
    """The address of a server over an application."""
    server, url = start(app)
    try:
        yield url
    finally:
        server.terminate()
        server.wait()


def post(address: str, body: dict) -> dict:
    """The answer to a JSON request."""
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(address, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=600) as response:
        return json.load(response)
