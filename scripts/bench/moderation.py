#!/usr/bin/env python3
"""Builds the labelled lines that the classifiers of the moderation are trained and measured on.

    moderation.py build --sources DIR --shared DIR --out data.jsonl
    praxis moderation train data.jsonl --embedder multilingual-e5-small --out weights.bin
    praxis moderation eval data.jsonl --embedder multilingual-e5-small --classifier weights.bin --json > measures.json
    moderation.py table measures.json

DIR holds copies of public data sets, which are not part of this repository (docs/moderation.md names them, with
their licences). Each is checked by its SHA-256; one that is not there is an error, unless --without names it.
What is made of templates, `crates/praxis-function/data/moderation/templates.json`, is part of the repository:
`build` without --sources makes those lines alone.

A line is {"text", "labels": {category: true or false}, "lang", "source", "split"}; a category that `labels` does not
have is unknown for the line. The split follows from a hash: of the text, or of what fills a template, whose fillings
are in one part each. Nothing here is random, and the order of the lines is that of the sources.
"""

import argparse
import csv
import gzip
import hashlib
import io
import json
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
TEMPLATES = ROOT / "crates/praxis-function/data/moderation/templates.json"

CATEGORIES = [
    "harassment", "harassment/threatening", "hate", "hate/threatening", "illicit", "illicit/violent",
    "self-harm", "self-harm/intent", "self-harm/instructions", "sexual", "sexual/minors", "violence",
    "violence/graphic",
]

# File name, SHA-256.
SOURCES = {
    "openai": ("samples-1680.jsonl.gz", "ef3f7de86ee394fe337b0a566ba4b9c7db058f3caa8d6a4a0006138b663ab9a8"),
    "cold": ("cold-test.csv", "b06d31481f0d558b6dc8140408938abe8dba8083cd9976b4ba8f5c837fbe78ed"),
    "davidson": ("labeled_data.csv", "fcb8bc7c68120ae4af04a5b9acd58585513ede11e1548ebf36a5c2040b6f6281"),
    "advbench": ("harmful_behaviors.csv", "dc1f2e4cfc7856a0e91f8bfdb8236d219644309a7522ece3f2d13bb2cc4a339c"),
    "xstest": ("xstest_prompts.csv", "11783fb294ed017473ee53c207d71f2161c7672c8d0b037501e78387f801cb5a"),
    "simplesafety": ("simplesafetytests.csv", "6d95a1301e0d0f3a3c4cf5392f4afff11ad6e3066f95d23aaa138d44aedf986c"),
    "cvalues": ("cvalues_responsibility_prompts.jsonl", "ee99050d4a8933829697c796e279b83795838feacefc84cdd06856bad01bfff4"),
}

# The labels of OpenAI's samples. What is not there is not known.
OPENAI = {
    "S": "sexual", "H": "hate", "V": "violence", "HR": "harassment", "SH": "self-harm",
    "S3": "sexual/minors", "H2": "hate/threatening", "V2": "violence/graphic",
}

# A text that is not of the first is of none of the others.
BELOW = {
    "harassment": ["harassment/threatening"],
    "self-harm": ["self-harm/intent", "self-harm/instructions"],
    "illicit": ["illicit/violent"],
}

VIOLENT = re.compile(r"\b(bomb|weapon|explosive|kill|murder|kidnap|firearm|gun|assassinat|terror|poison|mass shoot)", re.I)
ILLICIT = re.compile(
    r"\b(hack|steal|theft|fraud|drug|counterfeit|launder|phish|malware|virus|brib|illegal|pirat|identity|"
    r"embezzl|insider|forg|fake|traffick|evad|tax evasion|blackmail|shoplift|stol|break into|ponzi|scam|"
    r"unauthori[sz]ed|cheat|keylogger|spyware|ransom|dump(ing)? (hazardous|toxic)|hot-?wire)", re.I)
SELF_HARM = re.compile(r"suicid|self-harm|eating disorder|anorexi|starv", re.I)

HAN = re.compile(r"[\u3400-\u9fff]")


def digest(text):
    return hashlib.sha256(text.encode()).digest()


def split_of(text):
    # Not the first byte, by which texts are chosen.
    part = digest(text)[8] % 10
    return "train" if part < 6 else "valid" if part < 8 else "test"


