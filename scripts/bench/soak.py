#!/usr/bin/env python3
"""The server under mixed load for some time: answers, streams that are dropped, prompts that are too
long, connections that say nothing. Every answer must be the one that was given when the server had
nothing else to do, its memory must stay level, and at its end nothing may be stuck.

usage: soak.py MINUTES [MODEL]
"""

import http.client
import json
import random
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

from quality import praxis, start

CLIENTS = 12
LEVEL = 0.05


class Server:
    def __init__(self, app: Path):
        self.process, url = start(app)
        self.host = urlsplit(url).netloc

    def memory(self) -> float:
        """Resident MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024

    def chat(self, model: str, question: str, pieces: int | None = None) -> tuple[int, str]:
        """Status and text of a streamed answer, dropped after some pieces."""
        connection = http.client.HTTPConnection(self.host, timeout=300)
        messages = [{"role": "user", "content": question}]
        body = {"model": model, "messages": messages, "max_tokens": 40, "temperature": 0, "stream": True}
        connection.request("POST", "/v1/chat/completions", json.dumps(body), {"content-type": "application/json"})
        response = connection.getresponse()
        text = ""
        if response.status != 200:
            response.read()
        else:
            for line in response:
                if line.startswith(b"data: {"):
                    choices = json.loads(line[6:])["choices"]
                    text += "".join(choice["delta"].get("content") or "" for choice in choices)
                    if pieces is not None and (pieces := pieces - 1) < 0:
                        break
        connection.close()
        return response.status, text


def main() -> None:
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    minutes = float(sys.argv[1])
    model = sys.argv[2] if len(sys.argv) > 2 else "smollm2-135m-instruct"
    questions = [f"What can one do with {n} {thing}?" for n in (2, 7, 30) for thing in ("apples", "books", "boats")]
    counts, wrong = dict.fromkeys(["answered", "dropped", "refused", "silent"], 0), []
    with tempfile.TemporaryDirectory() as folder:
        app = Path(folder) / "app"
        praxis("new", app, "--template", "knowledge-qa", "--quiet")
        server = Server(app)
        try:
            expected = {question: server.chat(model, question)[1] for question in questions}
            end = time.monotonic() + 60 * minutes

            def client(seed: int) -> None:
                dice = random.Random(seed)
                while time.monotonic() < end:
                    question, what = dice.choice(questions), dice.random()
                    try:
                        if what < 0.6:
                            status, text = server.chat(model, question)
                            if (status, text) != (200, expected[question]):
                                wrong.append(f"{status} {question} {text!r}")
                            counts["answered"] += 1
                        elif what < 0.85:
                            server.chat(model, question, dice.randrange(6))
                            counts["dropped"] += 1
                        elif what < 0.95:
                            status, _ = server.chat(model, "word " * dice.randrange(20000, 30000))
                            if status != 400:
                                wrong.append(f"{status} for a prompt that is too long")
                            counts["refused"] += 1
                        else:
                            host, port = server.host.split(":")
                            socket.create_connection((host, int(port))).close()
                            counts["silent"] += 1
                    except OSError as error:
                        wrong.append(repr(error))

            clients = [threading.Thread(target=client, args=[seed]) for seed in range(CLIENTS)]
            for thread in clients:
                thread.start()
            memory = []
            while any(thread.is_alive() for thread in clients):
                time.sleep(min(5, 6 * minutes))
                memory.append(server.memory())
            for question in questions:
                if server.chat(model, question)[1] != expected[question]:
                    wrong.append(f"afterwards: {question}")
        finally:
            server.process.terminate()
            stopped = server.process.wait(60)
    # What is in flight makes it go up and down, so quarters are compared and not moments.
    quarter = max(1, len(memory) // 4)
    before, after = memory[quarter : 2 * quarter] or memory, memory[-quarter:]
    growth = (sum(after) / len(after)) / (sum(before) / len(before)) - 1
    print(json.dumps(counts | {"wrong": len(wrong), "MiB": [round(m) for m in memory[:: max(1, len(memory) // 12)]]}))
    print(f"memory: {100 * growth:+.1f} % from the second quarter to the last; the server ended with {stopped}")
    for line in wrong[:10]:
        print("wrong:", line)
    if wrong or growth > LEVEL or stopped != 0:
        sys.exit("the server did not hold")


if __name__ == "__main__":
    main()
