#!/usr/bin/env python3
"""Checks what Markdown files refer to: links to files and headings, and, in docs/INVARIANTS.md, tests.

Links to other sites are not opened.
"""

from __future__ import annotations

import re
import subprocess
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
INVARIANTS = "docs/INVARIANTS.md"
INDEX = "docs/README.md"
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
# `sources/tests/x.rs` or, for several files at once, `sources/tests/{x,x_stream}.rs`
FILE = re.compile(r"`([\w{},.-]+/[\w{},./-]+\.(?:rs|js|toml|py|sh))`|`([\w/.-]+/)`")
TEST = re.compile(r"`([a-z][a-z0-9]*(?:_[a-z0-9]+){2,})`")


def listed(*patterns: str) -> list[str]:
    """Files of git, or new ones, by pattern."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [name for name in names if (ROOT / name).exists()]


def prose(text: str) -> str:
    """The text with its fenced blocks and code emptied, line by line."""
    text = re.sub(
        r"^( *)```.*?^\1```$", lambda block: "\n" * block[0].count("\n"), text, flags=re.MULTILINE | re.DOTALL
    )
    return re.sub(r"`[^`\n]*`", lambda code: " " * len(code[0]), text)


@cache
def anchors(file: Path) -> set[str]:
    """The anchors of a page's headings, made as GitHub makes them."""
    found: set[str] = set()
    text = re.sub(r"^( *)```.*?^\1```$", "", file.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for heading in re.findall(r"^#+ +(.*)$", text, re.MULTILINE):
        heading = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
        found.add(re.sub(r"[^\w\- ]", "", heading).replace(" ", "-"))
    return found


def broken_links(name: str) -> list[str]:
    """Links of a page that lead nowhere."""
    page = ROOT / name
    found = []
    for number, line in enumerate(prose(page.read_text(encoding="utf-8")).splitlines(), 1):
        for link in LINK.findall(line):
            if re.match(r"[a-z]+:", link):
                continue
            path, _, anchor = link.partition("#")
            target = (page.parent / path).resolve() if path else page
            if not target.exists():
                found.append(f"{name}:{number}: there is no {link}")
            elif anchor and target.suffix == ".md" and anchor not in anchors(target):
                found.append(f"{name}:{number}: {target.name} has no heading #{anchor}")
    return found


def unlisted_pages(index: str) -> list[str]:
    """Pages of the documentation that its index does not link to, by themselves or by their folder."""
    text = (ROOT / index).read_text(encoding="utf-8")
    linked = {((ROOT / index).parent / link.partition("#")[0]).resolve() for link in LINK.findall(text)}
    pages = [ROOT / name for name in listed(f"{Path(index).parent}/*.md") if name != index]
    return [
        f"{index}: has no link to {page.relative_to(ROOT)}"
        for page in pages
        if page.resolve() not in linked and page.parent.resolve() not in linked
    ]


def expanded(path: str) -> list[str]:
    """`a/{b,c}.rs` as `a/b.rs` and `a/c.rs`."""
    group = re.search(r"\{([^}]*)\}", path)
    if not group:
        return [path]
    return [path[: group.start()] + part + path[group.end() :] for part in group[1].split(",")]


def missing_tests() -> list[str]:
    """Files and tests that docs/INVARIANTS.md names and that do not exist."""
    sources = [ROOT / name for name in listed("functions/**/*.rs", "e2e/*.js", "frontend/tests/*.js")]
    names = set()
    for source in sources:
        names |= set(re.findall(r"\bfn (\w+)", source.read_text(encoding="utf-8")))
    found = []
    for number, line in enumerate((ROOT / INVARIANTS).read_text(encoding="utf-8").splitlines(), 1):
        for file, folder in FILE.findall(line):
            for path in expanded(file or folder):
                if not any((ROOT / top / path).exists() for top in ("functions", ".")):
                    found.append(f"{INVARIANTS}:{number}: there is no {path}")
        found += [f"{INVARIANTS}:{number}: there is no test {name}" for name in TEST.findall(line) if name not in names]
    return found


def main() -> int:
    found = [problem for name in listed("*.md") for problem in broken_links(name)]
    if (ROOT / INVARIANTS).exists():
        found += missing_tests()
    if (ROOT / INDEX).exists():
        found += unlisted_pages(INDEX)
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
