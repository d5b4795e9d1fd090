"""Hooks of Schemathesis: requests that a small model answers at once, and how many there were.

PRAXIS_CASES is a file that the number of requests is added to. PRAXIS_CHAT and PRAXIS_EMBEDDER are the models that
are on this machine.
"""

import atexit
import os
import pathlib

import schemathesis

CHAT = os.environ.get("PRAXIS_CHAT", "smollm2-135m-instruct")
EMBEDDER = os.environ.get("PRAXIS_EMBEDDER", "all-minilm-l6-v2")
CASES = os.environ.get("PRAXIS_CASES")

# Tokens of an answer at most, by any of the names that OpenAI's API has for it.
MOST_TOKENS = 2
TOKENS = ["max_tokens", "max_completion_tokens", "max_output_tokens"]

# Paths whose requests ask a chat model.
ANSWERS = ["/chat/completions", "/completions", "/responses"]

# Models of the documents' examples, which nobody has pulled here.
ELSEWHERE = {"qwen2.5-coder-1.5b-instruct", "multilingual-e5-small", "my-reranker"}

# What makes a search ask a chat model several times; each nth search may.
COSTLY = {"hyde": False, "rewrite": False, "queries": 0, "rerank": False, "rewrite_query": False}
NTH = 16

# Texts and lists of a request, at most: beyond that only the reading of it takes longer.
MOST_ITEMS = 16

cases = 0


@schemathesis.hook
def before_call(ctx, case, kwargs):
    global cases
    cases += 1
    body = case.body
    if not isinstance(body, dict):
        return
    path = case.operation.path
    if any(path.endswith(part) for part in ANSWERS):
        bound(body)
    if "model" in body:
        body["model"] = model(body["model"], EMBEDDER if path.endswith("/embeddings") else CHAT)
    if path.endswith("/search") and cases % NTH:
        body.update({name: value for name, value in COSTLY.items() if name in body})
    if path.endswith("/embeddings") and isinstance(body.get("input"), list):
        body["input"] = body["input"][:MOST_ITEMS]


def bound(body):
    """At most two tokens, and one answer."""
    given = [name for name in TOKENS if isinstance(body.get(name), int) and body[name] > MOST_TOKENS]
    for name in given:
        body[name] = MOST_TOKENS
    if not any(name in body for name in TOKENS):
        # One that the endpoint does not know is ignored by it.
        body.update(dict.fromkeys(TOKENS, MOST_TOKENS))
    for name in ["n", "best_of"]:
        if isinstance(body.get(name), int) and body[name] > 1:
            body[name] = 1
    if isinstance(body.get("messages"), list):
        body["messages"] = body["messages"][:MOST_ITEMS]


def model(name, local):
    """The model that is here in the place of those that are not, and of every second one that nobody has."""
    if not isinstance(name, str) or name.startswith("function:"):
        return name
    return local if name in ELSEWHERE or cases % 2 else name


@atexit.register
def count():
    if CASES:
        file = pathlib.Path(CASES)
        before = int(file.read_text() or 0) if file.exists() else 0
        file.write_text(str(before + cases))
