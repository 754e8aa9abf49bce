"""The binary under test: its fake servers, and what `birdsong replay` counts."""

import contextlib
import json
import os
import re
import signal
import subprocess
import threading
import unittest
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BINARIES = Path(os.environ.get("BIRDSONG_BINARIES", ROOT / "target" / "debug"))
BIRDSONG = BINARIES / "birdsong"
FAKE = BINARIES / "birdsong-fake"


class Case(unittest.TestCase):
    """A test that fails when it waits for something that never comes."""

    seconds = 60

    def setUp(self) -> None:
        def abandon(*_) -> None:
            raise TimeoutError(f"not done after {self.seconds} s")

        before = signal.signal(signal.SIGALRM, abandon)
        signal.alarm(self.seconds)
        self.addCleanup(signal.signal, signal.SIGALRM, before)
        self.addCleanup(signal.alarm, 0)


@contextlib.contextmanager
def fake(server: str, *options: str) -> Iterator[str]:
    """Runs a fake server on a free port and yields its address, such as http://127.0.0.1:41234."""
    command = [FAKE, server, "--port", "0", *options]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    try:
        log = ""
        for line in process.stderr:
            log += line
            if found := re.search(r"127\.0\.0\.1:\d+", line):
                break
        else:
            raise RuntimeError(f"{command} ended with {process.wait()}: {log}")
        # Or it would wait for a reader once the pipe is full.
        threading.Thread(target=process.stderr.read, daemon=True).start()
        yield f"http://{found[0]}"
    finally:
        process.terminate()
        process.wait(10)
        process.stderr.close()


def replay(archive: Path) -> tuple[list[dict], dict]:
    """Counts all posts of an archive. Returns its windows and its ledger."""
    command = [BIRDSONG, "replay", "--memory", "--json", "--everything", "all", archive]
    done = subprocess.run(command, capture_output=True, text=True, cwd=archive.parent)
    if done.returncode != 0:
        raise RuntimeError(f"{command} ended with {done.returncode}: {done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines()], json.loads(done.stderr)
