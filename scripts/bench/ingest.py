#!/usr/bin/env python3
"""Ingest end to end beside LlamaIndex with the same embedder, as a table. `make bench-knowledge` runs it.

usage: ingest.py [DOCUMENTS]     (default: 600 documents)

A folder of Markdown files, from abstracts of a few hundred words to articles of a hundred kilobytes, becomes
a base that is searched: files are read, cut, embedded with all-MiniLM-L6-v2 and indexed. LlamaIndex reads the
same folder with its own reader and splitter and embeds with sentence-transformers; once as it comes, when
most of its chunks are longer than the model reads, and once cut to chunks of as many of the model's tokens as
ours, without overlap and without the file's path before each, so that both embed as much text. Tokens are
those that the model got, of each text with its two marks: of ours the chunks with their headings, and a
summary of each document of more than one chunk. They are counted after the clock was stopped. A row that
fails says so, and does not take the others along.
"""

import json
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from quality import DATA, PRAXIS, need_data, squad
from run import model_path, processor

MODEL = "all-minilm-l6-v2"
CHUNK = 128  # tokens, the default of a base
READS = 256  # tokens of a text that the model was made to read


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
        chosen = dice.choices(paragraphs, k=dice.randint(5, 120))
        sections = [f"## Part {n}\n\n{text}" for n, text in enumerate(chosen)]
        made.append(f"# Article {i}\n\n" + "\n\n".join(sections) + "\n")
    return made


def ours(folder: Path, app: Path) -> dict:
    app.mkdir()
    (app / "praxis.toml").write_text(f'[app]\nname = "ingest"\n\n[defaults]\nembedding = "{MODEL}"\n')
    (app / "knowledge").mkdir()
    (app / "knowledge/docs.toml").write_text(f'[source]\npaths = ["{folder}"]\n')
    start = time.perf_counter()
    command = [str(PRAXIS), "--app", str(app), "--json", "ingest"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    seconds = time.perf_counter() - start
    report = json.loads(done.stdout)["bases"][0]["report"]
    return {"seconds": seconds, "chunks": report["chunks"], "tokens": tokens(app), "files": report["added"]}


CHUNKS = """
SELECT d.id, d.title, d.text, c.headings, c.text
FROM chunks c JOIN documents d ON d.id = c.document
"""


def tokens(app: Path) -> int:
    """Tokens that were embedded of a base. What is embedded of a chunk is put together here as in
    crates/praxis-knowledge/src/ingest.rs; for the summary of a document stands its beginning, which is at
    least as long."""
    from tokenizers import Tokenizer

    with sqlite3.connect(next((app / ".praxis").glob("*.db"))) as store:
        found = store.execute(CHUNKS).fetchall()
    texts, whole, count = [], {}, {}
    for id, title, text, headings, chunk in found:
        path = [title, *(heading for heading in json.loads(headings) if heading != title)]
        path = [part for part in path if any(c.isalpha() for c in part)]
        texts.append(f"{' > '.join(path)}\n{chunk}" if path else chunk)
        whole[id], count[id] = text[:4000], count.get(id, 0) + 1
    texts += [text for id, text in whole.items() if count[id] > 1]
    tokenizer = Tokenizer.from_file(str(model_path(MODEL) / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(READS)
    return sum(len(encoded.ids) for encoded in tokenizer.encode_batch(texts))


PEER = """
import json, sys, time
folder, model, chunk, reads = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
from llama_index.core import SimpleDirectoryReader, VectorStoreIndex
from llama_index.core.embeddings import BaseEmbedding
from llama_index.core.node_parser import SentenceSplitter
from sentence_transformers import SentenceTransformer, models
from tokenizers import Tokenizer

word = models.Transformer(model, max_seq_length=reads)
modules = [word, models.Pooling(384, pooling_mode="mean"), models.Normalize()]
encoder = SentenceTransformer(modules=modules, device="cpu")
tokenizer = Tokenizer.from_file(model + "/tokenizer.json")
tokenizer.no_padding()
tokenizer.no_truncation()
embedded = []

class Embedding(BaseEmbedding):
    def _get_query_embedding(self, query):
        return self._get_text_embeddings([query])[0]
    async def _aget_query_embedding(self, query):
        return self._get_query_embedding(query)
    def _get_text_embedding(self, text):
        return self._get_text_embeddings([text])[0]
    def _get_text_embeddings(self, texts):
        embedded.extend(texts)
        return encoder.encode(texts, batch_size=64, show_progress_bar=False).tolist()

def pieces(text):
    return tokenizer.encode(text, add_special_tokens=False).ids

def splitter():
    if not chunk:
        return SentenceSplitter()
    return SentenceSplitter(chunk_size=chunk, chunk_overlap=0, tokenizer=pieces)

encoder.encode(["ready"])
start = time.perf_counter()
documents = SimpleDirectoryReader(folder, raise_on_error=True).load_data()
if chunk:
    for document in documents:
        document.excluded_embed_metadata_keys.append("file_path")
        document.excluded_llm_metadata_keys.append("file_path")
embedding = Embedding(embed_batch_size=256)
index = VectorStoreIndex.from_documents(documents, embed_model=embedding, transformations=[splitter()])
seconds = time.perf_counter() - start
# Its reader makes a document of each section of a file.
files = len({document.metadata["file_path"] for document in documents})
lengths = [len(encoded.ids) for encoded in tokenizer.encode_batch(embedded)]
print(json.dumps({
    "seconds": seconds, "chunks": len(index.docstore.docs), "files": files,
    "tokens": sum(min(n, reads) for n in lengths), "cut": sum(n > reads for n in lengths),
}))
"""


def peer(folder: Path, chunk: int) -> dict:
    command = [sys.executable, "-c", PEER, str(folder), str(model_path(MODEL)), str(chunk), str(READS)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def row(name: str, count: int, size: float, found: dict, first: dict | None) -> str:
    seconds = found["seconds"]
    rates = f"{count / seconds:.1f} | {size / seconds:.2f}"
    ratio = "" if first in (None, found) else f"{seconds / first['seconds']:.1f}"
    return f"| {name} | {found['chunks']} | {found['tokens']} | {seconds:.1f} | {rates} | {ratio} |"


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
        runs = {
            "Praxis": lambda: ours(folder, root / "app"),
            "LlamaIndex, as it comes": lambda: peer(folder, 0),
            f"LlamaIndex, chunks of {CHUNK} tokens": lambda: peer(folder, CHUNK),
        }
        what = f"{count} documents, {size:.1f} MB of Markdown, {MODEL}"
        print(f"\n{processor()}; {what}, start of the process included for us\n")
        print("| | chunks | tokens embedded | seconds | documents/s | MB/s | Praxis is faster by |")
        print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
        found, failed = {}, []
        for name, run in runs.items():
            try:
                found[name] = run()
                if found[name]["files"] != count:
                    failed.append(f"{name} read {found[name]['files']} of {count} documents")
                print(row(name, count, size, found[name], found.get("Praxis")), flush=True)
            except subprocess.CalledProcessError as error:
                print(f"| {name} | failed |{' |' * 5}", flush=True)
                failed.append(f"{name} ended with {error.returncode}")
    finally:
        shutil.rmtree(root)
    for name, one in found.items():
        if one.get("cut"):
            print(f"\n{name}: {one['cut']} of its {one['chunks']} chunks are longer than the {READS} tokens")
            print("that the model reads; what is beyond these was not embedded.")
    if failed:
        sys.exit("; ".join(failed))


if __name__ == "__main__":
    main()
