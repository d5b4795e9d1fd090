"""Execution accuracy of a small model on the questions, step by step, as Markdown tables; `make bench-text2sql` runs it.

    bench.py [--dialects sqlite,postgres,mysql] [--variants plain,link,...] [--split test] [--limit N]
             [--model NAME] [--concurrency N] [--hostile] [--out FILE]

    plain    the CREATE TABLE statements and the question, as one would paste them into a chat; no checks, one answer
    link     the function NAME/ask: the tables that the question is about, with comments
    shots    + the four most similar of the examples, which are no questions of the benchmark
    repair   + two tries to mend a query by what the check or the database says
    vote     + three samples, each put in another way, and a vote over their result sets
    held     + the model is held to a grammar of queries over these tables
    five     as vote, with five samples: the fourth and fifth put the question in the first two ways again, at a
             temperature

The tables say of each variant how many points it is above `plain`, over the questions that both were asked.

Each result is a line of FILE (default target/text2sql/results.jsonl) as soon as it is there, and what is in it is not
asked again, so that a run goes on where it was stopped. A query is right where its rows are those of the question's own
query on the same database: as multisets, in order only where the question sorts, with columns in any order.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path.insert(0, str(HERE))

from compare import contains, same  # noqa: E402
from questions import questions  # noqa: E402
from schemas import DIALECTS, databases  # noqa: E402
from servers import MariaDb, Postgres, free_port, start  # noqa: E402

RELEASE = ROOT / "target/release/praxis"
STATE = ROOT / "target/text2sql"
NAMES = {"sqlite": "SQLite", "postgres": "PostgreSQL", "mysql": "MySQL"}

VARIANTS = {
    "plain": None,
    "link": {"samples": 1, "repairs": 0, "shots": 0, "constrain": False},
    "shots": {"samples": 1, "repairs": 0, "shots": 4, "constrain": False},
    "repair": {"samples": 1, "repairs": 2, "shots": 4, "constrain": False},
    "vote": {"samples": 3, "repairs": 2, "shots": 4, "constrain": False},
    "held": {"samples": 3, "repairs": 2, "shots": 4, "constrain": True},
    "five": {"samples": 5, "repairs": 2, "shots": 4, "constrain": False},
}
# What reads what others need as well: where `plain` is asked alone, its queries still have to run.
QUERIES = "link"


def toml(value):
    return {True: "true", False: "false"}.get(value, str(value)) if isinstance(value, bool) else json.dumps(value)


def application(folder: Path, dialect, urls, model):
    """An application with a tool for each database and variant."""
    (folder / "tools").mkdir(parents=True, exist_ok=True)
    lines = ["[app]", 'name = "text2sql"', "", "[defaults]", f"chat = {toml(model)}", 'embedding = "multilingual-e5-small"']
    (folder / "praxis.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for name, database in databases().items():
        shots = [q for q in questions() if q["database"] == name and q["split"] == "shot"]
        pairs = [json.dumps({"question": q["question"], "sql": q["sql"][dialect]}, ensure_ascii=False) for q in shots]
        (folder / f"tools/{name}.shots.jsonl").write_text("\n".join(pairs) + "\n", encoding="utf-8")
        for variant, options in VARIANTS.items():
            if options is None:
                continue
            lines = [f"url = {toml(urls[name])}", "", "[ask]"]
            lines += [f"{key} = {toml(value)}" for key, value in options.items()]
            lines += ["words = false", "chart = false"]
            if options["shots"]:
                lines.append(f'examples_file = "tools/{name}.shots.jsonl"')
            text = "\n".join(lines) + "\n"
            if dialect == "sqlite":
                text += "\n" + database.comments()
            (folder / f"tools/{name}-{variant}.sql.toml").write_text(text, encoding="utf-8")


class Server:
    """Praxis, serving an application, as long as the program runs."""

    def __init__(self, folder: Path):
        self.port = free_port()
        self.log = (folder / "serve.log").open("w")
        command = [str(RELEASE), "--app", str(folder), "serve", "--port", str(self.port)]
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log)
        for _ in range(600):
            if self.process.poll() is not None:
                raise SystemExit(f"praxis did not start; see {folder / 'serve.log'}")
            try:
                self.get("/praxis/v1/functions")
                return
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.2)
        raise SystemExit("praxis does not answer")

    def get(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=60) as answer:
            return json.load(answer)

    def post(self, path, body):
        """The answer, or what is said of the error."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data=json.dumps(body).encode(), headers={"content-type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=1800) as answer:
                return json.load(answer), None
        except urllib.error.HTTPError as error:
            body = json.loads(error.read() or b"{}")
            return None, body.get("error", body)

    def call(self, function, **values):
        answer, error = self.post(f"/praxis/v1/functions/{urllib.parse.quote(function, safe='')}/call", {"input": values})
        output = (answer or {}).get("output")
        # What comes from outside is framed as data.
        if isinstance(output, dict) and output.keys() == {"from", "content"}:
            output = output["content"]
        return output, error

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        self.log.close()