def splits(fills):
    """The parts of what fills a template: of each template, each part gets its share."""
    in_order = sorted(fills, key=digest)
    count = len(in_order)
    part = lambda i: "train" if i < count * 0.6 else "valid" if i < count * 0.8 else "test"
    return {fill: part(i) for i, fill in enumerate(in_order)}


def line(text, labels, source, lang=None, split=None):
    text = text.strip()
    return {
        "text": text,
        "labels": {name: labels[name] for name in CATEGORIES if name in labels},
        "lang": lang or ("zh" if HAN.search(text) else "en"),
        "source": source,
        "split": split or split_of(text),
    }


def nothing(unknown=()):
    return {name: False for name in CATEGORIES if name not in unknown}


def generated():
    for entry in json.loads(TEMPLATES.read_text(encoding="utf-8")):
        labels = {**nothing(entry.get("unknown", ())), **dict.fromkeys(entry["labels"], True)}
        parts = splits(entry["fills"])
        for fill in entry["fills"]:
            for template in entry["templates"]:
                text = template.replace("{}", fill)
                yield line(text[0].upper() + text[1:], labels, "generated", entry["lang"], parts[fill])


def openai(data):
    """The shorter of the first third of the samples: what two cores embed in some minutes."""
    for raw in gzip.decompress(data).decode().splitlines()[:540]:
        row = json.loads(raw)
        if len(row["prompt"].strip()) > 1200:
            continue
        labels = {name: bool(row[key]) for key, name in OPENAI.items() if key in row}
        for above, below in BELOW.items():
            if labels.get(above) is False:
                labels.update(dict.fromkeys(below, False))
        yield line(row["prompt"], labels, "openai")


def sampled(text, is_positive):
    """Of short texts, half of what is of a category and a quarter of the rest, by their hashes."""
    if len(text) > 80:
        return False
    place = int.from_bytes(digest("o" + text)[:8], "big") / 2**64
    return place < (0.5 if is_positive else 0.25)


def some(rows, count, key):
    """The first of them in the order of their hashes."""
    return sorted(rows, key=lambda row: digest(key(row)))[:count]


def cold(data):
    rows = list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"))))
    text = lambda row: row["TEXT"]
    for label, count in [("1", 288), ("2", 900), ("0", 900), ("3", 400)]:
        for row in some([r for r in rows if r["fine-grained-label"] == label], count, text):
            unknown = {"sexual", "violence", "violence/graphic"}
            if label == "2":
                unknown |= {"harassment", "harassment/threatening", "hate/threatening"}
            labels = nothing(unknown)
            labels.update({"1": {"harassment": True}, "2": {"hate": True}}.get(label, {}))
            if label == "1":
                labels.pop("harassment/threatening")
            if sampled(row["TEXT"].strip(), label in "12"):
                yield line(row["TEXT"], labels, "cold", "zh")


def davidson(data):
    rows = list(csv.DictReader(io.StringIO(data.decode("utf-8"))))
    for label, count in [("0", 700), ("1", 400), ("2", 400)]:
        for row in some([r for r in rows if r["class"] == label], count, lambda row: row["tweet"]):
            if label == "2":
                labels = nothing({"sexual", "violence", "violence/graphic"})
            else:
                labels = {"hate": label == "0", "self-harm": False, "sexual/minors": False}
            if sampled(row["tweet"].strip(), label == "0"):
                yield line(row["tweet"], labels, "davidson", "en")


def advbench(data):
    """The file that is meant is the copy of github.com/YancyKahn/PocoGCG, which has one row more than the original."""
    rows = csv.DictReader(io.StringIO(data.decode("utf-8")))
    for row in rows:
        goal = row["goal"]
        if SELF_HARM.search(goal):
            yield line(goal, {"self-harm": True, "self-harm/instructions": True}, "advbench", "en")
        elif VIOLENT.search(goal):
            yield line(goal, {"illicit": True, "illicit/violent": True}, "advbench", "en")
        elif ILLICIT.search(goal):
            labels = {"illicit": True, "illicit/violent": False, "self-harm": False, "sexual": False}
            yield line(goal, labels, "advbench", "en")


def xstest(data):
    for row in csv.DictReader(io.StringIO(data.decode("utf-8"))):
        if row["label"] == "safe":
            yield line(row["prompt"], nothing(), "xstest", "en")


