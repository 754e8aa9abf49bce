#!/usr/bin/env python3
"""Posts a second from a file of X v2 stream lines into windows, beside other programs, in one run.

usage: bench_replay.py BIRDSONG CORPUS [--rounds N] [--threads 1,2]

Each round runs every case once, one after the other, so that what else the machine does falls on all of them. A figure is
the median over the rounds. "posts/s" is by the clock; "CPU" is the time that all cores worked for one post, which other
programs on the machine change little; "memory" is the largest resident set. DuckDB computes the same counts as a batch,
without sketches, duplicates, or a ledger; it is left out if Python has no module duckdb. "json.loads" only parses.
"""

import argparse
import importlib.util
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# What the regions of the case "five regions" look for, and the same as DuckDB has it.
FIVE = {
    "a": (["montréal", "tempête"], ["gohabsgo"], (-73.98, 45.41, -73.47, 45.70), None),
    "b": (["paris", "métro"], [], (2.2, 48.8, 2.5, 48.95), None),
    "c": (["東京", "tokyo"], [], None, None),
    "d": (["london", "tube strike"], [], None, "en"),
    "e": (["goal"], ["storm"], None, None),
}

COLUMNS = (
    "{data: 'STRUCT(id VARCHAR, author_id VARCHAR, created_at TIMESTAMP, lang VARCHAR, text VARCHAR, entities STRUCT("
    "hashtags STRUCT(tag VARCHAR)[], mentions STRUCT(username VARCHAR)[], urls STRUCT(expanded_url VARCHAR)[]),"
    ' referenced_tweets STRUCT("type" VARCHAR)[])\','
    " includes: 'STRUCT(places STRUCT(id VARCHAR, geo STRUCT(bbox DOUBLE[]))[])'}"
)


def five_regions() -> str:
    """The case as a regions file."""

    def table(name: str) -> str:
        words, tags, box, language = FIVE[name]
        lines = [f'[[region]]\nid = "{name}"', f"keywords = {words + ['#' + tag for tag in tags]}".replace("'", '"')]
        lines += [f"boxes = [{list(box)}]"] if box else []
        lines += [f'languages = ["{language}"]'] if language else []
        return "\n".join(lines)

    return "\n".join(map(table, FIVE)) + "\n"


def hundred_regions() -> str:
    """100 regions with 10 keywords each."""
    words = ["alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel", "india", "juliett"]
    tables = (f'[[region]]\nid = "r{n}"\nkeywords = {[f"{word}{n}" for word in words]}\n' for n in range(100))
    return "".join(tables).replace("'", '"')


