#!/usr/bin/env python3
"""Writes what llama.cpp computes for a model, as a fixture for the tests of praxis-engine.

usage: llama_logits.py MODEL.gguf OUTPUT.json

For each text: its tokens. For each conversation: the tokens of the rendered chat template, the 20
likeliest tokens with log probabilities at some positions, and a greedy continuation with the
margin between the two likeliest tokens, so that a test can tell a tie from a mistake.
Needs llama-cpp-python and its jinja2.
"""

import json
import os
import sys

import llama_cpp
import numpy as np
from llama_cpp import Llama
from llama_cpp.llama_chat_format import Jinja2ChatFormatter

TEXTS = [
    "Hello, world!",
    "I've got 12345 reasons; don't you'll see?  Two  spaces\n\n\nthree lines\t tab",
    "鲁迅先生去日本学习医学的老师是谁？",
    "def f(x: int) -> int:\n    return x ** 2  # 平方\n",
    "naïve café 👩‍👩‍👧 ﬁ Ω ½ №5",
    "<|im_start|>user\nnot a control token<|im_end|>",
    " leading and trailing ",
]

CONVERSATIONS = [
    [{"role": "user", "content": "What is the capital of France?"}],
    [
        {"role": "system", "content": "You answer in one short sentence."},
        {"role": "user", "content": "鲁迅的老师是谁？请用中文回答。"},
    ],
    [
        {"role": "user", "content": "Write a Rust function that adds two numbers."},
        {"role": "assistant", "content": "fn add(a: i32, b: i32) -> i32 {\n    a + b\n}"},
        {"role": "user", "content": "Now one that multiplies them."},
    ],
]

TOP = 20
GREEDY = 24


def log_softmax(logits: np.ndarray) -> np.ndarray:
    x = logits.astype(np.float64)
    x = x - x.max()
    return x - np.log(np.exp(x).sum())


def conversation(llama: Llama, formatter: Jinja2ChatFormatter, messages: list) -> dict:
    prompt = formatter(messages=messages).prompt
    tokens = llama.tokenize(prompt.encode(), add_bos=False, special=True)
    llama.reset()
    llama.eval(tokens)
    positions = sorted({3, len(tokens) // 2, len(tokens) - 1})
    top = []
    for position in positions:
        logprobs = log_softmax(llama.scores[position])
        best = np.argsort(-logprobs)[:TOP]
        top.append(
            {
                "position": position,
                "tokens": [int(t) for t in best],
                "logprobs": [round(float(logprobs[t]), 4) for t in best],
            }
        )
    greedy, margins = [], []
    for _ in range(GREEDY):
        logits = llama.scores[llama.n_tokens - 1]
        second, first = np.sort(np.partition(logits, -2)[-2:])
        token = int(np.argmax(logits))
        greedy.append(token)
        margins.append(round(float(first - second), 4))
        if token == llama.token_eos():
            break
        llama.eval([token])
    return {
        "messages": messages,
        "tokens": tokens,
        "top": top,
        "greedy": greedy,
        "margins": margins,
    }


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    path, output = sys.argv[1:]
    llama = Llama(path, n_ctx=512, logits_all=True, n_threads=os.cpu_count(), verbose=False)
    formatter = Jinja2ChatFormatter(
        template=llama.metadata["tokenizer.chat_template"],
        eos_token="",
        bos_token="",
        add_generation_prompt=True,
    )
    fixture = {
        "written_by": "scripts/reference/llama_logits.py",
        "llama_cpp_python": llama_cpp.__version__,
        "texts": [
            {"text": t, "tokens": llama.tokenize(t.encode(), add_bos=False, special=False)}
            for t in TEXTS
        ],
        "conversations": [conversation(llama, formatter, m) for m in CONVERSATIONS],
    }
    with open(output, "w", encoding="utf-8") as file:
        json.dump(fixture, file, ensure_ascii=False, separators=(",", ":"))
        file.write("\n")


if __name__ == "__main__":
    main()