def written(text):
    """The query of a chat model's answer."""
    fence = re.search(r"```\w*\n(.*?)(```|$)", text, re.S)
    text = (fence[1] if fence else text).strip()
    found = re.search(r"\b(SELECT|WITH)\b", text, re.I)
    return text[found.start() :].strip().rstrip(";") if found else text


def plain(server, question, dialect, schema, model):
    """What a person would do with a chat window and a database."""
    messages = [
        {"role": "system", "content": f"You write SQL for a {NAMES[dialect]} database. Answer with one SELECT statement."},
        {"role": "user", "content": f"{schema}\nQuestion: {question}\nSQL:"},
    ]
    answer, error = server.post("/v1/chat/completions", {"model": model, "messages": messages, "temperature": 0, "max_tokens": 400})
    if error:
        return None, error
    return written(answer["choices"][0]["message"]["content"] or ""), None


class Results:
    """Lines of a file, one a result."""

    def __init__(self, path: Path):
        self.path, self.lock, self.rows = path, threading.Lock(), {}
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                # The last line of a run that was killed may be cut.
                try:
                    row = json.loads(line)
                except ValueError:
                    continue
                self.rows[self.key(row)] = row

    @staticmethod
    def key(row):
        return row["dialect"], row["variant"], row["model"], row["id"]

    def add(self, row):
        with self.lock:
            self.rows[self.key(row)] = row
            with self.path.open("a", encoding="utf-8") as out:
                out.write(json.dumps(row, ensure_ascii=False) + "\n")
                out.flush()
                os.fsync(out.fileno())


def ask(server, variant, question, dialect, gold, schemas, model):
    """One result."""
    name, began = question["database"], time.monotonic()
    row = {"dialect": dialect, "variant": variant, "model": model, "id": question["id"], "database": name}
    row |= {key: question[key] for key in ("split", "language", "kind", "question")}
    if variant == "plain":
        sql, error = plain(server, question["question"], dialect, schemas[name], model)
        output = None
        if sql is not None:
            output, error = server.call(f"{name}-{QUERIES}/query", sql=sql)
    else:
        output, error = server.call(f"{name}-{variant}/ask", question=question["question"])
        sql = (output or {}).get("sql")
    rows = (output or {}).get("rows")
    row |= {"sql": sql, "error": error, "seconds": round(time.monotonic() - began, 2)}
    row["right"] = bool(sql) and rows is not None and same(rows, gold, question["ordered"])
    row["contained"] = bool(sql) and rows is not None and contains(rows, gold, question["ordered"])
    if output and variant != "plain":
        row |= {key: output[key] for key in ("confidence", "answerable", "linked")} | {"tries": len(output["attempts"])}
    return row


def fill_sqlite(folder: Path):
    urls = {}
    for name, database in databases().items():
        path = folder / f"{name}.db"
        path.unlink(missing_ok=True)
        connection = sqlite3.connect(path)
        connection.executescript(database.sql("sqlite"))
        connection.close()
        urls[name] = f"sqlite:{path.name}"
    return urls


def run(dialect, options, results):
    folder = STATE / f"app-{dialect}"
    folder.mkdir(parents=True, exist_ok=True)
    database_server, place = None, Path(f"/tmp/praxis-text2sql-{os.getpid()}") / dialect
    if dialect == "sqlite":
        urls = fill_sqlite(folder)
    else:
        kind = Postgres if dialect == "postgres" else MariaDb
        database_server = start(kind, place)
        if database_server is None:
            return
        for name, database in databases().items():
            database_server.load(name, database.sql(dialect))
        urls = {name: database_server.url(name) for name in databases()}
    server = None
    try:
        application(folder, dialect, urls, options.model)
        server = Server(folder)
        if options.hostile:
            hostile(server, dialect, folder, options)
            return
        wanted = [q for q in questions() if q["split"] == options.split][: options.limit]
        golds = {}
        for question in wanted:
            output, error = server.call(f"{question['database']}-{QUERIES}/query", sql=question["sql"][dialect])
            if error:
                raise SystemExit(f"{question['id']}: the query of the benchmark is refused: {error}")
            golds[question["id"]] = output["rows"]
        schemas = {name: database.plain(dialect) for name, database in databases().items()}
        for variant in options.variants:
            todo = [q for q in wanted if (dialect, variant, options.model, q["id"]) not in results.rows]
            done = len(wanted) - len(todo)

            def one(question):
                results.add(ask(server, variant, question, dialect, golds[question["id"]], schemas, options.model))

            with ThreadPoolExecutor(options.concurrency) as pool:
                for _ in pool.map(one, todo):
                    done += 1
                    print(f"\r{NAMES[dialect]}, {variant}: {done}/{len(wanted)}", end="", file=sys.stderr, flush=True)
            print(file=sys.stderr)
    finally:
        if server:
            server.close()
        if database_server:
            database_server.close()
        shutil.rmtree(place.parent, ignore_errors=True)


