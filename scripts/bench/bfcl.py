#!/usr/bin/env python3
"""Function calling beside llama.cpp's server, as a Markdown table. `make bench-bfcl` runs it.

usage: bfcl.py LLAMA_SERVER [--limit N] [--categories simple,multiple,parallel,irrelevance]
               [--concurrency N] [--only praxis|llama.cpp]

The questions, the wanted calls and the check are those of the Berkeley Function Calling Leaderboard
(package bfcl-eval): "simple" offers one function, "multiple" several, "parallel" wants several calls at
once, "irrelevance" none. Both servers read the same model file and get the same requests at temperature
0 over the OpenAI API. A call is right if the leaderboard's checker says so; its arguments are valid if
Python's jsonschema takes them by the schema that was sent. What is answered is kept in target/bfcl, and
a run that was stopped goes on from there.
"""

import argparse
import copy
import importlib.util
import json
import re
import sys
import tempfile
import time
import types
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import jsonschema

from quality import ROOT, serving
from run import llama_serving, model_path, processor

MODEL = "qwen2.5-coder-1.5b-instruct"
FILES = {
    "simple": "BFCL_v4_simple_python.json",
    "multiple": "BFCL_v4_multiple.json",
    "parallel": "BFCL_v4_parallel.json",
    "irrelevance": "BFCL_v4_irrelevance.json",
}
KEPT = ROOT / "target/bfcl"
PORT = 18473
MOST_TOKENS = 1024


def package() -> Path:
    """Where bfcl-eval lies."""
    spec = importlib.util.find_spec("bfcl_eval")
    if spec is None:
        sys.exit("bfcl-eval is missing; run scripts/bench-bfcl.sh")
    return Path(spec.origin).parent


class Dotless:
    """What the checker asks of a model: that dots in names of functions are underscores to it."""

    underscore_to_dot = True


class AnyModel(dict):
    def __missing__(self, _: str) -> type:
        return Dotless


def checker():
    """The leaderboard's check of calls, without the clients of all providers that its table of models imports."""
    table = types.ModuleType("bfcl_eval.constants.model_config")
    table.MODEL_CONFIG_MAPPING = AnyModel()
    sys.modules[table.__name__] = table
    from bfcl_eval.constants.enums import Language
    from bfcl_eval.eval_checker.ast_eval.ast_checker import ast_checker

    def check(functions: list, calls: list, wanted: list, category: str) -> bool:
        return ast_checker(functions, calls, wanted, Language.PYTHON, category, "any")["valid"]

    return check


def schema(part: dict, kinds: dict) -> dict:
    """A parameter as JSON Schema has it: the leaderboard's words for types are Python's."""
    part = dict(part)
    if part.get("type") == "float":
        part["format"] = "float"
        part["description"] = part.get("description", "") + " This is a float type value."
    part["type"] = kinds.get(part.get("type"), "string")
    if "properties" in part:
        part["properties"] = {name: schema(inner, kinds) for name, inner in part["properties"].items()}
    if isinstance(part.get("items"), dict):
        part["items"] = schema(part["items"], kinds)
    return part


def tools(functions: list, kinds: dict) -> list:
    """Functions as the OpenAI API takes them."""
    made = []
    for function in copy.deepcopy(functions):
        parameters = schema(function["parameters"], kinds)
        parameters["type"] = "object"
        name = re.sub(r"\.", "_", function["name"])
        tool = {"name": name, "description": function["description"], "parameters": parameters}
        made.append({"type": "function", "function": tool})
    return made


def lines(path: Path) -> list:
    return [json.loads(line) for line in path.read_text().splitlines() if line.strip()]


def ask(url: str, entry: dict, offered: list) -> dict:
    """What a server answers to a question."""
    body = {
        "model": MODEL,
        "messages": entry["question"][0],
        "tools": offered,
        "parallel_tool_calls": True,
        "temperature": 0,
        "max_tokens": MOST_TOKENS,
    }
    request = urllib.request.Request(
        f"{url}/v1/chat/completions", json.dumps(body).encode(), {"content-type": "application/json"}
    )
    started = time.monotonic()
    try:
        with urllib.request.urlopen(request, timeout=600) as response:
            message = json.load(response)["choices"][0]["message"]
        error = None
    except urllib.error.HTTPError as failure:
        message, error = {}, f"{failure.code}: {failure.read().decode(errors='replace')[:300]}"
    calls = [call["function"] for call in message.get("tool_calls") or []]
    return {
        "id": entry["id"],
        "calls": [{"name": call["name"], "arguments": call["arguments"]} for call in calls],
        "text": message.get("content"),
        "error": error,
        "seconds": round(time.monotonic() - started, 2),
    }


@contextmanager
def praxis():
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "praxis.toml").write_text(f'[defaults]\nchat = "{MODEL}"\n')
        with serving(Path(folder)) as url:
            yield url


@contextmanager
def llama(server: str, concurrency: int):
    with llama_serving(server, model_path(MODEL), concurrency, 8192, PORT, "--jinja") as (process, url):
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{url}/health").close()
                break
            except OSError:
                if process.poll() is not None:
                    sys.exit("llama.cpp's server ended")
                time.sleep(0.2)
        yield url


