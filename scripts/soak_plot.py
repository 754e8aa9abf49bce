#!/usr/bin/env python3
"""What a long run needed, hour by hour, as one SVG.

usage: soak_plot.py TABLE.csv OUT.svg

The table is what `make soak` writes: a row for each simulated minute.
"""

import csv
import sys
from pathlib import Path

PLOTS = {
    "posts received, millions": lambda row: row["posts"] / 1e6,
    "resident memory, MiB": lambda row: row["memory_kib"] / 1024,
    "descriptors": lambda row: row["descriptors"],
    "files in the data folder": lambda row: row["files"],
    "log, MiB": lambda row: row["log_bytes"] / 2**20,
    "store, MiB": lambda row: row["store_bytes"] / 2**20,
    "spool, MiB": lambda row: row["spool_bytes"] / 2**20,
    "failed calls, thousands": lambda row: row["failures"] / 1e3,
}
WIDTH, HEIGHT, LEFT, BOTTOM, HEAD, COLUMNS = 230, 150, 44, 30, 26, 4


def plot(at: int, name: str, points: list[tuple[float, float]], hours: float) -> str:
    """One small plot: simulated hours across, the value from 0 up."""
    x0, y0 = at % COLUMNS * WIDTH + LEFT, at // COLUMNS * HEIGHT + HEAD
    across, up = WIDTH - LEFT - 14, HEIGHT - BOTTOM - HEAD
    top = max((value for _, value in points), default=0) * 1.1 or 1
    line = " ".join(f"{x0 + across * hour / hours:.1f},{y0 + up * (1 - value / top):.1f}" for hour, value in points)
    ticks = "".join(
        f'<text x="{x0 - 4}" y="{y0 + up * (1 - tick) + 3:.1f}" text-anchor="end">{top * tick:.3g}</text>'
        for tick in (0, 0.5, 1)
    )
    ends = "".join(
        f'<text x="{x0 + across * part:.1f}" y="{y0 + up + 13}" text-anchor="middle">{hours * part:.3g} h</text>'
        for part in (0, 0.5, 1)
    )
    return (
        f'<g><text x="{x0}" y="{y0 - 8}">{name}</text>{ticks}{ends}'
        f'<path d="M{x0} {y0}v{up}h{across}" fill="none" stroke="#999"/>'
        f'<polyline points="{line}" fill="none" stroke="#1f6feb" stroke-width="1.2"/></g>'
    )


def svg(rows: list[dict[str, float]]) -> str:
    """All plots."""
    hours = max(rows[-1]["minute"] / 60, 1 / 60)
    # As many points as can be seen.
    shown = rows[:: max(len(rows) // 400, 1)]
    lines = -(-len(PLOTS) // COLUMNS)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH * COLUMNS} {HEIGHT * lines}"'
        ' font-family="sans-serif" font-size="10" fill="#333"><rect width="100%" height="100%" fill="#fff"/>'
    ]
    for at, (name, of) in enumerate(PLOTS.items()):
        parts.append(plot(at, name, [(row["minute"] / 60, of(row)) for row in shown], hours))
    return "\n".join([*parts, "</svg>\n"])


def main() -> None:
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    with Path(sys.argv[1]).open() as table:
        rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(table)]
    if not rows:
        raise SystemExit("the table has no rows: the run was shorter than a minute")
    Path(sys.argv[2]).write_text(svg(rows))


if __name__ == "__main__":
    main()