def fingerprint(dialect, folder: Path, server):
    """What a database holds, as one number."""
    if dialect == "sqlite":
        return hashlib.sha256((folder / "music.db").read_bytes()).hexdigest()
    counts = [server.call(f"music-{QUERIES}/query", sql=f"SELECT COUNT(*) FROM {t}")[0]["rows"] for t in databases()["music"].tables]
    sums, _ = server.call(f"music-{QUERIES}/query", sql="SELECT SUM(total), MIN(billing_country), MAX(billing_country) FROM invoice")
    return json.dumps([counts, sums["rows"]])


def hostile(server, dialect, folder, options):
    """Asks for what nobody may do, and looks whether anything but SELECT was done."""
    prompts = (HERE / "hostile.txt").read_text(encoding="utf-8").splitlines()
    before = fingerprint(dialect, folder, server)
    ends, wrong = defaultdict(int), []
    for done, prompt in enumerate(prompts, 1):
        output, error = server.call("music-repair/ask", question=prompt)
        if error:
            ends[error.get("code", "error")] += 1
        else:
            ends["answered with a SELECT" if output["answerable"] else "refused in words"] += 1
            if output["sql"] and not re.match(r"(?is)\s*\(*\s*(select|with)\b", output["sql"]):
                wrong.append((prompt, output["sql"]))
        print(f"\r{NAMES[dialect]}, hostile: {done}/{len(prompts)}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    changed = fingerprint(dialect, folder, server) != before
    told = ", ".join(f"{count} {end}" for end, count in sorted(ends.items()))
    print(f"{NAMES[dialect]}: {len(prompts)} hostile prompts: {told}; the database is {'CHANGED' if changed else 'unchanged'}")
    for prompt, sql in wrong:
        print(f"  not a SELECT: {prompt} -> {sql}")
    if changed or wrong:
        raise SystemExit(1)


def share(rows, key="right"):
    return f"{100 * sum(r[key] for r in rows) / len(rows):.1f}" if rows else ""


def points(some, plain):
    """Points of percent that a variant is above the plain prompt, over the questions that both were asked."""
    right = {r["id"]: r["right"] for r in plain}
    both = [r for r in some if r["id"] in right]
    if not both:
        return ""
    return f"{100 * sum(r['right'] - right[r['id']] for r in both) / len(both):+.1f}"


def table(results, options):
    needed = {q["id"]: set(re.findall(r"(?:FROM|JOIN) (\w+)", q["sql"]["sqlite"])) for q in questions()}
    for dialect in options.dialects:
        rows = [r for r in results.rows.values() if r["dialect"] == dialect and r["model"] == options.model and r["split"] == options.split]
        if not rows:
            continue
        print(f"\n{NAMES[dialect]}, {options.model}: execution accuracy in percent, split `{options.split}`\n")
        plain_rows = [r for r in rows if r["variant"] == "plain"]
        heads = ["all", "above plain", "English", "Chinese", *databases(), "with more columns", "tables found", "median seconds", "questions"]
        print("| | " + " | ".join(heads) + " |\n| --- |" + " ---: |" * len(heads))
        for variant in options.variants:
            some = [r for r in rows if r["variant"] == variant]
            if not some:
                continue
            cells = [share(some), "" if variant == "plain" else points(some, plain_rows)]
            cells += [share([r for r in some if r["language"] == language]) for language in ("en", "zh")]
            cells += [share([r for r in some if r["database"] == name]) for name in databases()]
            times = sorted(r["seconds"] for r in some)
            # Of each question, whether the model saw all tables of the benchmark's own query.
            linked = [{"found": needed[r["id"]] <= set(r["linked"])} for r in some if "linked" in r]
            cells += [share(some, "contained"), share(linked, "found"), f"{times[len(times) // 2]:.1f}", str(len(some))]
            print(f"| {variant} | " + " | ".join(cells) + " |")
        kinds = sorted({r["kind"] for r in rows})
        print("\n| | " + " | ".join(kinds) + " |\n| --- |" + " ---: |" * len(kinds))
        for variant in options.variants:
            some = [r for r in rows if r["variant"] == variant]
            if some:
                print(f"| {variant} | " + " | ".join(share([r for r in some if r["kind"] == kind]) for kind in kinds) + " |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dialects", default="sqlite", type=lambda text: text.split(","))
    parser.add_argument("--variants", default=list(VARIANTS), type=lambda text: text.split(","))
    parser.add_argument("--split", default="test", choices=["test", "dev"])
    parser.add_argument("--limit", type=int)
    parser.add_argument("--model", default="qwen2.5-coder-1.5b-instruct")
    parser.add_argument("--concurrency", type=int, default=4)
    parser.add_argument("--hostile", action="store_true")
    parser.add_argument("--table", action="store_true", help="print the tables of what is there, and ask nothing")
    parser.add_argument("--out", type=Path, default=STATE / "results.jsonl")
    options = parser.parse_args()
    for name, known in (("dialects", DIALECTS), ("variants", VARIANTS)):
        unknown = set(getattr(options, name)) - set(known)
        if unknown:
            parser.error(f"--{name}: {', '.join(unknown)} is none of {', '.join(known)}")
    results = Results(options.out)
    if not options.table:
        for dialect in options.dialects:
            run(dialect, options, results)
    if not options.hostile:
        table(results, options)


if __name__ == "__main__":
    main()
