#!/usr/bin/env python3
"""Runs the tests against every mutant that cargo-mutants lists, compiling all of them at once (docs/mutants.md).

usage: schemata.py PACKAGE... [--files PART]... [--tests-of PACKAGE]... [--rules N] [--jobs N] [--slowest SECONDS] [--report FOLDER]

Each mutant becomes a branch in a copy of the sources, taken when the environment variable MUTANT has its number ("mutant
schemata": Untch, Offutt and Harrold, 1993). So the tests are compiled once, and not once for each mutant. Then each test runs
by itself to learn which mutants it reaches; a mutant is tried by the tests that reach it, fast ones first, until one fails.
Tests of all packages in TESTED count, since much of `domain` and `digest` shows only in what others make of it; with --tests-of, only
those of some packages, which compile sooner. With --rules, it tries the tests that docs/INVARIANTS.md names instead: each of them with
the N mutants that it reaches and that the fewest other tests reach.

Mutants that do not compile are found by compiling. Those that no branch can express, such as one in a constant, are listed as
"not tried": `make mutants` tries them, one at a time.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from mutants_table import table

ROOT = Path(__file__).resolve().parent.parent
TESTED = ["aggregator", "alerts", "api", "archive", "digest", "domain", "embedded", "streamer"]
COMPILE = ["--locked", "--profile", "mutants", "--config", "profile.mutants.opt-level=1", "--message-format=json"]
# Those that `make mutants` leaves out, too.
SKIPPED = set(re.findall(r"not test\((\w+)\)", (ROOT / ".cargo/mutants.toml").read_text()))
# A test file in a row of docs/INVARIANTS.md, and the names of tests behind it.
NAMED = re.compile(r"`(\w+)/((?:src|tests)/[\w/]+(?:\.rs)?/?)`(?::((?: `\w+`,?)+))?")
# A mutant may ask for all the memory there is.
MEMORY_BYTES = 6_000_000_000

SWITCH = """//! Which mutant is active, and which ones a test reaches.
#![allow(missing_docs)]
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LazyLock, Mutex};

static ACTIVE: LazyLock<u32> = LazyLock::new(|| std::env::var("MUTANT").map_or(u32::MAX, |id| id.parse().unwrap()));
static TRACE: LazyLock<Option<Mutex<std::fs::File>>> = LazyLock::new(|| {
    std::env::var_os("MUTANT_TRACE").map(|path| Mutex::new(std::fs::File::options().create(true).append(true).open(path).unwrap()))
});
static REACHED: [AtomicBool; COUNT] = [const { AtomicBool::new(false) }; COUNT];

#[cold]
fn reach(id: u32, trace: &Mutex<std::fs::File>) {
    if !REACHED[id as usize].swap(true, Ordering::Relaxed) {
        trace.lock().unwrap().write_all(format!("{id}\\n").as_bytes()).unwrap();
    }
}

#[inline]
#[must_use]
pub fn at(id: u32) -> u32 {
    if let Some(trace) = &*TRACE {
        reach(id, trace);
    }
    *ACTIVE
}