def thousand_regions() -> str:
    """1,000 regions of one map area."""
    boxes = ([-170 + n % 40 * 8.5, -80 + n // 40 * 6, -168 + n % 40 * 8.5, -78 + n // 40 * 6] for n in range(1000))
    return "".join(f'[[region]]\nid = "r{n}"\nboxes = [{box}]\n' for n, box in enumerate(boxes))


def sql(corpus: str, has_regions: bool) -> list[str]:
    """The counts of Birdsong's windows; regions by what a text contains."""

    def condition(name: str) -> str:
        words, tags, box, language = FIVE[name]
        any_of = [f"contains(words, '{word}')" for word in words]
        any_of += [f"list_contains(tags, '{tag}')" for tag in tags]
        if box:
            west, south, east, north = box
            any_of.append(f"(bbox[1] >= {west} AND bbox[2] >= {south} AND bbox[3] <= {east} AND bbox[4] <= {north})")
        found = " OR ".join(any_of)
        found = f"({found}) AND lang = '{language}'" if language else found
        return f"CASE WHEN {found} THEN '{name}' END"

    region = (
        "unnest(list_filter([" + ", ".join(map(condition, FIVE)) + "], lambda x: x IS NOT NULL))"
        if has_regions
        else "'all'"
    )
    place = "data.entities.hashtags"
    return [
        f"""CREATE TEMP TABLE posts AS SELECT time_bucket(INTERVAL 5 MINUTE, posted) AS start, {region} AS region, * FROM (
            SELECT data.created_at AS posted, data.author_id AS author, data.lang AS lang,
                coalesce(data.referenced_tweets[1]."type", 'original') AS kind, lower(data.text) AS words,
                [lower(tag.tag) for tag in {place}] AS tags, includes.places[1].geo.bbox AS bbox,
                len(data.entities.mentions) AS mentions,
                [regexp_extract(url.expanded_url, '^https?://(?:www\\.)?([^/:]+)', 1) for url in data.entities.urls] AS hosts
            FROM read_ndjson('{corpus}', columns={COLUMNS}))""",
        "SELECT region, start, kind, count(*), sum(mentions) FROM posts GROUP BY ALL",
        "SELECT region, start, lang, count(*) FROM posts GROUP BY ALL",
        "SELECT region, start, approx_count_distinct(author) FROM posts GROUP BY ALL",
        "SELECT region, start, tag, count(*) FROM (SELECT region, start, unnest(tags) AS tag FROM posts) GROUP BY ALL",
        "SELECT region, start, host, count(*) FROM (SELECT region, start, unnest(hosts) AS host FROM posts) GROUP BY ALL",
    ]


def run_duckdb(corpus: str, threads: int, has_regions: bool) -> None:
    import duckdb

    connection = duckdb.connect(config={"threads": threads})
    began = time.monotonic()
    for query in sql(corpus, has_regions):
        rows = connection.execute(query).fetchall()
    posts = connection.execute("SELECT count(*) FROM posts").fetchall()[0][0]
    print(f"took {time.monotonic() - began} s, {posts} posts, {len(rows)} rows")


def run_loads(corpus: str) -> None:
    import json

    began = time.monotonic()
    with open(corpus, "rb") as lines:
        posts = sum(1 for line in lines if json.loads(line))
    print(f"took {time.monotonic() - began} s, {posts} posts")


def measured(command: list[str], threads: int) -> tuple[float, float, float]:
    """Seconds that a program reports, seconds of all cores, and MiB."""
    cores = sorted(os.sched_getaffinity(0))[:threads]
    with tempfile.TemporaryFile("w+") as out:
        child = subprocess.Popen(
            command, stdout=out, stderr=subprocess.STDOUT, preexec_fn=lambda: os.sched_setaffinity(0, cores)
        )
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        said = out.read()
    took = re.search(r"took ([0-9.e-]+) s", said)
    if child.returncode or not took:
        sys.exit(f"{' '.join(command)}:\n{said[-2000:]}")
    return float(took[1]), usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("birdsong", type=Path)
    parser.add_argument("corpus")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--before", type=Path, help="an older program to compare with")
    parser.add_argument("--child", nargs="*", help=argparse.SUPPRESS)
    options = parser.parse_args()
    with open(options.corpus, "rb") as lines:
        posts = sum(1 for _ in lines)
    has_duckdb = importlib.util.find_spec("duckdb") is not None
    me = [sys.executable, __file__, str(options.birdsong), options.corpus, "--child"]
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder:
        files = {}
        for name, text in [
            ("five regions", five_regions()),
            ("six regions", (ROOT / "regions.toml").read_text()),
            ("100 regions, 1,000 keywords", hundred_regions()),
            ("1,000 regions", thousand_regions()),
        ]:
            files[name] = Path(folder, name.replace(" ", "-") + ".toml")
            files[name].write_text(text)
        cases = []
        for threads in sorted({min(int(n), cores) for n in options.threads.split(",")}):
            for label, program in [("Birdsong", options.birdsong), ("Birdsong before", options.before)]:
                if program:
                    replay = [str(program), "replay", "--memory", options.corpus]
                    cases.append((f"{label}, everything", threads, [*replay, "--everything", "all"]))
                    for name, file in files.items():
                        cases.append((f"{label}, {name}", threads, [*replay, "--regions", str(file)]))
            if has_duckdb:
                cases.append(("DuckDB, everything", threads, [*me, "duckdb", str(threads), ""]))
                cases.append(("DuckDB, five regions", threads, [*me, "duckdb", str(threads), "regions"]))
        cases.append(("json.loads", 1, [*me, "loads"]))
        results: dict[tuple[str, int], list[tuple[float, float, float]]] = {}
        for _ in range(options.rounds):
            for name, threads, command in cases:
                results.setdefault((name, threads), []).append(measured(command, threads))
    print(
        f"{posts} posts, {os.path.getsize(options.corpus) / posts:.0f} bytes each; medians of {options.rounds} rounds\n"
    )
    if not has_duckdb:
        print("DuckDB is not there: pip install duckdb\n")
    print("| case | cores | posts/s | lowest to highest | CPU, µs a post | memory, MiB | times DuckDB |")
    print("| --- | --: | --: | --: | --: | --: | --: |")
    for (name, threads), rounds in results.items():
        rates = [posts / took for took, _, _ in rounds]
        cpu = statistics.median(cpu for _, cpu, _ in rounds) / posts * 1e6
        memory = max(memory for _, _, memory in rounds)
        other = results.get((f"DuckDB, {'everything' if name.endswith('everything') else 'five regions'}", threads))
        # Round by round: both ran next to one another.
        ratio = (
            statistics.median(theirs[0] / ours[0] for ours, theirs in zip(rounds, other, strict=True))
            if other
            else None
        )
        shown = f"{ratio:.2f}" if ratio and name.startswith("Birdsong") else ""
        span = f"{min(rates):,.0f} to {max(rates):,.0f}"
        print(f"| {name} | {threads} | {statistics.median(rates):,.0f} | {span} | {cpu:.2f} | {memory:.0f} | {shown} |")


if __name__ == "__main__":
    if "--child" in sys.argv:
        corpus, (kind, *more) = sys.argv[2], sys.argv[sys.argv.index("--child") + 1 :]
        if kind == "duckdb":
            run_duckdb(corpus, int(more[0]), bool(more[1]))
        else:
            run_loads(corpus)
    else:
        main()
