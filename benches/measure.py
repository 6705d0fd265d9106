"""What all benches share: timing several commands in turn, writing down under which conditions, and the tables.

A bench gives rows: a name and something to run. They run in turn, round after round, so that whatever else the machine
does falls on all of them alike; what is reported is each row's median and its ratio to the first row's. Results go to
benches/results/NAME.json, and from there into docs/performance.md, between the marks of that name.
"""

import json
import os
import pathlib
import platform
import re
import resource
import statistics
import subprocess
import sys
import time

REPO = pathlib.Path(__file__).resolve().parent.parent
ENV = REPO / "target/bench-env"
RESULTS = REPO / "benches/results"
DOCUMENT = REPO / "docs/performance.md"


def say(text):
    print(text, file=sys.stderr, flush=True)


def binary():
    """The program that is measured: what is shipped if it was built, else the release build. REEMO_INFRA names another."""
    named = os.environ.get("REEMO_INFRA")
    found = [named] if named else [
        str(REPO / "target/x86_64-unknown-linux-musl/dist/reemo-infra"),
        str(REPO / "target/x86_64-unknown-linux-gnu/release/reemo-infra"),
        str(REPO / "target/release/reemo-infra"),
    ]
    there = [path for path in found if os.access(path, os.X_OK)]
    if not there:
        sys.exit("error: build it first: make dist (or cargo build --release)")
    return max(there, key=os.path.getmtime)


def built(bench):
    """The program of one of Cargo's benches, and the profile it was built with: BENCH_PROFILE, or release's."""
    wanted = os.environ.get("BENCH_PROFILE", "bench")
    told = output(["cargo", "bench", "--no-run", "--profile", wanted, "--bench", bench, "--message-format", "json"], cwd=REPO)
    made = (m for m in map(json.loads, told.splitlines()) if m.get("executable") and m["target"]["name"] == bench)
    return next(made)["executable"], {"bench": "release"}.get(wanted, wanted)


def profile(path):
    """dist, release or debug: the folder a build stands in."""
    return pathlib.Path(path).parent.name


def run(argv, quiet=True, codes=(0,), **more):
    """Runs it to its end and returns seconds; what it printed is shown if it fails."""
    began = time.perf_counter()
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=quiet, text=True, **more)
    took = time.perf_counter() - began
    if done.returncode not in codes:
        say((done.stdout or "")[-3000:] + (done.stderr or "")[-3000:])
        sys.exit(f"error: {' '.join(map(str, argv))[:300]} ended with code {done.returncode}")
    return took


def output(argv, **more):
    return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True, **more).stdout


def together(commands):
    """Starts all at once, waits for all; seconds until the last has ended."""
    began = time.perf_counter()
    running = [subprocess.Popen(c, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for c in commands]
    failed = [p.stderr.read().decode() for p in running if p.wait() != 0]
    took = time.perf_counter() - began
    if failed:
        sys.exit(f"error: {failed[0]}")
    return took


def in_turn(rows, rounds):
    """rows: (name, run, every): `run` returns seconds and is called in each round that `every` divides."""
    samples = {name: [] for name, _, _ in rows}
    for number in range(rounds):
        for name, work, every in rows:
            if number % every == 0:
                samples[name].append(work())
        say(f"round {number + 1} of {rounds}: " + ", ".join(f"{n} {s[-1]:.3f} s" for n, s in samples.items() if s))
    return samples


def machine():
    cpu = next((l.split(":")[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), platform.machine())
    memory = int(re.search(r"MemTotal:\s+(\d+)", open("/proc/meminfo").read())[1]) // 1024 // 1024
    return f"{os.cpu_count()} × {cpu}, {memory + 1} GB, Linux {platform.release()}"


def keep(name, command, rows, samples, facts=None, began_load=None):
    """Writes the result and brings the document up to date. rows: names in order, the first is the measure."""
    base = statistics.median(samples[rows[0]])
    result = {
        "bench": name,
        "command": command,
        "date": time.strftime("%Y-%m-%d %H:%M"),
        "machine": machine(),
        "load": [began_load if began_load is not None else round(os.getloadavg()[0], 1), round(os.getloadavg()[0], 1)],
        "facts": facts or {},
        "rows": [
            {
                "name": row,
                "median_s": round(statistics.median(samples[row]), 4),
                "least_s": round(min(samples[row]), 4),
                "most_s": round(max(samples[row]), 4),
                "runs": len(samples[row]),
                "ratio": round(statistics.median(samples[row]) / base, 3),
            }
            for row in rows
            if samples.get(row)
        ],
    }
    save(name, result)
    return result


def save(name, result):
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    insert(name, table(result))
    print(table(result))


def table(result):
    """The result as a Markdown table, with its conditions under it."""
    if "table" in result:
        head, *body = result["table"]
    else:
        head = ["", "median", "least – most", "runs", "ratio"]
        body = [
            [r["name"], f"{r['median_s']:.3f} s", f"{r['least_s']:.3f} – {r['most_s']:.3f} s", r["runs"], f"{r['ratio']:.2f}"]
            for r in result["rows"]
        ]
    lines = ["| " + " | ".join(map(str, row)) + " |" for row in [head, ["---"] * len(head), *body]]
    facts = "; ".join(f"{k}: {v}" for k, v in result["facts"].items())
    load = " → ".join(map(str, result["load"]))
    lines += ["", f"`{result['command']}`, {result['date']}. {result['machine']}. Load average before → after: {load}."]
    return "\n".join(lines + ([f"{facts}."] if facts else []))


def insert(name, text):
    """Puts it between `<!-- NAME -->` and `<!-- /NAME -->` of the document."""
    if not DOCUMENT.exists():
        return
    document = DOCUMENT.read_text()
    marks = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.S)
    if not marks.search(document):
        sys.exit(f"error: {DOCUMENT} has no marks for {name}")
    DOCUMENT.write_text(marks.sub(lambda found: found[1] + text + "\n" + found[2], document))


def own_cpu():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
