#!/usr/bin/env python3
"""Runs the stages of `make test`, several at a time.

    scripts/stages.py [--jobs N] [STAGE...]

A stage is a target of the Makefile. STAGES lists them in the order in which they start, as soon as those that they need have
passed. At most `--jobs` run at the same time: one more than there are cores, because many of them wait for servers and downloads.
Stages that compile never run together: cargo locks its folder, and uses all cores anyway. They give way to the others, whose servers
have to answer in time.

The output of a stage is printed when it ends; meanwhile it is in target/stages/STAGE.log. When a stage fails, those that need it
are skipped, and the others still run. The last lines say how long each stage took, how much time of the processors it used, and which
ones failed. What a stage leaves running in the background, such as an emulator, is not in its processor time.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOGS = ROOT / "target/stages"
# After this time without a line, one says what runs.
QUIET_SECS = 60
# The programs, and the tests. For the stages that need the programs, the Makefile does not run cargo again, which would wait
# for another stage's cargo.
PROGRAMS = "programs"
BUILD = "test-build"
BUILT = "BUILT=1"
# With less room on the disk than this, in GB, there is a warning: a linker without room fails with an error that does not name the disk.
LOW_GB = 12


@dataclass(frozen=True)
class Stage:
    """A target of the Makefile, the stages that it needs, and whether it runs cargo."""

    name: str
    needs: tuple[str, ...] = ()
    cargo: bool = False


STAGES = [
    Stage("packages"),
    Stage(PROGRAMS, needs=("packages",), cargo=True),
    Stage("lint", needs=("packages",)),
    Stage("localstack"),
    # The longest, and mostly waiting. `localstack` installs the emulators, and stops them.
    Stage("e2e-ministack", needs=(PROGRAMS, "localstack")),
    Stage("e2e-localstack", needs=(PROGRAMS, "localstack")),
    Stage(BUILD, needs=(PROGRAMS,), cargo=True),
    Stage("infra"),
    Stage("scripts-test"),
    Stage("frontend", needs=("packages",)),
    # Tests that are compiled run beside the lints.
    Stage("rust", needs=(BUILD,)),
    Stage("clippy", needs=("packages", BUILD), cargo=True),
    Stage("docs", needs=("packages",), cargo=True),
    Stage("test-browser", needs=(PROGRAMS,)),
    Stage("contract", needs=(PROGRAMS,)),
    Stage("foreign", needs=(PROGRAMS,)),
    Stage("docs-test", needs=(PROGRAMS,)),
]


def give_way() -> None:
    """Lowers the priority of this process and of those that it will start."""
    os.nice(10)
    # Where the kernel groups processes by session, it compares groups, and "nice" counts within a group only.
    with contextlib.suppress(OSError):
        Path("/proc/self/autogroup").write_text("10")


@dataclass
class Run:
    """A stage that was started, and how it ended."""

    stage: Stage
    process: subprocess.Popen[bytes]
    log: Path
    started: float
    secs: float = 0.0
    cpu_secs: float = 0.0

    def has_ended(self) -> bool:
        """Whether it is over. Notes the processor time of its processes when it is."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        if self.process.poll() is None:
            return False
        # The processes of this stage are what has been waited for in between.
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.cpu_secs = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return True

    @property
    def passed(self) -> bool:
        """Whether it ended well."""
        return self.process.returncode == 0


