#!/usr/bin/env python3
"""Quality of retrieval, measured with the real binary, as Markdown tables. `make bench-retrieval` runs it.

usage: retrieval.py [CORPUS...]     (default: all of them, see CORPORA)

Each corpus becomes an application: one document per paragraph or abstract, ingested by `praxis ingest`
and searched over HTTP with the default weights, with keywords alone and with vectors alone. bm25s, a
plain BM25, ranks the same texts in the same run (Chinese: jieba words and pairs of characters; English:
Snowball stems). recall@k: whether the right paragraph is among the first k. nDCG@10 has binary gains.

"xquad-zh-en" asks the Chinese questions of the English paragraphs. False accept: the share of questions
whose passages pass the base's threshold although their article is left out; false refusal: the share
that fails it with the article in.

The data lies in ../shared/data; without it, this says so and ends.
"""

import json
import math
import re
import sys
import tempfile
from pathlib import Path

from quality import DATA, need_data, post, praxis, serving, squad

EMBEDDER = "multilingual-e5-small"
DEPTH = 50
READ = 4  # passages that a function reads, unless its front matter says otherwise
WEIGHTS = {"default": (0.5, 0.5), "keywords": (1, 0), "vectors": (0, 1)}


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


CORPORA = {
    "xquad-zh": lambda: paragraphs("xquad-zh-dev.json", chinese=True),
    "xquad-en": lambda: paragraphs("xquad-en-dev.json", chinese=False),
    "xquad-zh-en": lambda: paragraphs("xquad-en-dev.json", False, questions="xquad-zh-dev.json"),
    "cmrc": lambda: paragraphs("cmrc2018_trial.json", chinese=True),
    "cranfield": cranfield,
}


def metrics(rankings: list[list[str]], corpus: Corpus) -> dict[str, float]:
    """Means over the queries of recall@1, recall@5 (any right document) and nDCG@10."""
    r1 = r5 = ndcg = 0.0
    for ranking, (_, right) in zip(rankings, corpus.queries, strict=True):
        r1 += bool(right & set(ranking[:1]))
        r5 += bool(right & set(ranking[:5]))
        gain = sum(1 / math.log2(i + 2) for i, name in enumerate(ranking[:10]) if name in right)
        ndcg += gain / sum(1 / math.log2(i + 2) for i in range(min(10, len(right))))
    n = len(corpus.queries)
    return {"recall@1": r1 / n, "recall@5": r5 / n, "nDCG@10": ndcg / n}


def plain_bm25(corpus: Corpus) -> list[list[str]]:
    """The peer's rankings of all queries."""
    import bm25s
    import jieba
    import Stemmer

    stem = Stemmer.Stemmer("english").stemWord
    han = re.compile(r"[\u4e00-\u9fff]+")

    def tokens(text: str) -> list[str]:
        text = text.lower()
        if not corpus.chinese:
            return [stem(word) for word in re.findall(r"\w+", text)]
        words = [word for word in jieba.lcut(text) if word.strip()]
        pairs = [run[i : i + 2] for run in han.findall(text) for i in range(len(run) - 1)]
        return words + pairs

    jieba.setLogLevel(60)
    names = list(corpus.documents)
    index = bm25s.BM25()
    index.index([tokens(corpus.documents[name]) for name in names], show_progress=False)
    queries = [tokens(query) for query, _ in corpus.queries]
    hits, _ = index.retrieve(queries, k=min(DEPTH, len(names)), show_progress=False)
    return [[names[i] for i in row] for row in hits]


class Application:
    """An application over the corpus, with one base that it is served with under several weights."""

    def __init__(self, corpus: Corpus, folder: Path):
        self.folder = folder
        (folder / "knowledge/texts").mkdir(parents=True)
        config = f'[app]\nname = "bench"\n\n[defaults]\nembedding = "{EMBEDDER}"\n'
        (folder / "praxis.toml").write_text(config)
        for name, text in corpus.documents.items():
            (folder / f"knowledge/texts/{name}.txt").write_text(text)
        self.weigh("default")
        praxis("ingest", "--app", folder, "--quiet")

    def weigh(self, weights: str) -> None:
        keyword, vector = map(float, WEIGHTS[weights])
        search = f"[search]\nkeyword_weight = {keyword}\nvector_weight = {vector}\n"
        (self.folder / "knowledge/texts.toml").write_text(f'[source]\npaths = ["texts"]\n\n{search}')

    def search(self, queries: list[str], weights: str) -> list[dict]:
        """What the server answers to each query."""
        self.weigh(weights)
        with serving(self.folder) as url:
            address = f"{url}/praxis/v1/knowledge/texts/search"
            return [post(address, {"query": query, "limit": DEPTH}) for query in queries]


def documents(found: dict) -> list[str]:
    """Names of the documents of an answer, each once, by its best passage."""
    return list(dict.fromkeys(Path(p["uri"]).stem for p in found["passages"]))


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


def main() -> None:
    need_data()
    rows, rates = [], []
    for name in sys.argv[1:] or CORPORA:
        corpus = CORPORA[name]()
        rows.append((name, "bm25s", metrics(plain_bm25(corpus), corpus)))
        with tempfile.TemporaryDirectory() as folder:
            application = Application(corpus, Path(folder) / "app")
            for weights in WEIGHTS:
                print(f"   {name}, {weights}", file=sys.stderr)
                answers = application.search([query for query, _ in corpus.queries], weights)
                rows.append((name, f"praxis, {weights}", metrics([documents(a) for a in answers], corpus)))
                if weights == "default" and name != "cranfield":
                    rates.append((name, *scope(answers, corpus)))
    print("\n| corpus | ranking | recall@1 | recall@5 | nDCG@10 |\n| --- | --- | ---: | ---: | ---: |")
    for name, ranking, m in rows:
        print(f"| {name} | {ranking} | {m['recall@1']:.3f} | {m['recall@5']:.3f} | {m['nDCG@10']:.3f} |")
    if rates:
        print("\n| corpus | false accept | false refusal |\n| --- | ---: | ---: |")
        for name, accepted, refused in rates:
            print(f"| {name} | {accepted:.3f} | {refused:.3f} |")


if __name__ == "__main__":
    main()
