#!/usr/bin/env python3
"""Trains a small SentencePiece vocabulary (BPE, byte fallback, as Llama's) on this project's own documents,
and writes it with what SentencePiece makes of some texts, as a fixture for the tests of praxis-engine.

usage: sentence_piece.py OUT.json

Needs sentencepiece.
"""

import io
import json
import sys
from pathlib import Path

import sentencepiece

DOCUMENTS = ["README.md", "docs/functions.md", "docs/knowledge.md"]
TEXTS = [
    "Hello, world!",
    "the function of a model",
    "  two spaces  inside  and behind  ",
    " one before",
    "\n\nlines\n and\ttabs\r\n",
    "Der größte Teil der Straße",
    "藤野先生是鲁迅先生去日本学习医学的老师。",
    "😀 emoji 👩‍👩‍👧 joined",
    "naïve café, e\u0301 decomposed",
    "1234567890 and 3.14159",
    "a",
    " ",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "[INST] What is the capital of France? [/INST]",
    "praxis.knowledge: docs",
    "knowledge base knowledge",
    "fn main() { println!(\"{}\", 1 + 1); }",
    "The the THE tHe",
    "question questions questioning",
    "\u0000 control \u200b zero width",
    "▁ already ▁▁ escaped",
    "antidisestablishmentarianism",
    "x=/usr/bin:/bin",
    "words of the documents that the model answers from, with citations",
]


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    root = Path(__file__).resolve().parents[2]
    lines = [line for name in DOCUMENTS for line in (root / name).read_text().splitlines() if line.strip()]
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=model,
        model_type="bpe",
        vocab_size=900,
        byte_fallback=True,
        split_digits=True,
        allow_whitespace_only_pieces=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        character_coverage=0.999,
        minloglevel=2,
    )
    pieces = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    ids = range(pieces.vocab_size())

    def kind(token: int) -> int:
        """As `llama_token_type` numbers them."""
        if pieces.is_unknown(token):
            return 2
        if pieces.is_control(token):
            return 3
        return 6 if pieces.is_byte(token) else 1

    fixture = {
        "tokens": [pieces.id_to_piece(token) for token in ids],
        "scores": [pieces.get_score(token) for token in ids],
        "kinds": [kind(token) for token in ids],
        "texts": [(text, pieces.encode(text)) for text in TEXTS],
    }
    Path(sys.argv[1]).write_text(json.dumps(fixture, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