class Stages:
    """Starts stages when they may start, and keeps what became of them."""

    def __init__(self, stages: list[Stage], jobs: int, make: list[str], logs: Path = LOGS):
        self.waiting = list(stages)
        self.jobs = jobs
        self.make = make
        self.logs = logs
        self.running: list[Run] = []
        self.ended: list[Run] = []
        self.skipped: list[Stage] = []
        self.started = self.said = time.monotonic()
        names = {stage.name for stage in stages}
        # What is not among the stages is expected to be there already.
        self.missing = {stage.name: set(stage.needs) & names for stage in stages}
        logs.mkdir(parents=True, exist_ok=True)

    def say(self, text: str) -> None:
        """A line of progress, with the minutes and seconds since the start."""
        self.said = time.monotonic()
        secs = int(self.said - self.started)
        print(f"[{secs // 60:02}:{secs % 60:02}] {text}", flush=True)

    def may_start(self, stage: Stage) -> bool:
        """Whether there is room for a stage, and all that it needs has passed."""
        cargo_is_free = not any(run.stage.cargo for run in self.running)
        return len(self.running) < self.jobs and not self.missing[stage.name] and (cargo_is_free or not stage.cargo)

    def start(self, stage: Stage) -> None:
        """Starts a stage in a process group of its own, so that all of it can be stopped."""
        log = self.logs / f"{stage.name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*self.make, *([BUILT] if PROGRAMS in stage.needs and not stage.cargo else []), stage.name],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=ROOT,
                start_new_session=True,
                preexec_fn=give_way if stage.cargo else None,
            )
        self.running.append(Run(stage, process, log, time.monotonic()))
        self.say(f"{stage.name} started")

    def end(self, run: Run) -> None:
        """Prints what a stage printed, and frees or skips those that need it."""
        run.secs = time.monotonic() - run.started
        self.running.remove(run)
        self.ended.append(run)
        print(f"\n==== {run.stage.name} " + "=" * max(0, 100 - len(run.stage.name)), flush=True)
        sys.stdout.buffer.write(run.log.read_bytes())
        sys.stdout.buffer.flush()
        print()
        self.say(f"{run.stage.name} {'passed' if run.passed else 'FAILED'} in {run.secs:.0f} s")
        if run.passed:
            for missing in self.missing.values():
                missing.discard(run.stage.name)
        else:
            self.skip(run.stage)

    def skip(self, failed: Stage) -> None:
        """Skips the stages that need one that did not pass, and those that need them."""
        for stage in [stage for stage in self.waiting if failed.name in stage.needs]:
            if stage in self.waiting:
                self.waiting.remove(stage)
                self.skipped.append(stage)
                self.say(f"{stage.name} skipped: it needs {failed.name}")
                self.skip(stage)

    def stop(self) -> None:
        """Stops what runs."""
        for run in self.running:
            os.killpg(run.process.pid, signal.SIGTERM)
        for run in self.running:
            run.process.wait()

    def run(self) -> bool:
        """Runs all of them. Returns whether each one passed."""
        try:
            while self.waiting or self.running:
                for stage in list(self.waiting):
                    if self.may_start(stage):
                        self.waiting.remove(stage)
                        self.start(stage)
                for run in [run for run in self.running if run.has_ended()]:
                    self.end(run)
                if time.monotonic() - self.said > QUIET_SECS:
                    self.say(f"still running: {', '.join(run.stage.name for run in self.running)}")
                time.sleep(0.1)
        except BaseException:
            self.stop()
            raise
        return not self.skipped and all(run.passed for run in self.ended)

    def summary(self) -> str:
        """A line for each stage, then one for all of them."""
        lines = [
            f"{'passed' if run.passed else 'FAILED':8}{run.stage.name:16}{run.secs:6.0f} s {run.cpu_secs:6.0f} CPU s"
            for run in self.ended
        ]
        lines += [f"skipped {stage.name}" for stage in self.skipped]
        failed = [run.stage.name for run in self.ended if not run.passed]
        secs = time.monotonic() - self.started
        result = f"failed: {', '.join(failed)}" if failed else "all passed"
        return "\n".join([*lines, f"{secs:.0f} s in all; {result}"])


def prepare(target: Path) -> str | None:
    """In a fresh clone, spares the disk. Returns a warning if the disk has little room left.

    What cargo keeps for the next compilation (`incremental`) is as large as what it builds, and takes time to write. Who has
    compiled here before keeps it.
    """
    if (target / "debug/incremental").exists():
        return None
    os.environ.setdefault("CARGO_INCREMENTAL", "0")
    free = shutil.disk_usage(ROOT).free // 10**9
    if free >= LOW_GB:
        return None
    return f"warning: {free} GB are free on this disk, which may be too little for all that is compiled and installed"


def main() -> int:
    parser = argparse.ArgumentParser(description="Runs the stages of `make test`, several at a time.")
    parser.add_argument("--jobs", type=int, default=(os.cpu_count() or 1) + 1, help="how many run at the same time")
    parser.add_argument("stages", nargs="*", metavar="STAGE", help="stages to run; all if there are none")
    given = parser.parse_args()
    if unknown := set(given.stages) - {stage.name for stage in STAGES}:
        parser.error(f"no such stage: {', '.join(sorted(unknown))}")
    stages = [stage for stage in STAGES if not given.stages or stage.name in given.stages]
    # make sets these for the commands that it runs; what a stage's make needs of them is in its arguments.
    for name in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL"):
        os.environ.pop(name, None)
    if warning := prepare(Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))):
        print(warning, file=sys.stderr, flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    run = Stages(stages, max(1, given.jobs), ["make", "--no-print-directory"])
    try:
        passed = run.run()
    except KeyboardInterrupt:
        return 130
    print(f"\n{run.summary()}", flush=True)
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
