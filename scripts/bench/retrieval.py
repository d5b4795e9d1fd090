#!/usr/bin/env python3
"""Quality of retrieval, measured with the real binary, as Markdown tables. `make bench-retrieval` runs it.

usage: retrieval.py [CORPUS...]                           (default: all of them, see CORPORA)
       retrieval.py --search [--questions N] [CORPUS...]  (default: 60 questions of xquad-zh, xquad-en, cranfield)

Each corpus becomes an application: one document per paragraph, abstract or article, ingested by
`praxis ingest` and searched over HTTP with the default settings, with keywords alone and with vectors
alone. Three peers rank the same texts in the same run (peers.py): bm25s, LlamaIndex and LangChain with
their defaults and the same embedder. recall@k: whether a right document is among the first k, documents
counted once, by their best passage. recall@100 is the share of the right documents. nDCG@10 has binary
gains. The row "default, documents" ranks documents instead of passages ("level": "document").

"xquad-zh-en" asks the Chinese questions of the English paragraphs. "articles" are XQuAD's, all paragraphs
of one in one document. False accept: the share of questions whose passages pass the base's threshold
although their article is left out; false refusal: the share that fails it with the article in.

With --search, what models add to a search is measured instead: reranking by the default chat model, other
wordings of the question and imagined answers (VARIANTS), each against the default search on the same sample of
questions, with the seconds that a question takes. The sample is every n-th question. Each variant has a server of
its own, because answers of models are remembered. On two cores, 60 questions of a corpus take about an hour.

The data lies in ../shared/data; without it, this says so and ends.
"""

import argparse
import json
import math
import statistics
import sys
import tempfile
import time
from pathlib import Path

from peers import EMBEDDER, Vectors, lang_chain, llama_index, plain_bm25
from quality import DATA, need_data, post, praxis, serving, squad

DEPTH = 100
READ = 4  # passages that a function reads, unless its front matter says otherwise
ALONE = "document_weight = 0.0\nfeedback = 0.0\n"
SETTINGS = {
    "keywords": f"keyword_weight = 1.0\nvector_weight = 0.0\n{ALONE}",
    "vectors": f"keyword_weight = 0.0\nvector_weight = 1.0\n{ALONE}",
    "default": "",
}

CHAT = "qwen2.5-coder-1.5b-instruct"
SAMPLED = ["xquad-zh", "xquad-en", "cranfield"]
VARIANTS = {
    "default": {},
    "3 other wordings": {"queries": 3},
    "HyDE": {"hyde": True},
    "rerank the first 10": {"rerank": {"model": CHAT, "depth": 10}},
    "rerank the first 10, by the model alone": {"rerank": {"model": CHAT, "depth": 10, "weight": 1.0}},
    "rerank the first 30": {"rerank": {"model": CHAT, "depth": 30}},
}
# No question may take the short way because the machine is slow.
PATIENT = "[search.question]\ntimeout_seconds = 600\n\n[search.rerank]\ntimeout_seconds = 600\n"


class Corpus:
    """Texts by document name, their group (article), and (query, names of the right documents)."""

    def __init__(self, chinese: bool):
        self.chinese, self.documents, self.groups, self.queries = chinese, {}, {}, []

    def add(self, name: str, text: str, group: str) -> None:
        self.documents[name], self.groups[name] = text, group


def paragraphs(file: str, chinese: bool, questions: str | None = None) -> Corpus:
    """Paragraphs and questions of a file in the shape of SQuAD, or questions of a parallel file."""
    corpus = Corpus(chinese)
    for a, (article, other) in enumerate(zip(squad(file), squad(questions or file), strict=True)):
        for p, (paragraph, asked) in enumerate(zip(article, other, strict=True)):
            name = f"{a:03}-{p:02}"
            corpus.add(name, paragraph["context"], f"{a:03}")
            corpus.queries += [(qa["question"], {name}) for qa in asked["qas"]]
    return corpus


def cranfield() -> Corpus:
    corpus = Corpus(chinese=False)
    for line in (DATA / "cranfield-docs.jsonl").read_text().splitlines():
        document = json.loads(line)
        if document["text"].strip():
            corpus.add(document["id"], document["text"], document["id"])
    for line in (DATA / "cranfield-queries-dev.jsonl").read_text().splitlines():
        query = json.loads(line)
        right = {name for name, grade in query["relevant"].items() if grade > 0}
        corpus.queries.append((query["query"], right & corpus.documents.keys()))
    return corpus


