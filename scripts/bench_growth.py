#!/usr/bin/env python3
"""How the cost of a post grows with posts, regions, keywords, windows and lanes, as one SVG and a table.

usage: bench_growth.py BIRDSONG CORPUS OUT.svg [--rounds N]

The cost is the CPU time of a replay in memory, all cores together, in microseconds a post: the median over the rounds. The
resident set is the largest of all rounds.
"""

import argparse
import itertools
import os
import statistics
import subprocess
import tempfile
from pathlib import Path
from xml.sax.saxutils import escape


def cost(command: list[str], posts: int) -> tuple[float, float]:
    """CPU microseconds a post, and MiB."""
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"failed: {' '.join(command)}")
    return (usage.ru_utime + usage.ru_stime) / posts * 1e6, usage.ru_maxrss / 1024


def boxes(count: int) -> str:
    of = (
        [-170 + n % 40 * 8.5, -80 + n // 40 % 25 * 6, -168 + n % 40 * 8.5, -78 + n // 40 % 25 * 6] for n in range(count)
    )
    return "".join(f'[[region]]\nid = "r{n}"\nboxes = [{box}]\n' for n, box in enumerate(of))


def keywords(count: int) -> str:
    each = max(count // 10, 1)
    words = [f"word{n}" for n in range(count)]
    tables = (words[n : n + each] for n in range(0, count, each))
    return "".join(f'[[region]]\nid = "r{n}"\nkeywords = {list_}\n' for n, list_ in enumerate(tables)).replace("'", '"')


def lanes(count: int) -> str:
    languages = ["en", "fr", "ja", "es", "pt", "ar", "ko", "tr", "und", "de", "qme"]
    return f'[[region]]\nid = "all"\nlanguages = {languages}\nhot_buckets = {count}\n'.replace("'", '"')


def cases(folder: Path, corpus: Path, posts: int):
    """Name of the plot, value on its axis, arguments, number of posts."""
    everything = ["--everything", "all"]
    for part in (16, 8, 4, 2, 1):
        file = folder / f"part-{part}.ndjson"
        with corpus.open("rb") as lines, file.open("wb") as out:
            out.writelines(itertools.islice(lines, posts // part))
        yield "posts", posts // part, [str(file), *everything], posts // part

    def with_regions(plot: str, value: int, text: str):
        file = folder / f"{plot}-{value}.toml"
        file.write_text(text)
        return plot, value, [str(corpus), "--regions", str(file)], posts

    for count in (1, 10, 100, 1000):
        yield with_regions("regions of an area", count, boxes(count))
    for count in (1, 10, 100, 1000, 10_000):
        yield with_regions("keywords", count, keywords(count))
    for minutes in (60, 15, 5, 1):
        yield "windows an hour", 60 // minutes, [str(corpus), *everything, "--window", f"{minutes}m"], posts
    for count in (1, 4, 16, 64):
        yield with_regions("lanes of a region", count, lanes(count))


def svg(plots: dict[str, list[tuple[int, float]]]) -> str:
    """Small plots side by side: the value on a logarithmic axis, the cost from 0."""
    width, height, left, bottom, head = 230, 204, 44, 40, 28
    top = max(cost for points in plots.values() for _, cost in points) * 1.15
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width * len(plots)} {height}" font-family="sans-serif"'
        ' font-size="10" fill="#333"><rect width="100%" height="100%" fill="#fff"/>'
    ]
    across, up = width - left - 14, height - bottom - head

    def place(n: int, part: float, cost: float) -> tuple[float, float]:
        return n * width + left + across * part, head + up * (1 - cost / top)

    for n, (name, points) in enumerate(plots.items()):
        parts_across = max(len(points) - 1, 1)
        spots = [place(n, i / parts_across, cost) for i, (_, cost) in enumerate(points)]
        parts.append(
            f'<g><path d="M{n * width + left} {head}v{up}h{across}" fill="none" stroke="#999"/>'
            f'<text x="{n * width + left + across / 2}" y="{height - 8}" text-anchor="middle">{escape(name)}</text>'
        )
        for tick in (0, top / 2, top):
            y = place(n, 0, tick)[1] + 3
            parts.append(f'<text x="{n * width + left - 4}" y="{y:.1f}" text-anchor="end">{tick:.1f}</text>')
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
        parts.append(f'<polyline points="{line}" fill="none" stroke="#1f6feb" stroke-width="2"/>')
        for (x, y), (value, cost) in zip(spots, points, strict=True):
            parts.append(
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="#1f6feb"><title>{value:,}: {cost:.2f}</title></circle>'
            )
            shown = f"{value // 1000}k" if value >= 1000 else str(value)
            parts.append(f'<text x="{x:.1f}" y="{height - bottom + 13}" text-anchor="middle">{shown}</text>')
        parts.append("</g>")
    return "\n".join([*parts, '<text x="6" y="14">CPU, µs a post</text></svg>\n'])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("birdsong")
    parser.add_argument("corpus", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with options.corpus.open("rb") as lines:
        posts = sum(1 for _ in lines)
    plots: dict[str, list[tuple[int, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        print("| grows | to | CPU, µs a post | memory, MiB |\n| --- | --: | --: | --: |")
        for plot, value, arguments, count in cases(Path(folder), options.corpus, posts):
            command = [options.birdsong, "replay", "--memory", *arguments]
            rounds = [cost(command, count) for _ in range(options.rounds)]
            median, memory = statistics.median(cpu for cpu, _ in rounds), max(memory for _, memory in rounds)
            print(f"| {plot} | {value:,} | {median:.2f} | {memory:.0f} |", flush=True)
            plots.setdefault(plot, []).append((value, median))
    options.out.write_text(svg(plots))


if __name__ == "__main__":
    main()
