#!/usr/bin/env python3
"""Ingest end to end beside LlamaIndex with the same embedder, as a Markdown table. `make bench-knowledge` runs it.

usage: ingest.py [DOCUMENTS]     (default: 600 documents)

A folder of Markdown files, from abstracts of a few hundred words to articles of a hundred kilobytes, becomes a base
that is searched: files are read, cut, embedded with all-MiniLM-L6-v2 and indexed. LlamaIndex reads the same folder
with its own reader and splitter and embeds with sentence-transformers; once as it comes, and once cut to chunks of
as many tokens as ours, so that both embed as much text.
"""

import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from quality import DATA, PRAXIS, need_data, squad
from run import model_path, processor

MODEL = "all-minilm-l6-v2"
CHUNK = 128  # tokens, the default of a base


def texts(count: int) -> list[str]:
    """Documents of mixed length: abstracts, and articles that are put together of paragraphs."""
    dice = random.Random(5)
    lines = (DATA / "cranfield-docs.jsonl").read_text(encoding="utf-8").splitlines()
    abstracts = [json.loads(line)["text"] for line in lines]
    paragraphs = [p["context"] for article in squad("xquad-en-dev.json") for p in article]
    made = []
    for i in range(count):
        if i % 10:
            made.append(f"# Abstract {i}\n\n{abstracts[i % len(abstracts)]}\n")
            continue
        sections = [f"## Part {n}\n\n{text}" for n, text in enumerate(dice.choices(paragraphs, k=dice.randint(5, 120)))]
        made.append(f"# Article {i}\n\n" + "\n\n".join(sections) + "\n")
    return made


def ours(folder: Path, app: Path) -> tuple[float, int]:
    app.mkdir()
    (app / "praxis.toml").write_text(f'[app]\nname = "ingest"\n\n[defaults]\nembedding = "{MODEL}"\n')
    (app / "knowledge").mkdir()
    (app / "knowledge/docs.toml").write_text(f'[source]\npaths = ["{folder}"]\n')
    start = time.perf_counter()
    command = [str(PRAXIS), "--app", str(app), "--json", "ingest"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds = time.perf_counter() - start
    return seconds, json.loads(done.stdout)["bases"][0]["report"]["chunks"]


PEER = """
import json, sys, time
folder, model, chunk = sys.argv[1], sys.argv[2], int(sys.argv[3])
from llama_index.core import SimpleDirectoryReader, VectorStoreIndex
from llama_index.core.embeddings import BaseEmbedding
from llama_index.core.node_parser import SentenceSplitter
from sentence_transformers import SentenceTransformer, models

word = models.Transformer(model, max_seq_length=256)
encoder = SentenceTransformer(modules=[word, models.Pooling(384, pooling_mode="mean"), models.Normalize()], device="cpu")

class Embedding(BaseEmbedding):
    def _get_query_embedding(self, query):
        return self._get_text_embeddings([query])[0]
    async def _aget_query_embedding(self, query):
        return self._get_query_embedding(query)
    def _get_text_embedding(self, text):
        return self._get_text_embeddings([text])[0]
    def _get_text_embeddings(self, texts):
        return encoder.encode(texts, batch_size=64, show_progress_bar=False).tolist()

encoder.encode(["ready"])
start = time.perf_counter()
documents = SimpleDirectoryReader(folder).load_data()
splitter = SentenceSplitter(chunk_size=chunk, chunk_overlap=20) if chunk else SentenceSplitter()
index = VectorStoreIndex.from_documents(documents, embed_model=Embedding(embed_batch_size=256), transformations=[splitter])
print(json.dumps({"seconds": time.perf_counter() - start, "chunks": len(index.docstore.docs)}))
"""


def peer(folder: Path, chunk: int) -> tuple[float, int]:
    command = [sys.executable, "-c", PEER, str(folder), str(model_path(MODEL)), str(chunk)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    result = json.loads(done.stdout.splitlines()[-1])
    return result["seconds"], result["chunks"]


def main() -> None:
    need_data()
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 600
    root = Path(tempfile.mkdtemp(prefix="praxis-ingest-"))
    try:
        folder = root / "documents"
        folder.mkdir()
        documents = texts(count)
        for i, text in enumerate(documents):
            (folder / f"{i:05}.md").write_text(text, encoding="utf-8")
        size = sum(len(text.encode()) for text in documents) / 1e6
        rows = [
            ("Praxis", *ours(folder, root / "app")),
            ("LlamaIndex, as it comes", *peer(folder, 0)),
            (f"LlamaIndex, chunks of {CHUNK} tokens", *peer(folder, CHUNK)),
        ]
    finally:
        shutil.rmtree(root)
    print(f"\n{processor()}; {count} documents, {size:.1f} MB of Markdown, {MODEL}, start of the process included for us\n")
    print("| | chunks | seconds | documents/s | MB/s | Praxis is faster by |\n| --- | ---: | ---: | ---: | ---: | ---: |")
    for name, seconds, chunks in rows:
        ratio = seconds / rows[0][1]
        print(
            f"| {name} | {chunks} | {seconds:.1f} | {count / seconds:.1f} | {size / seconds:.2f} | "
            f"{'' if name == 'Praxis' else f'{ratio:.1f}'} |"
        )


if __name__ == "__main__":
    main()