def articles(file: str, chinese: bool) -> Corpus:
    """Whole articles, and the questions on any of their paragraphs."""
    corpus = Corpus(chinese)
    for a, article in enumerate(squad(file)):
        name = f"{a:03}"
        corpus.add(name, "\n\n".join(paragraph["context"] for paragraph in article), name)
        corpus.queries += [(qa["question"], {name}) for paragraph in article for qa in paragraph["qas"]]
    return corpus


CORPORA = {
    "xquad-zh": lambda: paragraphs("xquad-zh-dev.json", chinese=True),
    "xquad-en": lambda: paragraphs("xquad-en-dev.json", chinese=False),
    "xquad-zh-en": lambda: paragraphs("xquad-en-dev.json", False, questions="xquad-zh-dev.json"),
    "cmrc": lambda: paragraphs("cmrc2018_trial.json", chinese=True),
    "cranfield": cranfield,
    "articles-zh": lambda: articles("xquad-zh-dev.json", chinese=True),
    "articles-en": lambda: articles("xquad-en-dev.json", chinese=False),
}


COLUMNS = ["recall@1", "recall@5", "recall@10", "recall@100", "nDCG@10"]


def metrics(rankings: list[list[str]], corpus: Corpus) -> list[float]:
    """Means over the queries, see COLUMNS; a document counts once, where it comes first."""
    rows = []
    for ranking, (_, right) in zip(rankings, corpus.queries, strict=True):
        ranking = list(dict.fromkeys(ranking))
        gain = sum(1 / math.log2(i + 2) for i, name in enumerate(ranking[:10]) if name in right)
        ideal = sum(1 / math.log2(i + 2) for i in range(min(10, len(right))))
        recalls = [bool(right & set(ranking[:k])) for k in (1, 5, 10)]
        rows.append([*recalls, len(right & set(ranking[:100])) / len(right), gain / ideal])
    return [statistics.fmean(column) for column in zip(*rows, strict=True)]


class Application:
    """An application over the corpus, with one base that it is served with under several settings."""

    def __init__(self, corpus: Corpus, folder: Path):
        self.folder = folder
        (folder / "knowledge/texts").mkdir(parents=True)
        config = f'[app]\nname = "bench"\n\n[defaults]\nembedding = "{EMBEDDER}"\n'
        (folder / "praxis.toml").write_text(config)
        for name, text in corpus.documents.items():
            (folder / f"knowledge/texts/{name}.txt").write_text(text)
        self.settle("default")
        praxis("ingest", "--app", folder, "--quiet")

    def settle(self, settings: str, models: str = "") -> None:
        search = f"[search]\n{SETTINGS[settings]}\n{models}"
        (self.folder / "knowledge/texts.toml").write_text(f'[source]\npaths = ["texts"]\n\n{search}')


def search(url: str, queries: list[str], **options: object) -> tuple[list[dict], float]:
    """What the server answers to each query, and the median time of an answer in milliseconds."""
    address, answers, times = f"{url}/praxis/v1/knowledge/texts/search", [], []
    for query in queries:
        start = time.perf_counter()
        answers.append(post(address, {"query": query, "limit": DEPTH, **options}))
        times.append(time.perf_counter() - start)
    return answers, statistics.median(times) * 1000


def documents(found: dict) -> list[str]:
    """Names of the documents of an answer."""
    hits = found["passages"] if "passages" in found else found["documents"]
    return [Path(hit["uri"]).stem for hit in hits]


def scope(answers: list[dict], corpus: Corpus) -> tuple[float, float]:
    """Shares of questions that pass the threshold without their article, and fail it with it."""
    accepted = refused = 0
    for found, (_, right) in zip(answers, corpus.queries, strict=True):
        articles = {corpus.groups[name] for name in right}
        passages = [(corpus.groups[Path(p["uri"]).stem], p["relevance"]) for p in found["passages"]]
        strangers = [relevance for group, relevance in passages if group not in articles]
        accepted += any(r >= found["threshold"] for r in strangers[:READ])
        refused += not any(r >= found["threshold"] for _, r in passages[:READ])
    return accepted / len(answers), refused / len(answers)


