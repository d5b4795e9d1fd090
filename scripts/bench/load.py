#!/usr/bin/env python3
"""A server of OpenAI's API under several requests at a time, as `make bench-engine` measures Praxis
and llama.cpp's server.

usage: load.py URL MODEL [many|long]

Prints one line of JSON. `many`, the default:
  aggregate_tok_s   8 requests at once with a common beginning of about 1,000 tokens: tokens
                    answered by all, divided by the time until the last has ended
  ttft_alone_s      time to the first token of a short request that is alone
  ttft_beside_s     the same beside 8 requests that are being answered: 95th percentile
  copy_tok_s        tokens/s of one answer that repeats a text of the prompt, after its first token
  one_s, eight_s    time of one answer, and of eight to the same prompt at once (self-consistency)
`long`, while a prompt of about 4,000 tokens is read beside 3 answers; null where the answers ended before:
  gap_most_s        the longest time between two pieces of one of the answers
  gap_median_s      the median of these times
  ttft_short_s      time to the first token of a short request that comes meanwhile
  ttft_long_s       the same of the long prompt itself
  prompt_tokens     how long it is, as the server counts
"""

import json
import sys
import threading
import time
import urllib.request
from itertools import pairwise
from statistics import median

RULES = (
    "You are the assistant of a library. Answer politely, in full sentences and at length. The library "
    "opens at nine and closes at six; on Sundays it is closed. Books are lent for four weeks. "
)
# Small models end a story early, but go on counting.
COUNT = "Count upwards from {}, each number on its own line, and never stop."


class Request(threading.Thread):
    """A streamed request: when its pieces came, and how many tokens there were."""

    def __init__(self, url, model, messages, tokens, temperature=0.0, seed=None):
        super().__init__()
        body = {"model": model, "messages": messages, "max_tokens": tokens, "stream": True}
        body |= {"temperature": temperature, "stream_options": {"include_usage": True}}
        if seed is not None:
            body["seed"] = seed
        headers = {"content-type": "application/json"}
        address = f"{url}/v1/chat/completions"
        self.request = urllib.request.Request(address, json.dumps(body).encode(), headers)
        self.times = []
        self.tokens = self.prompt_tokens = 0
        self.is_left = False

    @property
    def first(self):
        return self.times[0] if self.times else None

    @property
    def last(self):
        return self.times[-1] if self.times else None

    def leave(self):
        """Closes the connection after the next line that comes."""
        self.is_left = True

    def run(self):
        self.started = time.perf_counter()
        with urllib.request.urlopen(self.request, timeout=600) as lines:
            for line in lines:
                if self.is_left:
                    return
                if not line.startswith(b"data: ") or line.startswith(b"data: [DONE]"):
                    continue
                event = json.loads(line[6:])
                if event.get("usage"):
                    self.tokens = event["usage"]["completion_tokens"]
                    self.prompt_tokens = event["usage"]["prompt_tokens"]
                if any(choice["delta"].get("content") for choice in event["choices"]):
                    self.times.append(time.perf_counter())


def together(requests):
    """Runs requests at once; the time until the last has ended."""
    started = time.perf_counter()
    for request in requests:
        request.start()
    for request in requests:
        request.join()
    return time.perf_counter() - started


