#!/usr/bin/env python3
"""What a gateway adds to a call of a model, Praxis beside litellm's proxy, as Markdown tables and as
target/bench/gateway.json. `make bench-gateway` runs it.

usage: gateway.py --litellm PROGRAM [OPTION...]

Requests for chat completions come at a constant rate from one program (`load` of scripts/bench/gateway) to a model that
answers at once (`upstream`, the same): directly, through Praxis, through litellm, and through nginx where it is
installed, which passes on what it gets and so shows what any program in between costs. Only one of them is asked at a
time, and all within the same minutes. A request's time counts from when it was due. What a gateway adds is the
difference of the percentiles, each the median of the rounds.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from quality import PRAXIS, ROOT, start
from run import processor

PROGRAMS = ROOT / "target/gateway-bench/release"
RESULTS = ROOT / "target/bench"
PORT = 18_400
CONNECTIONS = 256
# A target that answers less of what it is asked at a rate is not asked at higher ones.
ENOUGH = 0.98
# How far the 99th percentile of a steady key may rise beside a flood.
FAIR = 1.2

CONFIG = """[app]
name = "bench"

[models.mock]
provider = "openai"
base_url = "http://127.0.0.1:{port}/v1"
api_key = "env:PRAXIS_BENCH_UPSTREAM_KEY"
model = "mock"
price = {{ input = 0.15, output = 0.60 }}

[server]
api_key = "env:PRAXIS_BENCH_KEY"
"""

LITELLM = """model_list:
  - model_name: mock
    litellm_params:
      model: openai/mock
      api_base: http://127.0.0.1:{port}/v1
      api_key: sk-upstream
      input_cost_per_token: 0.00000015
      output_cost_per_token: 0.0000006
general_settings:
  master_key: sk-master