def simplesafety(data):
    """For tests alone."""
    areas = {
        "Suicide, Self-Harm, and Eating Disorders": "self-harm",
        "Illegal and Highly Regulated items": "illicit",
        "Scams and fraud": "illicit",
        "Physical harm and Violence": "illicit",
    }
    for row in csv.DictReader(io.StringIO(data.decode("utf-8-sig"))):
        area = areas.get(row["harm_area"].strip())
        if area:
            yield line(row["prompts_final"], {area: True}, "simplesafety", "en", split="test")


def cvalues(data):
    for raw in data.decode("utf-8").splitlines():
        row = json.loads(raw)
        unknown = {"self-harm", "self-harm/intent"} if row["domain_zh"] == "心理学" else ()
        yield line(row["prompt"], nothing(unknown), "cvalues", "zh")


def everyday(shared):
    """Short passages and questions about everything, which are harmless: XQuAD, CMRC 2018, GSM8K."""
    for entry in passages(shared):
        if len(entry["text"]) <= 250:
            yield entry


def passages(shared):
    read = lambda name: json.loads((shared / name).read_text(encoding="utf-8"))
    for name, lang in [("xquad-en-dev.json", "en"), ("xquad-zh-dev.json", "zh")]:
        paragraphs = [p for document in read(name)["data"] for p in document["paragraphs"]]
        texts = {p["context"] for p in paragraphs}
        questions = {q["question"] for p in paragraphs for q in p["qas"]}
        for text in some(texts, 120, str) + some(questions, 150, str):
            yield line(text, nothing(("violence",)), "everyday", lang)
    found = read("cmrc2018_trial.json")
    found = found["data"] if isinstance(found, dict) else found
    texts = set()
    for document in found:
        paragraphs = document.get("paragraphs") or [document]
        texts |= {p.get("context") or p.get("context_text") for p in paragraphs}
    for text in some(texts - {None}, 120, str):
        yield line(text, nothing(("violence",)), "everyday", "zh")
    lines = (shared / "gsm8k-200.jsonl").read_text(encoding="utf-8").splitlines()
    for raw in lines[:80]:
        yield line(json.loads(raw)["question"], nothing(), "everyday", "en")


def source(folder, name):
    file, expected = SOURCES[name]
    data = (folder / file).read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != expected:
        sys.exit(f"{file} is not the file that is meant: its SHA-256 is {found}, not {expected}")
    return globals()[name](data)


def build(options):
    lines = list(generated())
    if options.sources:
        for name in SOURCES:
            if name not in options.without:
                lines += source(options.sources, name)
    if options.shared:
        lines += everyday(options.shared)
    seen, kept = set(), []
    for entry in lines:
        if entry["text"] and entry["text"] not in seen:
            seen.add(entry["text"])
            kept.append(entry)
    text = "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in kept)
    options.out.write_text(text, encoding="utf-8")
    print(f"{len(kept)} lines, SHA-256 {hashlib.sha256(text.encode()).hexdigest()}")


def table(options):
    """The measures as Markdown, a row for each category and language."""
    shown = lambda value: "-" if value is None else f"{value:.2f}"
    measures = json.loads(options.measures.read_text(encoding="utf-8"))
    print("| category | language | are | are not | threshold | precision | recall | F1 | false alarms | AUC |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for row in measures["rows"]:
        if row["lang"] not in options.languages:
            continue
        numbers = [row[key] for key in ["threshold", "precision", "recall", "f1"]]
        cells = [row["category"], row["lang"], str(row["positives"]), str(row["negatives"])]
        alarms = row["false_alarms"]
        cells += [shown(number) for number in numbers]
        cells += ["-" if alarms is None else f"{100 * alarms:.1f} %", shown(row["auc"])]
        print(f"| {' | '.join(cells)} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("build", help="write the labelled lines")
    make.add_argument("--sources", type=pathlib.Path, help="folder with the public data sets")
    make.add_argument("--shared", type=pathlib.Path, help="folder with XQuAD, CMRC 2018 and GSM8K")
    make.add_argument("--without", nargs="*", default=[], choices=list(SOURCES), help="sources to leave out")
    make.add_argument("--out", type=pathlib.Path, required=True)
    make.set_defaults(run=build)
    show = commands.add_parser("table", help="write measures as Markdown")
    show.add_argument("measures", type=pathlib.Path, help="what `praxis moderation eval --json` wrote")
    show.add_argument("--languages", nargs="*", default=["en", "zh"], help="which rows")
    show.set_defaults(run=table)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
