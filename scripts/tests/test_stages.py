"""Tests of scripts/stages.py."""

from __future__ import annotations

import contextlib
import io
import os
import re
import subprocess
import sys
import tempfile
import time
import unittest
import unittest.mock
from pathlib import Path

from scripts.stages import LOW_GB, ROOT, STAGES, Stage, Stages, prepare

# Stands for make: writes when the stage started and ended, and fails if the stage has "bad" in its name. The stage "c-until-a"
# ends after "a" did; one with "busy" in its name computes for a second.
MAKE = """
import pathlib, sys, time
folder, *variables, name = pathlib.Path(sys.argv[1]), *sys.argv[2:]
print("variables", *variables)
started = time.monotonic()
print("output of", name, flush=True)
time.sleep(60 if "endless" in name else 0.3)
other = name.partition("-until-")[2]
while "busy" in name and time.process_time() < 1:
    pass
while other and not (folder / other).exists() and time.monotonic() < started + 60:
    time.sleep(0.05)
(folder / name).write_text(f"{started} {time.monotonic()}")
sys.exit("bad" in name)
"""


class Order(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def stages(self, *stages: Stage, jobs: int = 4) -> Stages:
        make = [sys.executable, "-c", MAKE, str(self.folder)]
        return Stages(list(stages), jobs, make, self.folder / "logs")

    def run_stages(self, *stages: Stage, jobs: int = 4) -> tuple[bool, str, Stages]:
        run = self.stages(*stages, jobs=jobs)
        output = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
        with contextlib.redirect_stdout(output):
            passed = run.run()
            output.flush()
        return passed, output.buffer.getvalue().decode(), run

    def times(self, name: str) -> tuple[float, float]:
        started, ended = (self.folder / name).read_text().split()
        return float(started), float(ended)

    def at_the_same_time(self, a: str, b: str) -> bool:
        return self.times(a)[0] < self.times(b)[1] and self.times(b)[0] < self.times(a)[1]

    def test_a_stage_waits_for_those_that_it_needs_and_for_no_other(self) -> None:
        passed, output, run = self.run_stages(Stage("a"), Stage("b", needs=("a",)), Stage("c"))
        self.assertTrue(passed)
        self.assertGreaterEqual(self.times("b")[0], self.times("a")[1])
        self.assertTrue(self.at_the_same_time("a", "c"))
        self.assertIn("output of b\n", output)
        self.assertRegex(run.summary(), r"passed  b +\d+ s +\d+ CPU s\n(.*\n)*\d+ s in all; all passed$")

    def test_the_processor_time_of_a_stage_is_its_own(self) -> None:
        _, _, run = self.run_stages(Stage("busy"), Stage("calm"))
        seconds = {run.stage.name: run.cpu_secs for run in run.ended}
        self.assertGreaterEqual(seconds["busy"], 1)
        self.assertLess(seconds["calm"], 1)

    def test_no_more_run_at_the_same_time_than_there_are_jobs(self) -> None:
        self.run_stages(Stage("a"), Stage("b"), Stage("c"), jobs=2)
        self.assertTrue(self.at_the_same_time("a", "b"))
        self.assertGreaterEqual(self.times("c")[0], min(self.times("a")[1], self.times("b")[1]))

    def test_stages_that_run_cargo_run_one_after_the_other(self) -> None:
        self.run_stages(Stage("a", cargo=True), Stage("b", cargo=True), Stage("c-until-a"))
        self.assertGreaterEqual(self.times("b")[0], self.times("a")[1])
        self.assertTrue(self.at_the_same_time("a", "c-until-a"))

    def test_a_failed_stage_fails_the_run_and_skips_those_that_need_it_but_no_others(self) -> None:
        passed, output, run = self.run_stages(
            Stage("bad"), Stage("b", needs=("bad",)), Stage("c", needs=("b",)), Stage("d")
        )
        self.assertFalse(passed)
        self.assertIn("output of bad\n", output)
        self.assertTrue((self.folder / "d").exists())
        self.assertFalse((self.folder / "b").exists() or (self.folder / "c").exists())
        self.assertRegex(run.summary(), r"FAILED  bad +\d+ s +\d+ CPU s\n")
        self.assertRegex(run.summary(), r"skipped b\nskipped c\n\d+ s in all; failed: bad$")

    def test_only_stages_that_need_the_build_do_not_build(self) -> None:
        _, output, _ = self.run_stages(Stage("programs"), Stage("a", needs=("programs",)), jobs=1)
        variables = re.findall(r"^variables *(.*)\noutput of (.*)", output, re.MULTILINE)
        self.assertEqual(variables, [("", "programs"), ("BUILT=1", "a")])

    @unittest.mock.patch("scripts.stages.QUIET_SECS", 0.1)
    def test_a_long_stage_is_named_while_it_runs(self) -> None:
        _, output, _ = self.run_stages(Stage("a"))
        self.assertIn("] still running: a\n", output)

    def test_what_runs_is_stopped_with_the_run(self) -> None:
        run = self.stages(Stage("endless"))
        with contextlib.redirect_stdout(io.StringIO()):
            run.start(run.waiting.pop())
        started = time.monotonic()
        run.stop()
        self.assertLess(time.monotonic() - started, 30)
        self.assertNotEqual(run.running[0].process.returncode, 0)


class Table(unittest.TestCase):
    def test_a_stage_needs_only_what_is_above_it(self) -> None:
        above: set[str] = set()
        for stage in STAGES:
            self.assertLessEqual(set(stage.needs), above, stage.name)
            above.add(stage.name)

    def test_every_stage_is_a_target_of_the_makefile_that_does_something(self) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "BUILT"))}
        for stage in STAGES:
            result = subprocess.run(
                ["make", "--dry-run", "--always-make", stage.name],
                cwd=ROOT,
                env=environment,
                capture_output=True,
                text=True,
            )
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertTrue(result.stdout.strip(), stage.name)

    def test_every_kind_of_test_in_the_makefile_is_a_stage(self) -> None:
        tests = (ROOT / "Makefile").read_text(encoding="utf-8").partition("##@ Tests")[2].partition("##@")[0]
        targets = set(re.findall(r"^([a-z0-9-]+):.* ## ", tests, re.MULTILINE)) - {"test", "e2e"}
        self.assertLessEqual(targets, {stage.name for stage in STAGES})


class Prepare(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.target = Path(folder.name)

    def prepare(self, free_gb: int) -> tuple[str | None, str | None]:
        """The warning with so much room on the disk, and CARGO_INCREMENTAL after it."""
        usage = unittest.mock.Mock(free=free_gb * 10**9)
        environ = {name: value for name, value in os.environ.items() if name != "CARGO_INCREMENTAL"}
        with (
            unittest.mock.patch("scripts.stages.shutil.disk_usage", return_value=usage),
            unittest.mock.patch.dict(os.environ, environ, clear=True),
        ):
            return prepare(self.target), os.environ.get("CARGO_INCREMENTAL")

    def test_a_fresh_clone_spares_the_disk_and_warns_if_it_is_nearly_full(self) -> None:
        self.assertEqual(self.prepare(LOW_GB), (None, "0"))
        warning, incremental = self.prepare(LOW_GB - 1)
        self.assertEqual(incremental, "0")
        self.assertIn(f"{LOW_GB - 1} GB are free", warning or "")

    def test_where_somebody_has_compiled_nothing_changes(self) -> None:
        (self.target / "debug/incremental").mkdir(parents=True)
        self.assertEqual(self.prepare(1), (None, None))


if __name__ == "__main__":
    unittest.main()