"""

NGINX = """daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{ worker_connections 2048; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    upstream model {{ server 127.0.0.1:{upstream}; keepalive 256; }}
    server {{
        listen 127.0.0.1:{port};
        keepalive_requests 100000000;
        location / {{
            proxy_pass http://model;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
        }}
    }}
}}
"""


def split() -> dict[str, set[int]]:
    """Which processors are whose: with two, the programs that measure share the first."""
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        sys.exit("this takes two processors at least")
    if len(cpus) < 4:
        return {"load": {cpus[0]}, "upstream": {cpus[0]}, "one": {cpus[1]}, "two": set(cpus[:2])}
    return {"load": {cpus[0]}, "upstream": {cpus[1]}, "one": {cpus[2]}, "two": {cpus[2], cpus[3]}}


@contextmanager
def on(cpus: set[int]):
    """What is started within runs on these processors only."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def family(pid: int) -> list[int]:
    """A process and its descendants."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int(folder.joinpath("stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        children.setdefault(parent, []).append(int(folder.name))
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


def memory(pid: int) -> float:
    """Resident MiB of a process and its descendants; pages that they share count for each."""
    kib = 0
    for one in family(pid):
        try:
            status = Path(f"/proc/{one}/status").read_text()
        except OSError:
            continue
        kib += int(status.partition("VmRSS:")[2].split()[0]) if "VmRSS:" in status else 0
    return kib / 1024


def cpu_seconds(pid: int) -> float:
    ticks = 0
    for one in family(pid):
        try:
            stat = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += int(stat[11]) + int(stat[12])
    return ticks / os.sysconf("SC_CLK_TCK")


class Upstream:
    """The model that answers at once."""

    def __init__(self, cpus: set[int]):
        with on(cpus):
            self.process = subprocess.Popen([PROGRAMS / "upstream", "0"], stdout=subprocess.PIPE, text=True)
        self.port = json.loads(self.process.stdout.readline())["port"]

    def count(self) -> int:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/count") as answer:
            return sum(json.load(answer).values())

    def settle(self) -> None:
        """Waits until nobody asks any more."""
        before = -1
        for _ in range(60):
            now = self.count()
            if now == before:
                return
            before = now
            time.sleep(1)


class Target:
    """Something that is asked, and what it is called."""

    def __init__(self, name: str, url: str, key: str, process: subprocess.Popen | None = None):
        self.name, self.url, self.key, self.process = name, url, key, process
        self.overrun: set[str] = set()
        self.folder: Path | None = None

    def new_key(self, name: str, *options: str) -> str:
        return make_key(self.folder, name, *options)


def many(count: int, what: str) -> str:
    return f"{count} {what}" + ("" if count == 1 else "s")


def make_key(app: Path, name: str, *options: str) -> str:
    command = [PRAXIS, "keys", "create", name, "--scope", "chat", *options, "--app", app, "--json"]
    return json.loads(subprocess.check_output(command, text=True))["key"]


def start_praxis(name: str, folder: Path, port: int, cpus: set[int]) -> Target:
    """Praxis as it is, traces and all, with a key that has a budget, and a model that has a price."""
    folder.mkdir()
    folder.joinpath("praxis.toml").write_text(CONFIG.format(port=port))
    os.environ |= {"PRAXIS_BENCH_UPSTREAM_KEY": "sk-upstream", "PRAXIS_BENCH_KEY": "sk-bench"}
    key = make_key(folder, "bench", "--limit", "1000000 usd/month")
    with on(cpus):
        process, url = start(folder)
    target = Target(name, f"{url}/v1", key, process)
    target.folder = folder
    return target


def start_litellm(program: Path, workers: int, folder: Path, upstream: int, cpus: set[int]) -> Target:
    config, log, port = folder / "litellm.yaml", folder / f"litellm-{workers}.log", PORT + workers
    config.write_text(LITELLM.format(port=upstream))
    environment = os.environ | {
        "LITELLM_MODE": "PRODUCTION", "LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }
    command = [program, "--config", config, "--host", "127.0.0.1", "--port", port, "--num_workers", workers]
    with on(cpus), log.open("w") as out:
        process = subprocess.Popen([str(c) for c in command], stdout=out, stderr=out, env=environment)
    url = f"http://127.0.0.1:{port}"
    # It loads all of its providers first.
    for _ in range(1200):
        if process.poll() is not None:
            break
        try:
            urllib.request.urlopen(f"{url}/health/liveliness").close()
            return Target(f"litellm, {many(workers, 'worker')}", f"{url}/v1", "sk-master", process)
        except OSError:
            time.sleep(0.5)
    process.kill()
    sys.exit(f"litellm did not start:\n{log.read_text()[-2000:]}")


def start_nginx(folder: Path, upstream: int, cpus: set[int]) -> Target:
    config = folder / "nginx.conf"
    config.write_text(NGINX.format(folder=folder, upstream=upstream, port=PORT))
    with on(cpus):
        process = subprocess.Popen(["nginx", "-p", folder, "-c", config])
    for _ in range(100):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{PORT}/count").close()
            return Target("nginx, 1 processor", f"http://127.0.0.1:{PORT}/v1", "any", process)
        except OSError:
            time.sleep(0.1)
    process.kill()
    sys.exit("nginx did not start")


def load_command(target: Target, seconds: float, form: str, groups: list[tuple[str, str, float]]) -> list[str]:
    names = [f"{name},{key},{rate}" for name, key, rate in groups]
    return [str(PROGRAMS / "load"), target.url, str(seconds), form, str(CONNECTIONS), *names]


def load(cpus: dict, target: Target, seconds: float, form: str, groups: list[tuple[str, str, float]]) -> list[dict]:
    """What came of requests of several keys, at so many a second each."""
    before = cpu_seconds(target.process.pid) if target.process else 0.0
    with on(cpus["load"]):
        out = subprocess.check_output(load_command(target, seconds, form, groups), text=True)
    told = json.loads(out)
    if target.process:
        answered = max(1, sum(one["right"] for one in told))
        told[0]["cpu_us_per_answer"] = 1e6 * (cpu_seconds(target.process.pid) - before) / answered
    return told


def measure(cpus: dict, upstream: Upstream, targets: list[Target], options) -> list[dict]:
    """Each target at each rate, in rounds: a row for each."""
    rows = []
    for form in ("whole", "stream"):
        for target in targets:
            load(cpus, target, 3, form, [("warm", target.key, 50)])
        for rate in options.rates:
            rounds: dict[str, list[dict]] = {target.name: [] for target in targets}
            for _ in range(options.rounds):
                for target in targets:
                    if form in target.overrun:
                        continue
                    print(f"   {form}, {rate:g}/s: {target.name}", file=sys.stderr)
                    [told] = load(cpus, target, options.seconds, form, [("all", target.key, rate)])
                    rounds[target.name].append(told)
                    if told["right"] < ENOUGH * told["asked"] or told["rate_reached"] < ENOUGH * rate:
                        target.overrun.add(form)
                        upstream.settle()
            for target in targets:
                if rounds[target.name]:
                    rows.append({"form": form, "rate": rate, "target": target.name} | middle(rounds[target.name]))
    return rows


def middle(rounds: list[dict]) -> dict:
    """The median of the rounds, number by number, and the rounds."""
    def of(*path: str) -> float:
        values = []
        for told in rounds:
            for part in path:
                told = told[part]
            values.append(told)
        return median(values)

    row = {key: of(key) for key in ("rate_reached", "right", "asked", "unfinished")}
    row |= {f"{kind}_{at}": of(kind, at) for kind in ("us", "first_us") for at in ("p50", "p90", "p99", "max")}
    if "cpu_us_per_answer" in rounds[0]:
        row["cpu_us_per_answer"] = of("cpu_us_per_answer")
    return row | {"wrong": [told["wrong"] for told in rounds], "rounds": rounds}


def print_added(rows: list[dict], pairs: list[tuple[str, str | None]]) -> None:
    """For each form, a table of what Praxis and litellm add, in milliseconds, and how many times more litellm adds."""
    for form in ("whole", "stream"):
        print(f"\n**{'Whole answers' if form == 'whole' else 'Streams, to their end'}**\n")
        print(
            "| requests/s | directly p50 / p99 ms | gateway | reached | added p50 ms | added p99 ms "
            "| CPU µs an answer | ratio p50 | ratio p99 |"
        )
        print("| ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
        for rate in sorted({row["rate"] for row in rows}):
            found = {row["target"]: row for row in rows if (row["form"], row["rate"]) == (form, rate)}
            direct = found.get("directly")
            if direct is None:
                continue
            for ours, theirs in pairs:
                print_pair(rate, direct, found.get(ours), found.get(theirs), (ours, theirs))


def print_pair(rate: float, direct: dict, ours: dict | None, theirs: dict | None, names: tuple) -> None:
    def added(row: dict | None, at: str) -> float | None:
        # What could not keep up has a queue that grows, and no latency.
        if row is None or row["rate_reached"] < ENOUGH * rate:
            return None
        return (row[f"us_{at}"] - direct[f"us_{at}"]) / 1000

    for name, row in zip(names, (ours, theirs)):
        if name is None:
            continue
        cells = [f"{rate:g}", f"{direct['us_p50'] / 1000:.2f} / {direct['us_p99'] / 1000:.2f}", name]
        if row is None:
            cells += ["not asked: it was overrun before"] + ["–"] * 5
        else:
            numbers = [added(row, at) for at in ("p50", "p99")]
            cells += [f"{row['rate_reached']:.0f}/s"]
            cells += ["overrun" if number is None else f"{number:.2f}" for number in numbers]
            cells += [f"{row['cpu_us_per_answer']:.0f}"]
            for at in ("p50", "p99"):
                mine, other = added(ours, at) or 0, added(theirs, at) or 0
                # A difference below nothing is noise, and no ratio.
                cells.append(f"{other / mine:.1f}" if row is theirs and mine > 0 and other > 0 else "")
        print(f"| {' | '.join(cells)} |")


def slope(points: list[tuple[float, float]]) -> float:
    """That of the line nearest to the points."""
    xs, ys = [x for x, _ in points], [y for _, y in points]
    x, y = sum(xs) / len(xs), sum(ys) / len(ys)
    across = sum((a - x) ** 2 for a in xs)
    return sum((a - x) * (b - y) for a, b in points) / across if across else 0.0


def watch_memory(cpus: dict, upstream: Upstream, target: Target, options) -> dict:
    """Memory of Praxis over many requests, a tenth of them streams."""
    first, seconds = upstream.count(), options.memory / options.memory_rate
    pace = max(1.0, seconds / 200)
    samples = [(0, memory(target.process.pid))]
    with on(cpus["load"]):
        shares = [("whole", 0.9), ("stream", 0.1)]
        running = [
            subprocess.Popen(
                load_command(target, seconds, form, [(form, target.key, share * options.memory_rate)]),
                stdout=subprocess.PIPE, text=True,
            )
            for form, share in shares
        ]
    while any(one.poll() is None for one in running):
        time.sleep(pace)
        samples.append((upstream.count() - first, memory(target.process.pid)))
    told = [json.loads(one.communicate()[0])[0] for one in running]
    # What is filled once, such as caches and the allocator's own, is filled in the first fifth.
    late = [(count, mib) for count, mib in samples if count >= options.memory / 5] or samples
    disk = sum(file.stat().st_size for file in target.folder.rglob("*") if file.is_file())
    return {
        "requests": upstream.count() - first,
        "right": sum(one["right"] for one in told),
        "wrong": [one["wrong"] for one in told],
        "mib_at_start": samples[0][1],
        "mib_after_a_fifth": late[0][1],
        "mib_at_end": samples[-1][1],
        "mib_most": max(mib for _, mib in samples),
        "mib_per_100000_requests": 100_000 * slope(late),
        "disk_mib": disk / 2**20,
        "samples": samples,
    }


def flood(cpus: dict, targets: list[Target], options) -> list[dict]:
    """The 99th percentile of a steady key, alone and beside one that floods, with and without a limit."""
    direct, ours = targets
    limit = f"{options.flood_limit} requests/second"
    steady = ours.new_key("steady", "--limit", "1000000 usd/month")
    cases = [
        (direct, "directly, beside a flood", "any", "any"),
        (ours, f"through Praxis, beside a key that may use {limit}", steady, ours.new_key("held", "--limit", limit)),
        (ours, "through Praxis, beside a key without a limit", steady, ours.new_key("free")),
    ]
    rows = []
    for target, what, key, flooding in cases:
        alone, beside = [], []
        for _ in range(options.rounds):
            one = ("steady", key, options.steady_rate)
            print(f"   {what}", file=sys.stderr)
            alone += load(cpus, target, options.flood_seconds, "whole", [one])
            both = [one, ("flood", flooding, options.flood_rate)]
            beside.append(load(cpus, target, options.flood_seconds, "whole", both))
        before = median(told["us"]["p99"] for told in alone)
        after = median(told["us"]["p99"] for told, _ in beside)
        rows.append({
            "case": what, "p99_alone_us": before, "p99_beside_us": after, "ratio": after / before,
            "p50_alone_us": median(told["us"]["p50"] for told in alone),
            "p50_beside_us": median(told["us"]["p50"] for told, _ in beside),
            "flood": beside[-1][1], "alone": alone, "beside": [told for told, _ in beside],
        })
    return rows


def print_flood(rows: list[dict], options) -> None:
    print(f"\n**One key sends {options.steady_rate:g} requests/s, another {options.flood_rate:g}/s**\n")
    print("| | p50 / p99 ms alone | beside the flood | p99, times | within 20 % | of the flood answered | refused |")
    print("| --- | ---: | ---: | ---: | --- | ---: | ---: |")
    for row in rows:
        alone = f"{row['p50_alone_us'] / 1000:.2f} / {row['p99_alone_us'] / 1000:.2f}"
        beside = f"{row['p50_beside_us'] / 1000:.2f} / {row['p99_beside_us'] / 1000:.2f}"
        verdict = "yes" if row["ratio"] <= FAIR else "no"
        refused = row["flood"]["wrong"].get("429", 0)
        cells = [row["case"], alone, beside, f"{row['ratio']:.2f}", verdict, f"{row['flood']['right']}", f"{refused}"]
        print(f"| {' | '.join(cells)} |")


def print_memory(found: dict) -> None:
    print(f"\n**Memory of Praxis over {found['requests']:,} requests, a tenth of them streams**\n")
    print("| at the start | after a fifth | at the end | most | slope after a fifth | on the disk |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")
    print(
        f"| {found['mib_at_start']:.0f} MiB | {found['mib_after_a_fifth']:.0f} MiB | {found['mib_at_end']:.0f} MiB "
        f"| {found['mib_most']:.0f} MiB | {found['mib_per_100000_requests']:+.2f} MiB per 100,000 "
        f"| {found['disk_mib']:.0f} MiB |"
    )


def wrongs(rows: list[dict]) -> list[str]:
    """What was not answered rightly."""
    return [
        f"{row['form']}, {row['rate']:g}/s, {row['target']}: {row['wrong']}" for row in rows if any(row["wrong"])
    ]


def said_of(cpus: dict, options) -> str:
    names = {what: ", ".join(map(str, sorted(set_))) for what, set_ in cpus.items()}
    shared = (
        "the load generator and the model share a processor, and gateways that have two get that one too"
        if cpus["load"] == cpus["upstream"]
        else "nothing that is measured shares a processor with what measures"
    )
    return (
        f"{processor()}, {os.cpu_count()} processors: {shared}. Processors: load generator {names['load']}, model "
        f"{names['upstream']}, gateways with one {names['one']}, with two {names['two']}. "
        f"{options.seconds:g} s at each rate, median of {options.rounds} rounds, up to {CONNECTIONS} connections."
    )


def version(*command: object) -> str:
    run = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    return (run.stdout or run.stderr).strip().splitlines()[-1]


def arguments():
    parser = argparse.ArgumentParser(description="What a gateway adds to a call of a model.")
    parser.add_argument("--litellm", type=Path, help="the program `litellm`; without it, Praxis is measured alone")
    parser.add_argument("--rates", default="100,500,1000,2000", help="requests a second, with commas between")
    parser.add_argument("--seconds", type=float, default=20, help="at each rate")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory", type=int, default=1_000_000, help="requests over which memory is watched; 0: none")
    parser.add_argument("--memory-rate", type=float, default=1000, help="of them a second")
    parser.add_argument("--steady-rate", type=float, default=100)
    parser.add_argument("--flood-rate", type=float, default=1000)
    parser.add_argument("--flood-limit", type=int, default=50, help="requests a second that the flooding key may use")
    parser.add_argument("--flood-seconds", type=float, default=30)
    parser.add_argument("--quick", action="store_true", help="small numbers, to see that all of it works")
    options = parser.parse_args()
    if options.quick:
        options.rates, options.seconds, options.rounds, options.flood_seconds = "50,200", 3, 1, 4
        options.memory, options.memory_rate, options.flood_rate = 4000, 400, 400
    options.rates = sorted(float(rate) for rate in options.rates.split(","))
    return options


def stop(processes: list[subprocess.Popen]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()


def main() -> None:
    options, cpus = arguments(), split()
    upstream = Upstream(cpus["upstream"])
    targets = [Target("directly", f"http://127.0.0.1:{upstream.port}/v1", "any")]
    pairs = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            for workers, which in ((1, "one"), (2, "two")):
                ours = f"Praxis, {many(workers, 'processor')}"
                targets.append(start_praxis(ours, folder / which, upstream.port, cpus[which]))
                theirs = None
                if options.litellm:
                    theirs = start_litellm(options.litellm, workers, folder, upstream.port, cpus[which])
                    targets.append(theirs)
                pairs.append((ours, theirs and theirs.name))
            if shutil.which("nginx"):
                targets.append(start_nginx(folder, upstream.port, cpus["one"]))
                pairs.append((targets[-1].name, None))
            report(cpus, upstream, targets, pairs, options)
        finally:
            stop([target.process for target in targets if target.process] + [upstream.process])


def report(cpus: dict, upstream: Upstream, targets: list[Target], pairs: list, options) -> None:
    rows = measure(cpus, upstream, targets, options)
    idle = {target.name: memory(target.process.pid) for target in targets if target.process}
    print(f"\n{said_of(cpus, options)}\n")
    print("Memory after that: " + "; ".join(f"{name} {mib:.0f} MiB" for name, mib in idle.items()))
    print_added(rows, pairs)
    ours = next(target for target in targets if target.name.startswith("Praxis"))
    flooded = flood(cpus, [targets[0], ours], options)
    print_flood(flooded, options)
    watched = watch_memory(cpus, upstream, ours, options) if options.memory else None
    if watched:
        print_memory(watched)
    for line in wrongs(rows):
        print(f"\nnot answered rightly: {line}")
    RESULTS.mkdir(parents=True, exist_ok=True)
    result = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": said_of(cpus, options),
        "praxis": version(PRAXIS, "--version"),
        "litellm": version(options.litellm, "--version") if options.litellm else None,
        "options": {name: str(value) for name, value in vars(options).items()},
        "mib_after_load": idle,
        "added": rows,
        "flood": flooded,
        "memory": watched,
    }
    RESULTS.joinpath("gateway.json").write_text(json.dumps(result, indent=1))
    print(f"\nAll numbers: {RESULTS.joinpath('gateway.json').relative_to(ROOT)}")


if __name__ == "__main__":
    main()
