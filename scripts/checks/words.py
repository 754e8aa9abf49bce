#!/usr/bin/env python3
"""Finds words and phrases that the project does not use, and says what to write instead.

    scripts/checks/words.py [PATH...]

Without paths it reads what git has of FOLDERS. Words in `code` and in fenced blocks count too: they are names or output,
and those are read as well. A line that has to hold such a word ends with a comment that contains `words: allow`.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent

# A folder or file joins this list when it is free of these words.
FOLDERS = [
    *("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "docs", ".github", "Makefile"),
    *("functions", "fuzz", "frontend", "infra", "localstack", "scripts", "e2e", "contrib"),
]

# What not to write, as a regular expression, and what to write instead.
WORDS = [
    (r"(\w+_)?(told|tells?|telling)(_\w+)?", "report, log, show, return, ask, distinguish"),
    (r"(put|puts|putting|lies|lie) (\w+ )?aside", "quarantine, move to the dead letters"),
    (r"(put|puts|putting) right", "repair, correct"),
    (r"how (a|an|the|each|every|its|his|our)( \w+)? source does|how (it|he|she|each) does|how they do", "status"),
    (r"(?<!there\s)(?-i:(is|are) none)", "has none, is not one"),
    (r"ha(s|ve) otherwise", "differs"),
    (r"what stands|stands? (beside|there)", "what is written, is in, is next to"),
    (r"go(es)? on live", "continues live"),
    (r"(the|a|its|at) begin", "the start, the beginning"),
    (r"for ever", "forever"),
    (r"so many (bytes|seconds|milliseconds|posts|characters|attempts)", "this many"),
    (r"goes on by itself", "continues"),
    (r"(\w+_)?put_aside(_\w+)?", "quarantine"),
    (r"(begun|begins?) anew", "restarts from zero"),
    (r"lets? us in", "accepts the token, accepts the connection"),
    (r"is it well|(is|are) all well|all well", "is it healthy, no problems"),
    (r"knows? nothing of", "has no record of"),
    (r"(log|table|store|source|server|something|it) is away|are away|while away", "is unavailable, is disconnected"),
    (r"(is|are) tried again", "is retried"),
    (r"wants? (an?|no|the) (token|account|key)", "needs"),
    (r"goes out in order", "is sent in order"),
]
PATTERN = re.compile(
    "|".join(rf"(?P<w{number}>\b(?:{word})\b)".replace(" ", r"\s+") for number, (word, _) in enumerate(WORDS)),
    re.IGNORECASE,
)
ALLOW = "words: allow"
# These have to hold the words.
EXCEPT = {"scripts/checks/words.py", "scripts/tests/test_words.py"}
TEXT = {".md", ".rs", ".js", ".html", ".css", ".tf", ".sh", ".py", ".toml", ".yml", ".yaml", ""}


def findings(text: str) -> list[tuple[int, str, str]]:
    """Line, words and what to write instead. A phrase may continue on the next line, also of a comment."""
    found = []
    one_text = re.sub(r"\n[ \t]*[/#*>!]+", lambda gap: "\n" + " " * (len(gap[0]) - 1), text)
    for match in PATTERN.finditer(one_text):
        line = text.count("\n", 0, match.start()) + 1
        if ALLOW not in text.splitlines()[line - 1]:
            instead = WORDS[int(match.lastgroup.removeprefix("w"))][1]
            found.append((line, " ".join(match[0].split()), instead))
    return found


def files(paths: list[str]) -> list[Path]:
    """The text files of git below these paths."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", "--", *paths],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    every = (ROOT / name for name in listed.split("\0") if name and name not in EXCEPT)
    return [file for file in every if file.suffix in TEXT and file.exists()]


def main() -> int:
    count = 0
    for file in files(sys.argv[1:] or FOLDERS):
        for line, words, instead in findings(file.read_text(encoding="utf-8")):
            print(f"{file.relative_to(ROOT)}:{line}: not '{words}'; instead: {instead}")
            count += 1
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