#[inline]
#[must_use]
pub fn is(id: u32) -> bool {
    at(id) == id
}
"""


@dataclass
class Node:
    """A place in a file with the mutants that change it."""

    file: str
    begin: int
    end: int
    kind: str
    site: dict | None
    number: int = 0
    mutants: list[dict] = field(default_factory=list)
    # Operands are evaluated once, in front of the branch; where types do not allow that, in each branch.
    is_plain: bool = True

    def rank(self) -> tuple[int, bool, int, int]:
        """The outermost one first; a point between bytes before what begins there."""
        order = ["fn", "arm", "field", "guard", "binary", "unary"].index(self.kind)
        return (self.begin, self.end != self.begin, -self.end, order)


class Sources:
    """Sources with all mutants in them."""

    def __init__(self, folder: Path, packages: list[str]) -> None:
        self.folder = folder
        self.packages = packages
        self.mutants = self.list_mutants()
        self.excluded: dict[int, str] = {}
        files = sorted({mutant["file"] for mutant in self.mutants})
        self.text = {file: (ROOT / file).read_bytes() for file in files}
        self.nodes: list[Node] = []
        self.by_file: dict[str, list[Node]] = defaultdict(list)
        self.place()
        for package in packages:
            source = f"functions/{package}/src"
            self.write(f"{source}/mutant.rs", SWITCH.replace("COUNT", str(len(self.mutants))).encode())
            lib = f"{source}/lib.rs"
            self.text.setdefault(lib, (ROOT / lib).read_bytes())
            self.text[lib] += b"\n#[doc(hidden)] pub mod mutant;\n"

    def list_mutants(self) -> list[dict]:
        mutants = []
        for package in self.packages:
            command = ["scripts/cargo-tool.sh", "mutants", "--list", "--json", "--package", f"birdsong-{package}"]
            mutants += json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout)
        return [mutant | {"id": number} for number, mutant in enumerate(mutants)]

    def write(self, file: str, content: bytes) -> None:
        """Writes a file if it is another one: cargo goes by the times of files."""
        path = self.folder / file
        if not path.exists() or path.read_bytes() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def offset(self, file: str, at: dict) -> int:
        lines = self.text[file].split(b"\n")
        before = sum(len(line) + 1 for line in lines[: at["line"] - 1])
        return before + len(lines[at["line"] - 1].decode()[: at["column"] - 1].encode())

    def place(self) -> None:
        """Finds the place of each mutant."""
        command = ["cargo", "run", "--quiet", "--locked", "--manifest-path", "scripts/schemata/Cargo.toml", "--"]
        command += [str(ROOT / file) for file in self.text]
        printed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
        sites: dict[tuple, dict] = {}
        for line in printed.splitlines():
            site = json.loads(line)
            file = str(Path(site["file"]).relative_to(ROOT))
            sites[file, site["kind"], site["key"][0]] = site
            if site["kind"] == "arm" and site["guard"]:
                sites[file, "guard", site["guard"][0]] = site
        nodes: dict[tuple, Node] = {}
        for mutant in self.mutants:
            begin, end = (self.offset(mutant["file"], mutant["span"][side]) for side in ("start", "end"))
            found = self.node_of(mutant, begin, end, sites)
            if found is None:
                self.excluded[mutant["id"]] = "no branch can express it"
                continue
            node = nodes.setdefault((found.file, found.begin, found.end, found.kind), found)
            node.mutants.append(mutant)
        for node in nodes.values():
            node.number = len(self.nodes)
            self.nodes.append(node)
            self.by_file[node.file].append(node)

    def node_of(self, mutant: dict, begin: int, end: int, sites: dict[tuple, dict]) -> Node | None:
        file = mutant["file"]
        match mutant["genre"]:
            case "FnValue":
                # `return` needs the type itself.
                is_other = "impl" in (mutant["function"]["return_type"] or "") and "::iter::" in mutant["replacement"]
                return None if is_other else Node(file, begin, begin, "fn", None)
            case "BinaryOperator" | "UnaryOperator" as genre:
                kind = "binary" if genre == "BinaryOperator" else "unary"
                site = sites.get((file, kind, begin))
                return site and Node(file, *site["whole"], kind, site)
            case "MatchArmGuard":
                site = sites.get((file, "guard", begin))
                return site and Node(file, begin, end, "guard", site)
            case "MatchArm":
                site = sites.get((file, "arm", begin))
                if site and site["guard"]:
                    return Node(file, *site["guard"], "guard", site)
                return site and Node(file, site["pattern"][1], site["pattern"][1], "arm", site)
            case "StructField":
                site = sites.get((file, "field", begin))
                return site and Node(file, *site["key"], "field", site)
        return None

    def live(self, node: Node) -> list[dict]:
        return [mutant for mutant in node.mutants if mutant["id"] not in self.excluded]

    def render(self, file: str, begin: int, end: int, around: Node | None = None) -> str:
        """A part of a file with its mutants. \\x01NAME\\x02 and \\x03 are around nodes and around what one mutant puts there."""
        inside = [node for node in self.by_file[file] if begin <= node.begin and node.end <= end and self.live(node)]
        if around is not None:
            inside = [node for node in inside if node.rank() > around.rank()]
        out, at = [], begin
        for node in sorted(inside, key=Node.rank):
            if node.begin >= at and not (node.kind == "arm" and node.begin == begin):
                out += [self.text[file][at : node.begin].decode(), f"\x01n{node.number}\x02{self.changed(node)}\x03"]
                at = node.end
        return "".join([*out, self.text[file][at:end].decode()])

    def changed(self, node: Node) -> str:
        """The text of a node with a branch for each of its mutants."""

        def mark(mutant: dict, text: str) -> str:
            return f"\x01m{mutant['id']}\x02{text}\x03"

        def active(mutant: dict) -> str:
            return f"crate::mutant::is({mutant['id']})"

        file, site, mutants = node.file, node.site or {}, self.live(node)
        first = active(mutants[0])
        if node.kind == "fn":
            values = ((mutant, f"if {active(mutant)} {{ return {mutant['replacement']}; }} ") for mutant in mutants)
            return "".join(mark(*value) for value in values)
        if node.kind == "arm":
            return mark(mutants[0], f" if !{first}")
        if node.kind == "guard":
            text = f"({self.render(file, node.begin, node.end, node)})"
            for mutant in mutants:
                is_never = mutant["genre"] == "MatchArm" or mutant["replacement"] == "false"
                text = f"(!{active(mutant)} && {text})" if is_never else f"({active(mutant)} || {text})"
            return text
        right = self.render(file, *site["right"], node)
        if node.kind == "field":
            name = self.text[file][node.begin : node.end].decode().split(":")[0].split()[-1]
            value = name if site["is_short"] else right
            return f"{name}: if {first} {{ ({self.render(file, *site['rest'])}).{name} }} else {{ {value} }}"
        sign = self.text[file][slice(*site["key"])].decode()
        if node.kind == "unary":
            return f"(match {right} {{ mutant_a => if {first} {{ mutant_a }} else {{ {sign}mutant_a }} }})"
        left = self.render(file, *site["left"], node)
        if sign in ("&&", "||"):
            other = first if sign == "&&" else f"!{first}"
            return f"(if ({left}) != {other} {{ {right} }} else {{ {other} }})"

        def branches(a: str, b: str) -> str:
            seen = "".join(f".max(crate::mutant::at({mutant['id']}))" for mutant in mutants[1:])
            texts = ((one["id"], mark(one, f"{a} {one['replacement']} {b}")) for one in mutants)
            others = "".join(f"{number} => {text}, " for number, text in texts)
            return f"match crate::mutant::at({mutants[0]['id']}){seen} {{ {others}_ => {a} {sign} {b} }}"

        if sign.endswith("=") and sign not in ("==", "!=", "<=", ">="):
            if node.is_plain:
                return f"{{ let mutant_b = {right}; {branches(left, 'mutant_b')} }}"
            return f"({branches(left, f'({right})')})"
        if not node.is_plain:
            return f"({branches(f'({left})', f'({right})')})"
        by_reference = "&" if sign in ("==", "!=", "<", "<=", ">", ">=") else ""
        operands = f"({by_reference}({left}), {by_reference}({right}))"
        return f"(match {operands} {{ (mutant_a, mutant_b) => {branches('mutant_a', 'mutant_b')} }})"

    def put(self, file: str) -> list[tuple[int, int, str]]:
        """Writes a file with its mutants. Returns the ranges of marks in it."""
        marked = self.render(file, 0, len(self.text[file])).encode()
        out, open_marks, ranges = bytearray(), [], []
        for part in re.findall(rb"\x01[^\x02]*\x02|\x03|[^\x01\x03]+", marked):
            if part[0] == 1:
                open_marks.append((len(out), part[1:-1].decode()))
            elif part[0] == 3:
                begin, name = open_marks.pop()
                ranges.append((begin, len(out), name))
            else:
                out += part
        self.write(file, bytes(out))
        return ranges

    def compile(self, run) -> None:
        """Leaves out what does not compile, until all compiles."""
        changed, ranges = set(self.text), {}
        while True:
            for file in changed:
                ranges[file] = self.put(file)
            changed = set()
            errors = run(["check", "--keep-going", "--lib"], self.packages)
            for error in errors:
                file = self.leave_out(error, ranges)
                if file is None:
                    sys.exit(f"an error that is no mutant's: {error['rendered']}")
                changed.add(file)
            print(f"{len(errors)} errors, {len(self.excluded)} of {len(self.mutants)} mutants left out", flush=True)
            if not errors:
                return

    def leave_out(self, error: dict, ranges: dict[str, list[tuple[int, int, str]]]) -> str | None:
        """Leaves out the mutants that caused an error. Returns their file."""
        for span in sorted(error["spans"], key=lambda span: not span["is_primary"]):
            while span["file_name"] not in ranges and span["expansion"]:
                span = span["expansion"]["span"]
            file, begin, end = span["file_name"], span["byte_start"], span["byte_end"]
            around = [(to - of, name) for of, to, name in ranges.get(file, []) if of <= begin and end <= to]
            if around:
                _, name = min(around)
                node = self.nodes[int(name[1:])] if name[0] == "n" else None
                if node and node.kind == "binary" and node.is_plain:
                    node.is_plain = False
                else:
                    ids = [mutant["id"] for mutant in node.mutants] if node else [int(name[1:])]
                    self.excluded |= {one: error["message"] for one in ids if one not in self.excluded}
                return file
            if "non-exhaustive" in error["message"]:
                # The arms that follow cannot be deleted.
                later = (node for of, _, name in sorted(ranges.get(file, [])) if of > begin and name[0] == "n"
                         for node in [self.nodes[int(name[1:])]] if node.kind in ("arm", "guard"))  # fmt: skip
                arms = [one for node in later for one in self.live(node) if one["genre"] == "MatchArm"]
                function = arms[0]["function"]["function_name"] if arms else None
                ids = [one["id"] for one in arms if one["function"]["function_name"] == function]
                self.excluded |= dict.fromkeys(ids, error["message"])
                return file if arms else None
        return None


@dataclass
class Test:
    """A test, and what it reaches."""

    package: str
    binary: str
    folder: str
    name: str
    took: float = 0.0
    passes: bool = False
    reaches: list[int] = field(default_factory=list)
    catches: int = 0


def execute(binary: str, folder: str, names: list[str], extra: dict[str, str], limit: float) -> tuple[str, str]:
    """Runs tests. Returns passed, failed or timeout, and what they wrote."""
    switches = {"PROPTEST_DISABLE_FAILURE_PERSISTENCE": "true", "RUST_BACKTRACE": "0", "HISTORIES": "400"}
    env = os.environ | switches | {"CARGO_MANIFEST_DIR": folder} | extra
    command = ["prlimit", f"--as={MEMORY_BYTES}", binary, "--exact", "--test-threads=2", *names]
    try:
        done = subprocess.run(
            command, cwd=folder, env=env, timeout=limit, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
    except subprocess.TimeoutExpired:
        return "timeout", ""
    return "failed" if done.returncode else "passed", done.stdout.decode(errors="replace")


def list_tests(artifacts: list[dict]) -> list[Test]:
    tests = []
    for one in artifacts:
        folder, binary = str(Path(one["manifest_path"]).parent), one["executable"]
        package = Path(folder).name

        def names(*options: str, binary: str = binary, folder: str = folder) -> set[str]:
            command = [binary, "--list", "--format", "terse", *options]
            lines = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.splitlines()
            return {line.removesuffix(": test") for line in lines if line.endswith(": test")}

        wanted = (name for name in names() - names("--ignored") if name.rsplit("::", 1)[-1] not in SKIPPED)
        tests += [Test(package, binary, folder, name) for name in sorted(wanted)]
    return tests


def trace(test: Test, report: Path, slowest: float) -> Test:
    path = report / f"trace-{threading.get_ident()}"
    path.unlink(missing_ok=True)
    began = time.monotonic()
    outcome, text = execute(test.binary, test.folder, [test.name], {"MUTANT_TRACE": str(path)}, slowest)
    test.took, test.passes = time.monotonic() - began, outcome == "passed"
    test.reaches = [int(line) for line in path.read_text().split()] if path.exists() else []
    if outcome == "failed":
        print(f"{test.name} fails without a mutant and does not count:\n{text[-2000:]}", flush=True)
    return test


def batches(tests: list[Test]) -> list[list[Test]]:
    """Tests by the time they take for each mutant that they have caught so far; up to 40 fast ones of a program together."""
    fast = defaultdict(list)
    for test in (test for test in tests if test.took < 0.3):
        fast[test.binary].append(test)
    together = [of[n : n + 40] for of in fast.values() for n in range(0, len(of), 40)]
    slow = sorted((test for test in tests if test.took >= 0.3), key=lambda test: test.took / (1 + test.catches))
    return together + [[test] for test in slow]


def kill(mutant: dict, tests: list[Test]) -> dict:
    """Tries a mutant. Its own package's tests come first among equals, as `make mutants` has no others."""
    package = mutant["file"].split("/")[1]
    result = {"name": mutant["name"], "file": mutant["file"], "outcome": "survived" if tests else "not reached"}
    for batch in batches([test for test in tests if test.package == package]) + batches(
        [test for test in tests if test.package != package]
    ):
        names = [test.name for test in batch]
        limit = max(20.0, 8 * sum(test.took for test in batch))
        outcome, text = execute(batch[0].binary, batch[0].folder, names, {"MUTANT": str(mutant["id"])}, limit)
        if outcome != "passed":
            batch[0].catches += 1
            failed = re.findall(r"^test (\S+) \.\.\. FAILED", text, re.MULTILINE) or names
            return result | {"outcome": "caught", "by": [f"{batch[0].package} {name}" for name in failed[:3]]}
    return result


