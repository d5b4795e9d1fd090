#!/usr/bin/env python3
"""A server of OpenAI's API under several requests at a time, as `make bench-engine` measures Praxis
and llama.cpp's server.

usage: load.py URL MODEL

Prints one line of JSON:
  aggregate_tok_s   8 requests at once with a common beginning of about 1,000 tokens: tokens
                    answered by all, divided by the time until the last has ended
  ttft_alone_s      time to the first token of a short request that is alone
  ttft_beside_s     the same beside 8 requests that are being answered: 95th percentile
  copy_tok_s        tokens/s of one answer that repeats a text of the prompt, after its first token
  one_s, eight_s    time of one answer, and of eight to the same prompt at once (self-consistency)
"""

import json
import sys
import threading
import time
import urllib.request

RULES = (
    "You are the assistant of a library. Answer politely, in full sentences and at length. The library "
    "opens at nine and closes at six; on Sundays it is closed. Books are lent for four weeks. "
)


class Request(threading.Thread):
    """A streamed request: when its first and last token came, and how many there were."""

    def __init__(self, url, model, messages, tokens, temperature=0.0, seed=None):
        super().__init__()
        body = {"model": model, "messages": messages, "max_tokens": tokens, "stream": True}
        body |= {"temperature": temperature, "stream_options": {"include_usage": True}}
        if seed is not None:
            body["seed"] = seed
        headers = {"content-type": "application/json"}
        address = f"{url}/v1/chat/completions"
        self.request = urllib.request.Request(address, json.dumps(body).encode(), headers)
        self.first = self.last = None
        self.tokens = 0

    def run(self):
        self.started = time.perf_counter()
        with urllib.request.urlopen(self.request, timeout=600) as lines:
            for line in lines:
                if not line.startswith(b"data: ") or line.startswith(b"data: [DONE]"):
                    continue
                event = json.loads(line[6:])
                if event.get("usage"):
                    self.tokens = event["usage"]["completion_tokens"]
                if any(choice["delta"].get("content") for choice in event["choices"]):
                    self.last = time.perf_counter()
                    self.first = self.first or self.last


def together(requests):
    """Runs requests at once; the time until the last has ended."""
    started = time.perf_counter()
    for request in requests:
        request.start()
    for request in requests:
        request.join()
    return time.perf_counter() - started


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    url, model = sys.argv[1:]
    salt = 0

    def chat(text, beginning=""):
        messages = [{"role": "user", "content": text}]
        return [{"role": "system", "content": beginning}] + messages if beginning else messages

    def ask(text, tokens, beginning="", **sampling):
        return Request(url, model, chat(text, beginning), tokens, **sampling)

    together([ask("Say hello.", 2)])
    aggregate = 0.0
    for salt in range(2):
        rules = f"Edition {salt}. " + RULES * 22
        requests = [
            ask(f"Reader {i} wants to know all about rule {i}. Explain it.", 64, rules) for i in range(8)
        ]
        seconds = together(requests)
        aggregate = max(aggregate, sum(r.tokens for r in requests) / seconds)

    def short(salt):
        return ask(f"Question {salt}: what is the capital of country number {salt * 7}?", 4)

    alone, beside = [], []
    for salt in range(20):
        request = short(salt)
        together([request])
        alone.append(request.first - request.started)
    # Small models end a story early, but go on counting.
    count = "Count upwards from {}, each number on its own line, and never stop."
    writers = [ask(count.format(i + 1), 600) for i in range(8)]
    for writer in writers:
        writer.start()
    time.sleep(4)
    for salt in range(100, 120):
        request = short(salt)
        together([request])
        if all(writer.is_alive() for writer in writers):
            beside.append(request.first - request.started)
        time.sleep(0.05)
    for writer in writers:
        writer.join()

    copy = 0.0
    for salt in range(2):
        text = f"Chapter {salt}. " + RULES + "Readers return books at the desk on the left of the door."
        request = ask(f"Repeat this text word by word, and write nothing else.\n\n{text}", 120)
        together([request])
        copy = max(copy, (request.tokens - 1) / (request.last - request.first))

    def reason(salt):
        return f"Case {salt}. " + RULES * 8 + "A reader has 3 books for 5 weeks at 2 coins a week. Think step by step."

    one = min(together([ask(reason(salt), 96, temperature=0.8, seed=1)]) for salt in (1, 2))
    eight = min(
        together([ask(reason(salt), 96, temperature=0.8, seed=i) for i in range(8)]) for salt in (3, 4)
    )
    middle = sorted(alone)[len(alone) // 2]
    worst = sorted(beside)[max(0, int(len(beside) * 0.95) - 1)] if len(beside) >= 5 else None
    result = {
        "aggregate_tok_s": round(aggregate, 1),
        "ttft_alone_s": round(middle, 3),
        "ttft_beside_s": worst and round(worst, 3),
        "copy_tok_s": round(copy, 1),
        "one_s": round(one, 2),
        "eight_s": round(eight, 2),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
