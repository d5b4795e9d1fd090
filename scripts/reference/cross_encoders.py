#!/usr/bin/env python3
"""Writes tiny cross-encoders of random weights with the scores that transformers computes for them, as
fixtures for the tests of praxis-engine.

usage: cross_encoders.py FOLDER

Each becomes a folder like those of the hub (`config.json`, `tokenizer.json`, `model.safetensors`) with
`scores.json` beside: pairs, their token ids and types, the logits, and the scores as sentence-transformers'
`CrossEncoder` gives them. Needs torch, transformers and safetensors.
"""

import json
import sys
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    PreTrainedTokenizerFast,
    XLMRobertaConfig,
    XLMRobertaForSequenceClassification,
)

WORDS = "the a cat dog sat ran on mat in park who what where when ? . tea is hot cold and very".split()
LONG = "the very hot tea is in the park and the cold dog sat on the mat " * 3
PAIRS = [
    ("who sat on the mat ?", "the cat sat on the mat ."),
    ("who sat on the mat ?", "tea is hot"),
    ("tea", ""),
    ("where is the dog", LONG),
    (LONG, "a dog ran"),
    (LONG, LONG),
    ("what unknown words", "zebra"),
]
LIMIT = 48
SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "num_labels": 1,
    # Untrained weights are so small that scores would hardly differ.
    "initializer_range": 0.3,
}


def tokenizer(specials: list[str], template: tuple[str, str], unknown: str) -> Tokenizer:
    vocabulary = {token: at for at, token in enumerate([*specials, *WORDS])}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token=unknown))
    made.normalizer = normalizers.Lowercase()
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    single, pair = template
    named = [(token, vocabulary[token]) for token in specials]
    made.post_processor = processors.TemplateProcessing(single=single, pair=pair, special_tokens=named)
    return made


def kinds():
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    made = tokenizer(specials, ("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1"), "[UNK]")
    config = BertConfig(vocab_size=made.get_vocab_size(), max_position_embeddings=LIMIT, **SIZES)
    yield "tiny-bert-reranker", made, BertForSequenceClassification(config)
    specials = ["<s>", "<pad>", "</s>", "<unk>"]
    made = tokenizer(specials, ("<s> $A </s>", "<s> $A </s> </s> $B </s>"), "<unk>")
    config = XLMRobertaConfig(
        vocab_size=made.get_vocab_size(), max_position_embeddings=LIMIT + 2, type_vocab_size=1,
        pad_token_id=1, **SIZES,
    )
    yield "tiny-xlmr-reranker", made, XLMRobertaForSequenceClassification(config)


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    torch.manual_seed(5)
    for name, made, model in kinds():
        for parameter in model.parameters():
            # Biases and norms begin as constants, which would hide that they are not read.
            if parameter.dim() == 1:
                torch.nn.init.normal_(parameter, mean=float(parameter.mean()), std=0.2)
        model = model.eval()
        folder = Path(sys.argv[1]) / name
        model.half().save_pretrained(folder)
        model = model.float()
        made.save(str(folder / "tokenizer.json"))
        fast = PreTrainedTokenizerFast(tokenizer_object=made)
        cases = []
        for query, passage in PAIRS:
            inputs = fast(
                [query], [passage], truncation="longest_first", max_length=LIMIT,
                return_token_type_ids=True, return_tensors="pt",
            )
            ids, types = inputs["input_ids"], inputs["token_type_ids"]
            with torch.no_grad():
                logit = model(input_ids=ids, token_type_ids=types).logits[0, 0]
            cases.append({
                "query": query, "passage": passage, "ids": ids[0].tolist(), "types": types[0].tolist(),
                "logit": round(float(logit), 6), "score": round(float(torch.sigmoid(logit)), 7),
            })
        lines = ",\n".join(json.dumps(case) for case in cases)
        (folder / "scores.json").write_text(f"[\n{lines}\n]\n")
        (folder / "model.safetensors").chmod(0o644)
        for other in folder.iterdir():
            if other.name not in ("config.json", "tokenizer.json", "model.safetensors", "scores.json"):
                other.unlink()
        print(name, [case["score"] for case in cases])


if __name__ == "__main__":
    main()