@dataclass
class Rule:
    """A rule of docs/INVARIANTS.md, and its tests."""

    number: str
    tests: list[Test]


def rules(text: str, tests: list[Test]) -> list[Rule]:
    """The rules that have some of these tests. A path without names means all tests of that file."""
    found = []
    for number, cell in re.findall(r"^\| (\d+\.\d+) \|.*\| (.+) \|$", text, re.MULTILINE):
        wanted: list[Test] = []
        for package, path, names in NAMED.findall(cell):
            # What every store must do is run by the crate of the stores of one machine.
            at = "embedded" if package == "testkit" else package
            of_package = [test for test in tests if test.package == at]
            named = re.findall(r"`(\w+)`", names)
            kind, _, module = path.partition("/")
            module = module.rstrip("/").removesuffix(".rs").removesuffix("/mod").replace("/", "::")
            for test in of_package:
                program = Path(test.binary).name
                # Tests of a crate's own folder are in a program that has the crate's name; the others have one program together
                # or, as `digest/tests/model/`, one of their own.
                if program.startswith("birdsong_"):
                    is_there = kind == "src" and test.name.startswith(f"{module}::")
                else:
                    is_of_file = test.name.startswith(f"{module}::") or program.startswith(f"{module.split('::')[0]}-")
                    is_there = kind == "tests" and is_of_file
                if test.name.rsplit("::", 1)[-1] in named or (not named and is_there):
                    wanted.append(test)
        if wanted:
            found.append(Rule(number, wanted))
    return found


