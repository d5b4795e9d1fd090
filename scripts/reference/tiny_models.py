#!/usr/bin/env python3
"""Writes a tiny model of random weights for each architecture, a LoRA adapter for it, and the logits
that llama.cpp computes without and with the adapter, as fixtures for the tests of praxis-engine.

usage: tiny_models.py FOLDER

Needs llama-cpp-python, and gguf from the sources of llama.cpp (gguf-py).
"""

import json
import sys
from pathlib import Path

import gguf
import numpy as np
from llama_cpp import Llama

VOCABULARY, HIDDEN, FEED_FORWARD, LAYERS, HEADS, KV_HEADS = 64, 32, 48, 5, 4, 2
RANK, ALPHA = 2, 3.0
TOKENS = [int(t) for t in np.random.default_rng(1).integers(0, VOCABULARY, 40)]
# Head size, and what a layer has beside the tensors of all.
ARCHITECTURES = {
    "llama": (8, {}),
    "qwen2": (8, {"attn_q.bias": 32, "attn_k.bias": 16, "attn_v.bias": 16}),
    "qwen3": (16, {"attn_q_norm.weight": 16, "attn_k_norm.weight": 16}),
    "smollm3": (8, {}),
}


def write(architecture: str, path: Path) -> None:
    head, extra = ARCHITECTURES[architecture]
    dice = np.random.default_rng(7)
    writer = gguf.GGUFWriter(str(path), architecture)
    writer.add_vocab_size(VOCABULARY)
    writer.add_context_length(128)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_key_length(head)
    writer.add_value_length(head)
    writer.add_rope_dimension_count(head)
    writer.add_rope_freq_base(10000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model("no_vocab")

    def matrix(name, rows, columns):
        values = dice.normal(0, 1 / np.sqrt(columns), (rows, columns)).astype(np.float16)
        writer.add_tensor(name, values)

    def vector(name, size, middle):
        writer.add_tensor(name, dice.normal(middle, 0.3, size).astype(np.float32))

    matrix("token_embd.weight", VOCABULARY, HIDDEN)
    for layer in range(LAYERS):
        block = f"blk.{layer}."
        vector(block + "attn_norm.weight", HIDDEN, 1)
        matrix(block + "attn_q.weight", HEADS * head, HIDDEN)
        matrix(block + "attn_k.weight", KV_HEADS * head, HIDDEN)
        matrix(block + "attn_v.weight", KV_HEADS * head, HIDDEN)
        matrix(block + "attn_output.weight", HIDDEN, HEADS * head)
        for name, size in extra.items():
            vector(block + name, size, 1 if "norm" in name else 0)
        vector(block + "ffn_norm.weight", HIDDEN, 1)
        matrix(block + "ffn_gate.weight", FEED_FORWARD, HIDDEN)
        matrix(block + "ffn_up.weight", FEED_FORWARD, HIDDEN)
        matrix(block + "ffn_down.weight", HIDDEN, FEED_FORWARD)
    vector("output_norm.weight", HIDDEN, 1)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_adapter(architecture: str, path: Path) -> None:
    """Rank 2 for all projections but the keys' of odd layers."""
    head, _ = ARCHITECTURES[architecture]
    dice = np.random.default_rng(8)
    writer = gguf.GGUFWriter(str(path), architecture)
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, ALPHA)
    shapes = {
        "attn_q": (HEADS * head, HIDDEN),
        "attn_k": (KV_HEADS * head, HIDDEN),
        "attn_v": (KV_HEADS * head, HIDDEN),
        "attn_output": (HIDDEN, HEADS * head),
        "ffn_gate": (FEED_FORWARD, HIDDEN),
        "ffn_up": (FEED_FORWARD, HIDDEN),
        "ffn_down": (HIDDEN, FEED_FORWARD),
    }
    for layer in range(LAYERS):
        for target, (rows, columns) in shapes.items():
            if target == "attn_k" and layer % 2:
                continue
            name = f"blk.{layer}.{target}.weight"
            a = dice.normal(0, 1 / np.sqrt(columns), (RANK, columns))
            b = dice.normal(0, 0.3, (rows, RANK))
            writer.add_tensor(name + ".lora_a", a.astype(np.float16))
            writer.add_tensor(name + ".lora_b", b.astype(np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def logits(path: Path, positions: list[int], **options) -> list[list[float]]:
    llama = Llama(
        str(path), n_ctx=128, logits_all=True, verbose=False, type_k=0, type_v=0, flash_attn=False, **options
    )
    llama.eval(TOKENS)
    return [[round(float(x), 5) for x in row] for row in llama.scores[positions]]


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = Path(sys.argv[1])
    for architecture in ARCHITECTURES:
        path = folder / f"tiny-{architecture}.gguf"
        write(architecture, path)
        adapter = folder / f"tiny-{architecture}-lora.gguf"
        write_adapter(architecture, adapter)
        positions = [5, len(TOKENS) - 1]
        fixture = {"tokens": TOKENS, "positions": positions, "logits": logits(path, positions)}
        fixture["adapted_logits"] = logits(path, positions, lora_path=str(adapter))
        (folder / f"tiny-{architecture}.json").write_text(json.dumps(fixture) + "\n")


if __name__ == "__main__":
    main()