class Load:
    """Requests to one model."""

    def __init__(self, url, model):
        self.url, self.model = url, model

    def ask(self, text, tokens, beginning="", **sampling):
        messages = [{"role": "user", "content": text}]
        if beginning:
            messages.insert(0, {"role": "system", "content": beginning})
        return Request(self.url, self.model, messages, tokens, **sampling)

    def short(self, salt):
        return self.ask(f"Question {salt}: what is the capital of country number {salt * 7}?", 4)

    def many(self):
        aggregate = 0.0
        for salt in range(2):
            rules = f"Edition {salt}. " + RULES * 22
            requests = [
                self.ask(f"Reader {i} wants to know all about rule {i}. Explain it.", 64, rules) for i in range(8)
            ]
            seconds = together(requests)
            aggregate = max(aggregate, sum(r.tokens for r in requests) / seconds)

        alone, beside = [], []
        for salt in range(20):
            request = self.short(salt)
            together([request])
            alone.append(request.first - request.started)
        writers = [self.ask(COUNT.format(i + 1), 600) for i in range(8)]
        for writer in writers:
            writer.start()
        time.sleep(4)
        for salt in range(100, 120):
            request = self.short(salt)
            together([request])
            if all(writer.is_alive() for writer in writers):
                beside.append(request.first - request.started)
            time.sleep(0.05)
        for writer in writers:
            writer.join()

        copy = 0.0
        for salt in range(2):
            text = f"Chapter {salt}. " + RULES + "Readers return books at the desk on the left of the door."
            request = self.ask(f"Repeat this text word by word, and write nothing else.\n\n{text}", 120)
            together([request])
            copy = max(copy, (request.tokens - 1) / (request.last - request.first))

        def reason(salt):
            text = "A reader has 3 books for 5 weeks at 2 coins a week. Think step by step."
            return f"Case {salt}. " + RULES * 8 + text

        one = min(together([self.ask(reason(salt), 96, temperature=0.8, seed=1)]) for salt in (1, 2))
        eight = min(
            together([self.ask(reason(salt), 96, temperature=0.8, seed=i) for i in range(8)])
            for salt in (3, 4)
        )
        middle = sorted(alone)[len(alone) // 2]
        worst = sorted(beside)[max(0, int(len(beside) * 0.95) - 1)] if len(beside) >= 5 else None
        return {
            "aggregate_tok_s": round(aggregate, 1),
            "ttft_alone_s": round(middle, 3),
            "ttft_beside_s": worst and round(worst, 3),
            "copy_tok_s": round(copy, 1),
            "one_s": round(one, 2),
            "eight_s": round(eight, 2),
        }

    def long(self):
        """The best of two rounds, each figure by itself."""
        best = dict.fromkeys(["gap_most_s", "gap_median_s", "ttft_short_s", "ttft_long_s", "prompt_tokens"])
        for salt in range(2):
            for name, value in self.beside_a_long_prompt(salt).items():
                best[name] = value if best[name] is None else min(best[name], value)
        return best

    def beside_a_long_prompt(self, salt):
        """One round; nothing where something of it did not fall into the time of reading."""
        writers = [self.ask(COUNT.format(1000 * (salt + 1) + 100 * i), 2000) for i in range(3)]
        for writer in writers:
            writer.start()
        for _ in range(1200):
            if all(len(writer.times) > 8 for writer in writers):
                break
            time.sleep(0.05)
        reader = self.ask("When is the library closed?", 2, f"Volume {salt}. " + RULES * 93)
        request = self.short(1000 + salt)
        reader.start()
        time.sleep(2)
        request.start()
        reader.join()
        beside = all(writer.is_alive() for writer in writers)
        for writer in writers:
            writer.leave()
        for other in [request, *writers]:
            other.join()
        if not (beside and reader.first and request.first) or request.started > reader.first:
            return {}
        times = [list(writer.times) for writer in writers]
        gaps = [b - a for of in times for a, b in pairwise(of) if b > reader.started and a < reader.first]
        if not gaps:
            return {}
        return {
            "gap_most_s": round(max(gaps), 3),
            "gap_median_s": round(median(gaps), 3),
            "ttft_short_s": round(request.first - request.started, 3),
            "ttft_long_s": round(reader.first - reader.started, 3),
            "prompt_tokens": reader.prompt_tokens,
        }


def main() -> None:
    parts = {"many": Load.many, "long": Load.long}
    if len(sys.argv) not in (3, 4) or sys.argv[3:] not in ([], *([part] for part in parts)):
        sys.exit(__doc__)
    load = Load(*sys.argv[1:3])
    together([load.ask("Say hello.", 2)])
    part = parts[sys.argv[3] if len(sys.argv) > 3 else "many"]
    print(json.dumps(part(load)))


if __name__ == "__main__":
    main()
