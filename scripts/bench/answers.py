#!/usr/bin/env python3
"""Quality of answers, measured with the real binary and the default model. `make bench-answers` runs it.

usage: answers.py [QUESTIONS]     (of each language; default 24)

An application of `praxis new --template knowledge-qa` holds the paragraphs of XQuAD in one language;
questions of different paragraphs, always the same, are asked of its function `answer` over the OpenAI
API. "right": the answer holds the expected words; "cited": a cited passage is of the right paragraph.
Then the paragraphs that hold the answers are taken away and the same questions asked again: "declined"
is the share that gets "not in the documents", near misses of the same article left in.

The data lies in ../shared/data; without it, this says so and ends.
"""

import random
import re
import sys
import tempfile
import time
from pathlib import Path

from quality import need_data, post, praxis, serving, squad


def plain(text: str) -> str:
    """Letters and digits only, so that spacing and punctuation do not matter."""
    return re.sub(r"[\W_]+", "", text.lower())


def sample(language: str, count: int) -> tuple[dict[str, str], list[tuple[str, str, list[str]]]]:
    """Paragraphs by name; and (paragraph, question, expected words), no two of one paragraph."""
    texts, questions = {}, []
    for a, article in enumerate(squad(f"xquad-{language}-dev.json")):
        for p, paragraph in enumerate(article):
            name = f"{a:03}-{p:02}"
            texts[name] = paragraph["context"]
            questions += [(name, q["question"], [g["text"] for g in q["answers"]]) for q in paragraph["qas"]]
    random.Random(7).shuffle(questions)
    first = {name: (name, question, gold) for name, question, gold in reversed(questions)}
    return texts, list(first.values())[:count]


def ask(url: str, question: str) -> tuple[str, list[str], bool]:
    """Answer, names of the cited paragraphs, whether it was declined."""
    message = {"role": "user", "content": question}
    answer = post(f"{url}/v1/chat/completions", {"model": "function:answer", "messages": [message]})
    extension = answer["praxis"]
    cited = [Path(citation["uri"]).stem for citation in extension["citations"]]
    return answer["choices"][0]["message"]["content"], cited, extension["refused"]


def measure(language: str, count: int, folder: Path) -> str:
    texts, questions = sample(language, count)
    app = folder / language
    praxis("new", app, "--template", "knowledge-qa", "--quiet")
    for name, text in texts.items():
        (app / f"knowledge/{name}.txt").write_text(text)
    praxis("ingest", "--app", app, "--quiet")
    right = cited = wrongly_declined = 0
    started = time.monotonic()
    with serving(app) as url:
        for name, question, gold in questions:
            answer, sources, declined = ask(url, question)
            found = any(plain(words) in plain(answer) for words in gold)
            right, cited = right + found, cited + (name in sources)
            wrongly_declined += declined
            print(f"{'ok ' if found else '-- '} {question} | {gold[0]} | {answer!r}", file=sys.stderr)
    seconds = (time.monotonic() - started) / len(questions)
    for name, _, _ in questions:
        (app / f"knowledge/{name}.txt").unlink()
    praxis("ingest", "--app", app, "--quiet")
    rightly_declined = 0
    with serving(app) as url:
        for _, question, _ in questions:
            answer, _, declined = ask(url, question)
            rightly_declined += declined
            print(f"{'ok ' if declined else '-- '} (absent) {question} | {answer!r}", file=sys.stderr)
    n = len(questions)
    shares = [right, cited, wrongly_declined, rightly_declined]
    return f"| {language} | {n} | " + " | ".join(f"{s / n:.2f}" for s in shares) + f" | {seconds:.1f} |"


def main() -> None:
    need_data()
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 24
    with tempfile.TemporaryDirectory() as folder:
        rows = [measure(language, count, Path(folder)) for language in ["zh", "en"]]
    print("\n| | questions | right | cited | declined | declined where absent | s an answer |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
