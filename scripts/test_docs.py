#!/usr/bin/env python3
"""Runs the commands in the documentation.

    scripts/test_docs.py [--bin DIR] [PAGE...]

Every fenced block of a page that is marked `sh`, `console`, `python` or `r` is run, in order, in a new copy of the
repository's examples, with the binaries of DIR (target/debug) in PATH. `cargo run` runs these binaries too.

- `sh` and `python` blocks must exit with 0.
- `console` blocks hold commands behind `$ ` and the output of each. White space and the lines of tables do not count,
  and `…` stands for any text.
- Words after the language say what is special about a block:
  `background`     it is a server: it starts, and stops with the page or at `<!-- docs-test: stop -->`
  `skip=REASON`    it is not run, but its syntax, make targets and scripts are checked
  `needs=THING`    it is run only if THING is there: a command or a Python module
- Ports 8080 and 8090 are replaced with free ones.

It also compares docs/reference/cli.md with the commands and options that `--help` lists, and with no others.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGES = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "docs/**/*.md"]
NOT_PAGES = ["docs/adr/"]
RUN = {"sh", "console", "python", "r"}
SHOWN = {"text", "json", "toml", "ini"}
ANNOTATIONS = {"background", "skip", "needs"}
STOP = "<!-- docs-test: stop -->"
COMMAND_SECS = 120
START_SECS = 60

CARGO = """#!/usr/bin/env bash
# `cargo run [OPTION]... [-- ARGUMENT]...` with binaries that are already there.
[[ ${1:-} == run ]] || { echo "only cargo run works in the documentation's tests, not: cargo $*" >&2; exit 2; }
shift
binary=birdsong
while (($#)) && [[ $1 != -- ]]; do
    if [[ $1 == --bin ]]; then binary=$2; fi
    shift
done
if (($#)); then shift; fi
exec "$binary" "$@"
"""


@dataclass
class Block:
    """A fenced block, or a `stop` comment, of a page."""

    line: int
    language: str
    text: str
    annotations: dict[str, str] = field(default_factory=dict)


class Problem(Exception):
    """A block that does not do what the page says."""


def parse(page: str) -> list[Block]:
    """The blocks of a page; a `Problem` for one that could hold a command and would not be run."""
    blocks = []
    lines = page.splitlines()
    number = 0
    while number < len(lines):
        line = lines[number]
        number += 1
        if line.strip() == STOP:
            blocks.append(Block(number, "stop", ""))
            continue
        fence = re.match(r"^( *)(```+)(.*)$", line)
        if not fence:
            if re.match(r"^ {4}\S", line) and number > 1 and not lines[number - 2].strip():
                above = next((text for text in reversed(lines[: number - 1]) if text and text[0] != " "), "")
                if not re.match(r"[-*]|\d+\.", above):
                    raise Problem(f"{number}: an indented block is not run; fence it, with its language")
            continue
        indent, ticks, info = fence.groups()
        words = info.split()
        if not words or words[0] not in RUN | SHOWN:
            known = ", ".join(sorted(RUN | SHOWN))
            raise Problem(f"{number}: a block needs one of these languages: {known}")
        annotations = dict(word.split("=", 1) if "=" in word else (word, "") for word in words[1:])
        if unknown := set(annotations) - ANNOTATIONS:
            raise Problem(f"{number}: unknown annotation {', '.join(sorted(unknown))}")
        start = number
        while number < len(lines) and lines[number].strip() != ticks:
            number += 1
        if number == len(lines):
            raise Problem(f"{start}: the block does not end")
        text = "\n".join(line.removeprefix(indent) for line in lines[start:number]) + "\n"
        number += 1
        blocks.append(Block(start + 1, words[0], text, annotations))
    return blocks


def commands_of(console: str) -> list[tuple[str, str]]:
    """The commands of a `console` block, each with its expected output."""
    commands: list[tuple[str, str]] = []
    continued = False
    for line in console.splitlines():
        if line.startswith("$ "):
            commands.append((line[2:], ""))
        elif continued:
            commands[-1] = (commands[-1][0] + "\n" + line, "")
        elif commands:
            commands[-1] = (commands[-1][0], commands[-1][1] + line + "\n")
        else:
            raise Problem("a console block starts with `$ ` and a command")
        continued = (line.startswith("$ ") or continued) and line.endswith(("\\", "|"))
    return commands


def normalized(text: str) -> str:
    """Text without what may differ: colors, lines of tables, and how much white space there is."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    return " ".join(re.sub(r"[\u2500-\u257f|]", " ", text).split())


def is_shown(expected: str, actual: str) -> bool:
    """Whether the output is the expected one, in which `…` stands for any text."""
    parts = [re.escape(part.strip()) for part in normalized(expected).split("…")]
    return re.fullmatch(r"\s*.*?\s*".join(parts), normalized(actual), re.DOTALL) is not None


def free_port() -> int:
    """A port of this machine that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Page:
    """One page, and what its blocks share: a folder, an environment and the servers that run."""

    def __init__(self, path: Path, binaries: Path, folder: Path):
        self.path = path
        self.binaries = binaries
        self.folder = folder
        self.servers: list[subprocess.Popen[bytes]] = []
        self.ports = {"8080": str(free_port()), "8090": str(free_port())}
        tools = folder / ".test-tools"
        tools.mkdir()
        self.tool(tools / "cargo", CARGO)
        keep = ("PATH", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH")
        self.environment = {name: os.environ[name] for name in keep if name in os.environ} | {
            "PATH": f"{tools}:{binaries}:{os.environ['PATH']}",
            "HOME": str(folder),
            "BIRDSONG_PORT": self.ports["8080"],
            "COLUMNS": "200",
        }

    @staticmethod
    def tool(path: Path, text: str) -> None:
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)

    def prepared(self, text: str) -> str:
        """The text with free ports."""
        return re.sub(r"\b(8080|8090)\b", lambda found: self.ports[found[1]], text)

    def missing(self, thing: str) -> bool:
        """Whether what a block needs is not there."""
        return shutil.which(thing) is None and importlib.util.find_spec(thing) is None

    def argv(self, block: Block) -> list[str]:
        text = self.prepared(block.text)
        return {
            "sh": ["bash", "-euo", "pipefail", "-c", text],
            "python": [sys.executable, "-c", text],
            "r": ["Rscript", "-e", text],
        }[block.language]

    def run(self, argv: list[str]) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                argv,
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=COMMAND_SECS,
            )
        except subprocess.TimeoutExpired:
            raise Problem(f"does not end within {COMMAND_SECS} s; is it `background`?") from None

    def check(self, block: Block) -> str | None:
        """Runs a block. Returns why it was skipped, if it was."""
        if block.language == "stop":
            self.stop()
            return None
        if reason := block.annotations.get("skip"):
            check_unrun(block)
            return reason.replace("-", " ")
        if (thing := block.annotations.get("needs")) and self.missing(thing):
            check_unrun(block)
            return f"no {thing} here"
        if "background" in block.annotations:
            self.start(block)
        elif block.language == "console":
            for command, expected in commands_of(block.text):
                result = self.run(["bash", "-euo", "pipefail", "-c", self.prepared(command)])
                output = result.stdout
                if result.returncode:
                    raise Problem(f"`{command}` exits with {result.returncode}:\n{output}")
                if not is_shown(self.prepared(expected), output):
                    raise Problem(f"`{command}` prints something else:\n{output}")
        else:
            result = self.run(self.argv(block))
            if result.returncode:
                raise Problem(f"exits with {result.returncode}:\n{result.stdout}")
        return None

    def start(self, block: Block) -> None:
        """Starts a server and waits until it answers and, for the dashboard, has a post."""
        log = self.folder / f".test-log-{block.line}"
        with log.open("wb") as output:
            server = subprocess.Popen(
                self.argv(block),
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.servers.append(server)
        fake = "birdsong-fake" in block.text
        port = self.ports["8090" if fake else "8080"]
        deadline = time.monotonic() + START_SECS
        while not answers(port, fake):
            if server.poll() is not None or time.monotonic() > deadline:
                what = "does not answer" if server.poll() is None else f"exits with {server.returncode}"
                raise Problem(f"the server {what}:\n{log.read_text(errors='replace')}")
            time.sleep(0.1)

    def stop(self) -> None:
        """Stops the servers as Ctrl-C does; the newest one first."""
        while self.servers:
            server = self.servers.pop()
            if server.poll() is None:
                os.killpg(server.pid, signal.SIGINT)
            try:
                code = server.wait(timeout=COMMAND_SECS)
            except subprocess.TimeoutExpired:
                os.killpg(server.pid, signal.SIGKILL)
                raise Problem("a server does not stop at Ctrl-C") from None
            if code not in (0, -signal.SIGINT):
                raise Problem(f"a server exits with {code} at Ctrl-C")


def answers(port: str, fake: bool) -> bool:
    """Whether a server answers at this port; the dashboard's also has to have counted a post."""
    try:
        if fake:
            with socket.create_connection(("127.0.0.1", int(port)), timeout=2):
                return True
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/status", timeout=2) as answer:
            return b'"newest_post":null' not in answer.read()
    except (OSError, urllib.error.URLError):
        return False


def check_unrun(block: Block) -> None:
    """What can be checked of a block that is not run: its syntax, and that its make targets and scripts exist."""
    if block.language not in {"sh", "console"}:
        return
    text = block.text
    if block.language == "console":
        text = "\n".join(command for command, _ in commands_of(text))
    syntax = subprocess.run(["bash", "-n", "-c", text], capture_output=True, text=True)
    if syntax.returncode:
        raise Problem(syntax.stderr)
    targets = set(re.findall(r"^([a-z0-9-]+(?: [a-z0-9-]+)*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    targets = {name for names in targets for name in names.split()}
    for line in text.splitlines():
        if (found := re.match(r"(?:\w+=\S* )*make +([a-z][a-z0-9-]*)\b(?!=)", line)) and found[1] not in targets:
            raise Problem(f"make has no target {found[1]}")
        for script in re.findall(r"(?:^|\s)((?:\./)?(?:scripts|localstack)/[\w./-]+)", line):
            if not (ROOT / script).exists():
                raise Problem(f"there is no {script}")


def help_of(binary: Path, *command: str) -> str:
    """What `--help` prints for a command."""
    return subprocess.run([binary, *command, "--help"], capture_output=True, text=True, check=True).stdout


def subcommands(text: str) -> list[str]:
    """The commands that a help text lists."""
    found = re.search(r"^Commands:\n((?: +.*\n)+)", text, re.MULTILINE)
    return [name for name in re.findall(r"^  (\w[\w-]*)", found[1] if found else "", re.MULTILINE) if name != "help"]


def options(text: str) -> set[str]:
    """The long options that a help text lists."""
    return set(re.findall(r"^ +(?:-\w, )?(--[a-z][\w-]*)", text, re.MULTILINE)) - {"--help", "--version"}


def check_reference(binary: Path) -> list[str]:
    """What the reference of the command line has too little or too much."""
    reference = (ROOT / "docs/reference/cli.md").read_text(encoding="utf-8").partition("## birdsong-fake")[0]
    problems = []
    known = set()
    for command in subcommands(help_of(binary)):
        text = help_of(binary, command)
        for words in [[command, nested] for nested in subcommands(text)] or [[command]]:
            if f"`{' '.join(words)}`" not in reference:
                problems.append(f"the command {' '.join(words)} is missing")
            known |= options(help_of(binary, *words))
    named = set(re.findall(r"`(--[a-z][\w-]*)", reference))
    problems += [f"{option} is missing" for option in sorted(known - named)]
    problems += [f"there is no {option}" for option in sorted(named - known - {"--features"})]
    return problems


def pages_of(names: list[str]) -> list[Path]:
    """The pages of these names, or all of them."""
    if names:
        return [Path(name).resolve() for name in names]
    found = (page for pattern in PAGES for page in sorted(ROOT.glob(pattern)))
    return [page for page in found if not any(str(page.relative_to(ROOT)).startswith(name) for name in NOT_PAGES)]


def copy_examples(folder: Path) -> None:
    """What a reader has beside the binaries: the regions and the examples of the documentation."""
    shutil.copy(ROOT / "regions.toml", folder)
    shutil.copytree(ROOT / "docs/examples", folder / "docs/examples")


def main() -> int:
    arguments = argparse.ArgumentParser(description="Runs the commands in the documentation.")
    arguments.add_argument("--bin", type=Path, default=ROOT / "target/debug", help="folder of the binaries")
    arguments.add_argument("pages", nargs="*", help="pages to test; all if there are none")
    given = arguments.parse_args()
    binaries = given.bin.resolve()

    passed = failed = skipped = 0
    for path in pages_of(given.pages):
        name = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
        try:
            blocks = [block for block in parse(path.read_text(encoding="utf-8")) if block.language in RUN | {"stop"}]
        except Problem as problem:
            print(f"{name}:{problem}")
            failed += 1
            continue
        with tempfile.TemporaryDirectory(prefix="birdsong-docs-") as folder:
            copy_examples(Path(folder))
            page = Page(path, binaries, Path(folder))
            block = Block(1, "stop", "")
            try:
                for block in blocks:
                    reason = page.check(block)
                    if reason:
                        skipped += 1
                        print(f"{name}:{block.line}: skipped, {reason}")
                    elif block.language != "stop":
                        passed += 1
                page.stop()
            except Problem as problem:
                # The blocks below may build on this one.
                print(f"{name}:{block.line}: {problem}")
                failed += 1
            finally:
                for server in page.servers:
                    if server.poll() is None:
                        os.killpg(server.pid, signal.SIGKILL)
                        server.wait()
    if not given.pages:
        problems = check_reference(binaries / "birdsong")
        print("".join(f"docs/reference/cli.md: {problem}\n" for problem in problems), end="")
        passed, failed = (passed, failed + 1) if problems else (passed + 1, failed)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
