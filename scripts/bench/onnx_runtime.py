"""Embedding speed of onnxruntime, the counterpart of `bench_embed`.

usage: onnx_runtime.py FOLDER TEXTS [ROUNDS [MAX_TOKENS [int8]]]

FOLDER holds a BERT encoder: `model.safetensors`, `tokenizer.json` and `config.json`. It is exported
with PyTorch to a file beside the others' build results, and with `int8` quantized by onnxruntime's own
dynamic quantization. TEXTS is a JSON array of strings. Texts are sorted by length, tokenized by the
library `tokenizers` and computed 32 a batch: the peer at its best. Prints one JSON line for the best
round.
"""

import json
import os
import pathlib
import sys
import time

# A script's own folder comes first in the module path, where a file is named after a package.
HERE = pathlib.Path(__file__).resolve().parent
sys.path = [entry for entry in sys.path if pathlib.Path(entry).resolve() != HERE]

import numpy as np
import onnx
import onnxruntime
from tokenizers import Tokenizer

EXPORTED = HERE.parents[1] / "target/peers/onnx"
BATCH = 32
INPUTS = ["input_ids", "attention_mask", "token_type_ids"]


def export(folder: pathlib.Path, target: pathlib.Path) -> None:
    import torch
    from transformers import AutoModel

    class Tokens(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = AutoModel.from_pretrained(folder, attn_implementation="eager").eval()

        def forward(self, input_ids, attention_mask, token_type_ids):
            return self.model(
                input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids
            ).last_hidden_state

    target.parent.mkdir(parents=True, exist_ok=True)
    example = tuple(torch.ones((2, 16), dtype=torch.int64) for _ in INPUTS)
    shape = {0: "batch", 1: "tokens"}
    part = target.with_suffix(".part.onnx")
    # Of both exporters' graphs onnxruntime can fuse the attention of this one's only.
    torch.onnx.export(
        Tokens(), example, part, input_names=INPUTS, output_names=["rows"], dynamo=False,
        dynamic_axes=dict.fromkeys([*INPUTS, "rows"], shape), opset_version=17,
    )
    # What onnxruntime itself advises for transformers: fused attention, GELU and layer norms.
    from onnxruntime.transformers import optimizer

    config = json.loads((folder / "config.json").read_text())
    fused = optimizer.optimize_model(
        str(part), "bert", num_heads=config["num_attention_heads"], hidden_size=config["hidden_size"]
    )
    if fused.get_fused_operator_statistics()["Attention"] != config["num_hidden_layers"]:
        sys.exit("onnxruntime did not fuse the model's attention")
    fused.save_model_to_file(str(part))
    part.rename(target)


def session(folder: pathlib.Path, int8: bool) -> onnxruntime.InferenceSession:
    path = EXPORTED / f"{folder.name}.onnx"
    if not path.exists():
        export(folder, path)
    if int8:
        from onnxruntime.quantization import QuantType, quantize_dynamic

        quantized = EXPORTED / f"{folder.name}.int8.onnx"
        if not quantized.exists():
            # Fused operators are unknown to the shape inference, and all that is not a weight is a float.
            types = {"DefaultTensorType": onnx.TensorProto.FLOAT}
            quantize_dynamic(path, quantized, weight_type=QuantType.QInt8, extra_options=types)
        path = quantized
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = len(os.sched_getaffinity(0))
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def embed(model, tokenizer, texts: list[str]) -> tuple[np.ndarray, int]:
    # As sentence-transformers does: the longest first, so that batches are of nearly one length.
    order = sorted(range(len(texts)), key=lambda at: -len(texts[at]))
    vectors, tokens = [None] * len(texts), 0
    for start in range(0, len(order), BATCH):
        batch = order[start : start + BATCH]
        encoded = tokenizer.encode_batch([texts[at] for at in batch])
        mask = np.array([one.attention_mask for one in encoded], dtype=np.int64)
        ids = np.array([one.ids for one in encoded], dtype=np.int64)
        rows = model.run(None, dict(zip(INPUTS, [ids, mask, np.zeros_like(ids)])))[0]
        summed = np.einsum("btd,bt->bd", rows, mask.astype(np.float32))
        summed /= np.linalg.norm(summed, axis=1, keepdims=True)
        for at, vector in zip(batch, summed):
            vectors[at] = vector
        tokens += int(mask.sum())
    return np.array(vectors), tokens


def main() -> None:
    folder, texts = pathlib.Path(sys.argv[1]), json.load(open(sys.argv[2], encoding="utf-8"))
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 3
    limit = int(sys.argv[4]) if len(sys.argv) > 4 else 256
    int8 = "int8" in sys.argv[5:]
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(limit)
    tokenizer.enable_padding()
    model = session(folder, int8)
    embed(model, tokenizer, texts[:BATCH])
    best = float("inf")
    for _ in range(rounds):
        start = time.perf_counter()
        _, tokens = embed(model, tokenizer, texts)
        best = min(best, time.perf_counter() - start)
    line = {
        "engine": "onnxruntime int8" if int8 else "onnxruntime",
        "model": folder.name,
        "texts": len(texts),
        "tokens": tokens,
        "seconds": best,
        "per_s": len(texts) / best,
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
