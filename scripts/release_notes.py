#!/usr/bin/env python3
"""Prints the notes of one version from CHANGELOG.md: scripts/release_notes.py 1.2.3, or Unreleased.

Fails if there are none, or if Cargo.toml has another version.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


class NoNotes(Exception):
    """The changelog has no notes of the version."""


def notes(changelog: str, version: str, files: str) -> str:
    """What the changelog says of a version, without its heading, and with the addresses of the links that it uses.

    Links to files become links below the address `files`, because the notes are read elsewhere.
    """
    sections = re.split(r"^## ", changelog, flags=re.MULTILINE)[1:]
    for section in sections:
        heading, _, body = section.partition("\n")
        if heading.split(" - ")[0].strip("[] ") == version:
            break
    else:
        raise NoNotes(f"CHANGELOG.md has no section {version}")
    definitions = re.findall(r"^\[([^\]]+)\]: .*$\n?", changelog, flags=re.MULTILINE)
    body = re.sub(r"^\[([^\]]+)\]: .*$\n?", "", body, flags=re.MULTILINE).strip()
    if not re.search(r"^[-*] ", body, flags=re.MULTILINE):
        raise NoNotes(f"section {version} of CHANGELOG.md is empty")
    for name in definitions:
        if f"[{name}]" in body:
            body += "\n\n" + next(line for line in changelog.splitlines() if line.startswith(f"[{name}]: "))
    return re.sub(r"\]\((?![a-z]+:)([^)]+)\)", rf"]({files}/\1)", body) + "\n"


def main() -> int:
    if len(sys.argv) != 2:
        print("usage: release_notes.py VERSION|Unreleased", file=sys.stderr)
        return 2
    version = sys.argv[1]
    package = tomllib.loads((ROOT / "Cargo.toml").read_text(encoding="utf-8"))["workspace"]["package"]
    if version not in (package["version"], "Unreleased"):
        print(f"the tag is for {version}, but Cargo.toml has version {package['version']}", file=sys.stderr)
        return 1
    tag = "main" if version == "Unreleased" else f"v{version}"
    try:
        print(
            notes((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), version, f"{package['repository']}/blob/{tag}"),
            end="",
        )
    except NoNotes as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