def try_rules(found: list[Rule], mutants: dict[int, dict], reached_by: dict[int, int], most: int, jobs: int) -> str:
    """A table of the rules: how many mutants were tried with their tests and caught, and some that were."""
    rows = ["| rule | tests | mutants tried | caught | such as |", "| --- | --: | --: | --: | --- |"]
    for rule in found:
        pairs = []
        for test in rule.tests:
            reached = sorted(
                (number for number in test.reaches if number in mutants), key=lambda one: (reached_by[one], one)
            )
            pairs += [(mutants[number], test) for number in reached[:most]]
        with ThreadPoolExecutor(jobs) as pool:
            outcomes = list(pool.map(lambda pair: kill(pair[0], [pair[1]])["outcome"], pairs))
        tried = {mutant["name"]: False for mutant, _ in pairs}
        for (mutant, _), outcome in zip(pairs, outcomes, strict=True):
            tried[mutant["name"]] |= outcome == "caught"
        caught = [name.removeprefix("functions/") for name, is_caught in tried.items() if is_caught]
        # Once each, without their lines; a bar would end the cell.
        names = dict.fromkeys(re.sub(r":[0-9]+:[0-9]+: ", ": ", name) for name in caught if "|" not in name)
        such_as = ", ".join(f"`{name}`" for name in list(names)[:2])
        rows.append(f"| {rule.number} | {len(rule.tests)} | {len(tried)} | {len(caught)} | {such_as} |")
        print(rows[-1], flush=True)
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", nargs="+", metavar="PACKAGE", help="crates whose mutants are tried, such as domain")
    parser.add_argument(
        "--files",
        action="append",
        default=[],
        metavar="PART",
        help="only mutants with this in their place, such as lane.rs or lane.rs:43",
    )
    parser.add_argument(
        "--tests-of",
        action="append",
        default=[],
        metavar="PACKAGE",
        help="only the tests of this crate; else of all of them",
    )
    parser.add_argument("--rules", type=int, metavar="N", help="try the tests of each rule, with N mutants each")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="how many mutants are tried at once")
    parser.add_argument(
        "--slowest", type=float, default=20.0, metavar="SECONDS", help="leave out tests that take longer"
    )
    parser.add_argument("--report", type=Path, default=ROOT / "target/schemata", help="where the results go")
    args = parser.parse_args()
    report = args.report.resolve()
    copy = report / "source"
    copy.mkdir(parents=True, exist_ok=True)
    sources = Sources(copy, args.packages)
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for file in listed.rstrip("\0").split("\0"):
        if file not in sources.text and (ROOT / file).is_file():
            sources.write(file, (ROOT / file).read_bytes())

    env = os.environ | {"RUSTFLAGS": "--cap-lints allow", "CARGO_TARGET_DIR": str(report / "target")}
    artifacts: list[dict] = []

    def cargo(command: list[str], packages: list[str]) -> list[dict]:
        """Compiles. Returns the errors."""
        line = ["cargo", command[0], *COMPILE, *command[1:]]
        line += [part for package in packages for part in ("--package", f"birdsong-{package}")]
        done = subprocess.run(line, cwd=copy, env=env, capture_output=True, text=True)
        messages = [json.loads(text) for text in done.stdout.splitlines()]
        artifacts[:] = [one for one in messages if one.get("executable") and one["profile"]["test"]]
        errors = [
            one["message"]
            for one in messages
            if one.get("reason") == "compiler-message" and one["message"]["level"] == "error"
        ]
        errors = [error for error in errors if error["spans"]]
        if done.returncode and not errors:
            sys.exit(done.stderr)
        return errors

    sources.compile(cargo)
    print("compiling the tests", flush=True)
    if errors := cargo(["test", "--no-run", "--lib", "--tests"], args.tests_of or TESTED):
        sys.exit(errors[0]["rendered"])
    tests = list_tests(artifacts)
    print(f"{len(tests)} tests, each by itself", flush=True)
    with ThreadPoolExecutor(args.jobs) as pool:
        tests = list(pool.map(lambda test: trace(test, report, args.slowest), tests))
    reaching = defaultdict(list)
    for test in tests:
        if test.passes:
            for number in test.reaches:
                reaching[number].append(test)
    left = [one for one in sources.mutants if one["id"] not in sources.excluded]
    left = [one for one in left if not args.files or any(part in one["name"] for part in args.files)]
    if args.rules:
        found = rules((ROOT / "docs/INVARIANTS.md").read_text(), [test for test in tests if test.passes])
        reached_by = {number: len(reaching[number]) for number in reaching}
        by_number = {one["id"]: one for one in left}
        (report / "rules.md").write_text(try_rules(found, by_number, reached_by, args.rules, args.jobs) + "\n")
        return
    results = []
    with ThreadPoolExecutor(args.jobs) as pool:
        for result in pool.map(lambda one: kill(one, reaching[one["id"]]), left):
            results.append(result)
            if result["outcome"] != "caught":
                print(f"{result['outcome']}: {result['name']}", flush=True)
            if len(results) % 100 == 0:
                outcomes = Counter(result["outcome"] for result in results)
                print(f"{len(results)} of {len(left)}: {dict(outcomes)}", flush=True)
    excluded = {sources.mutants[number]["name"]: why for number, why in sources.excluded.items()}
    if args.files:
        excluded = {name: why for name, why in excluded.items() if any(part in name for part in args.files)}
    found = {one["name"]: (one["file"], one["outcome"].replace("not reached", "survived")) for one in results}
    found |= {name: (name.split(":")[0], "unviable") for name in excluded}
    (report / "results.json").write_text(json.dumps({"results": results, "excluded": excluded}, indent=1))
    print(table(found, unviable="not tried"))


if __name__ == "__main__":
    main()