def answered(name: str, category: str, entries: list, kinds: dict, url: str, concurrency: int) -> None:
    """Asks what has no answer yet, and keeps each answer as it comes."""
    KEPT.mkdir(parents=True, exist_ok=True)
    path = KEPT / f"{name}-{category}.jsonl"
    done = {answer["id"] for answer in lines(path)} if path.exists() else set()
    missing = [entry for entry in entries if entry["id"] not in done]
    with path.open("a") as file, ThreadPoolExecutor(concurrency) as pool:
        asked = (pool.submit(ask, url, entry, tools(entry["function"], kinds)) for entry in missing)
        for number, future in enumerate(list(asked), 1):
            file.write(json.dumps(future.result(), ensure_ascii=False) + "\n")
            file.flush()
            print(f"\r   {name}, {category}: {number} of {len(missing)}", end="", file=sys.stderr)
    print(file=sys.stderr)


def is_valid(call: dict, offered: dict) -> bool:
    """Whether a call is of an offered function, with arguments that fit its schema."""
    try:
        arguments = json.loads(call["arguments"])
        jsonschema.validate(arguments, offered[call["name"]])
    except (ValueError, KeyError, jsonschema.ValidationError):
        return False
    return isinstance(arguments, dict)


def judged(name: str, category: str, entries: list, wanted: dict, kinds: dict, check) -> dict:
    """How many answers are right, and how many calls have valid arguments."""
    path = KEPT / f"{name}-{category}.jsonl"
    answers = {answer["id"]: answer for answer in lines(path)} if path.exists() else {}
    found = {"asked": 0, "right": 0, "calls": 0, "valid": 0, "errors": 0, "seconds": 0.0}
    for entry in entries:
        answer = answers.get(entry["id"])
        if answer is None:
            continue
        offered = {t["function"]["name"]: t["function"]["parameters"] for t in tools(entry["function"], kinds)}
        calls = answer["calls"]
        found["asked"] += 1
        found["errors"] += answer["error"] is not None
        found["seconds"] += answer["seconds"]
        found["calls"] += len(calls)
        found["valid"] += sum(is_valid(call, offered) for call in calls)
        if category == "irrelevance":
            found["right"] += not calls and answer["error"] is None
            continue
        try:
            made = [{call["name"]: json.loads(call["arguments"])} for call in calls]
            right = bool(made) and check(entry["function"], made, wanted[entry["id"]], category)
        except (ValueError, TypeError, AttributeError, KeyError):
            right = False
        found["right"] += right
    return found


def percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "–"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("llama_server")
    parser.add_argument("--limit", type=int, default=None, help="the first questions of each category")
    parser.add_argument("--categories", default=",".join(FILES))
    parser.add_argument("--concurrency", type=int, default=4)
    parser.add_argument("--only", choices=["praxis", "llama.cpp"], default=None)
    options = parser.parse_args()
    data = package() / "data"
    check = checker()
    from bfcl_eval.constants.type_mappings import GORILLA_TO_OPENAPI as kinds

    categories = options.categories.split(",")
    for strange in set(categories) - set(FILES):
        parser.error(f"there is no category {strange}; there are: {', '.join(FILES)}")
    entries = {category: lines(data / FILES[category])[: options.limit] for category in categories}
    wanted = {}
    for category in categories:
        path = data / "possible_answer" / FILES[category]
        wanted[category] = {a["id"]: a["ground_truth"] for a in lines(path)} if path.exists() else {}
    names = [options.only] if options.only else ["praxis", "llama.cpp"]
    for name in names:
        server = praxis() if name == "praxis" else llama(options.llama_server, options.concurrency)
        with server as url:
            for category in categories:
                answered(name, category, entries[category], kinds, url, options.concurrency)
    print(f"\n{processor()}; {MODEL}, the same file for both, temperature 0\n")
    columns = " | ".join(f"{name}: right | valid arguments | errors | s each" for name in names)
    print(f"| category | questions | {columns} |")
    print("| --- | ---: |" + " ---: |" * (4 * len(names)))
    rights, asked = dict.fromkeys(names, 0), dict.fromkeys(names, 0)
    for category in categories:
        cells = []
        for name in names:
            found = judged(name, category, entries[category], wanted[category], kinds, check)
            rights[name] += found["right"]
            asked[name] += found["asked"]
            cells += [
                percent(found["right"], found["asked"]),
                f"{percent(found['valid'], found['calls'])} of {found['calls']}",
                str(found["errors"]),
                f"{found['seconds'] / found['asked']:.1f}" if found["asked"] else "–",
            ]
        print(f"| {category} | {len(entries[category])} | " + " | ".join(cells) + " |")
    whole = " | ".join(f"{percent(rights[name], asked[name])} | | | " for name in names)
    print(f"| all | {sum(map(len, entries.values()))} | {whole}|")


if __name__ == "__main__":
    main()