def measure(name: str, corpus: Corpus, folder: Path) -> tuple[list[tuple], tuple | None]:
    """Rows of the table of rankings, and of the table of rates."""
    queries = [query for query, _ in corpus.queries]
    texts, rates = corpus.documents, None
    rows = [("bm25s", plain_bm25(texts, queries, corpus.chinese, DEPTH), None)]
    application = Application(corpus, folder)
    for settings in SETTINGS:
        print(f"   {name}, {settings}", file=sys.stderr)
        application.settle(settings)
        with serving(folder) as url:
            search(url, queries[:3])  # loads model and indexes
            answers, ms = search(url, queries)
            rows.append((settings, [documents(a) for a in answers], ms))
            if settings != "default":
                continue
            if name not in ("cranfield", "articles-zh", "articles-en"):
                rates = (name, *scope(answers, corpus))
            answers, ms = search(url, queries, level="document")
            rows.append(("default, documents", [documents(a) for a in answers], ms))
            print(f"   {name}, peers", file=sys.stderr)
            vectors = Vectors(url)
            rows.insert(1, ("LlamaIndex", llama_index(texts, queries, vectors, DEPTH), None))
            rows.insert(2, ("LangChain", lang_chain(texts, queries, vectors, DEPTH), None))
    return [(name, label, metrics(ranking, corpus), ms) for label, ranking, ms in rows], rates


def sample(corpus: Corpus, count: int) -> None:
    """Leaves about `count` of the corpus's questions, evenly spread."""
    step = max(1, len(corpus.queries) // count)
    corpus.queries = corpus.queries[::step][:count]


def compare(name: str, corpus: Corpus, folder: Path) -> list[tuple]:
    """Rows of the table of variants."""
    application = Application(corpus, folder)
    application.settle("default", PATIENT)
    queries, rows = [query for query, _ in corpus.queries], []
    for variant, options in VARIANTS.items():
        print(f"   {name}, {variant}, {len(queries)} questions", file=sys.stderr)
        with serving(folder) as url:
            search(url, ["what is it about?"], **options)  # loads models and indexes
            answers, ms = search(url, queries, **options)
        rows.append((name, variant, metrics([documents(a) for a in answers], corpus), ms))
    return rows


def compare_all(names: list[str], questions: int) -> None:
    """Prints the table of variants, row by row: a run takes hours."""
    print("\n| corpus | search | recall@1 | recall@5 | nDCG@10 | s |\n| --- | --- | ---: | ---: | ---: | ---: |")
    for name in names:
        corpus = CORPORA[name]()
        sample(corpus, questions)
        with tempfile.TemporaryDirectory() as folder:
            rows = compare(name, corpus, Path(folder) / "app")
        for _, variant, values, ms in rows:
            cells = " | ".join(f"{value:.3f}" for value in (values[0], values[1], values[4]))
            print(f"| {name} | {variant} | {cells} | {ms / 1000:.2f} |", flush=True)


def main() -> None:
    arguments = argparse.ArgumentParser(description="Quality of retrieval.")
    arguments.add_argument("corpora", nargs="*", metavar="CORPUS")
    arguments.add_argument("--search", action="store_true", help="measure what models add to a search")
    arguments.add_argument("--questions", type=int, default=60, help="questions of a corpus with --search")
    given = arguments.parse_args()
    if strangers := set(given.corpora) - CORPORA.keys():
        arguments.error(f"unknown: {', '.join(sorted(strangers))}; there are {', '.join(CORPORA)}")
    need_data()
    if given.search:
        compare_all(given.corpora or SAMPLED, given.questions)
        return
    rows, rates = [], []
    for name in given.corpora or CORPORA:
        with tempfile.TemporaryDirectory() as folder:
            some, rate = measure(name, CORPORA[name](), Path(folder) / "app")
        rows += some
        rates += [rate] if rate else []
    print(f"\n| corpus | ranking | {' | '.join(COLUMNS)} | ms |\n| --- | --- |{' ---: |' * (len(COLUMNS) + 1)}")
    for name, ranking, values, ms in rows:
        cells = " | ".join(f"{value:.3f}" for value in values)
        print(f"| {name} | {ranking} | {cells} | {'' if ms is None else f'{ms:.1f}'} |")
    if rates:
        print("\n| corpus | false accept | false refusal |\n| --- | ---: | ---: |")
        for name, accepted, refused in rates:
            print(f"| {name} | {accepted:.3f} | {refused:.3f} |")


if __name__ == "__main__":
    main()
