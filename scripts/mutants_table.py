#!/usr/bin/env python3
"""The table of docs/mutants.md, from what `cargo mutants` found, and the names of the mutants that survived.

usage: mutants_table.py MUTANTS_OUT...

Of a mutant that is in several of them, the last outcome counts.
"""

import json
import sys
from collections import Counter
from pathlib import Path

KINDS = {"CaughtMutant": "caught", "Timeout": "caught", "MissedMutant": "survived", "Unviable": "unviable"}


def outcomes(folders: list[Path]) -> dict[str, tuple[str, str]]:
    """File and outcome by the name of the mutant."""
    found = {}
    for folder in folders:
        for outcome in json.loads((folder / "outcomes.json").read_text())["outcomes"]:
            if isinstance(outcome["scenario"], dict):
                mutant = outcome["scenario"]["Mutant"]
                kind = KINDS.get(outcome["summary"])
                if kind:
                    found[mutant["name"]] = (mutant["file"], kind)
    return found


def table(found: dict[str, tuple[str, str]], unviable: str = "do not compile") -> str:
    """Rows by file, and their sum. `unviable` is the head of the column for mutants that were not run."""
    by_file: dict[str, Counter[str]] = {}
    for file, kind in found.values():
        by_file.setdefault(file.removeprefix("functions/"), Counter())[kind] += 1
    rows = [f"| file | mutants | caught | {unviable} | survived |", "| --- | --: | --: | --: | --: |"]
    total: Counter[str] = Counter()
    for name, of_file in [*sorted(by_file.items()), ("**all**", total)]:
        total.update(of_file if of_file is not total else {})
        counts = [of_file.total(), of_file["caught"], of_file["unviable"], of_file["survived"]]
        rows.append(f"| {name if name.startswith('*') else f'`{name}`'} | {' | '.join(map(str, counts))} |")
    return "\n".join(rows)


def main() -> None:
    folders = [Path(folder) for folder in sys.argv[1:]]
    if not folders:
        raise SystemExit(__doc__)
    found = outcomes(folders)
    print(table(found))
    survivors = [name for name, (_, kind) in found.items() if kind == "survived"]
    if survivors:
        print("\nsurvived:\n  " + "\n  ".join(survivors))


if __name__ == "__main__":
    main()
