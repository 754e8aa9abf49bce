"""An execution environment: a function's process with its Runtime API and its output."""

import os
import select
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from typing import IO

from .runtime_api import Answer, InitFailed, Invocation, RuntimeApi, RuntimeGone, error_document

# What Lambda sets for every function of a `provided.*` runtime.
BASE_VARIABLES = {"LANG": "en_US.UTF-8", "PATH": "/usr/local/bin:/usr/bin:/bin:/opt/bin"}

# Of what a process writes during one invocation this much is kept, the newest.
MAX_OUTPUT_BYTES = 1024 * 1024


@dataclass
class Outcome:
    """How an invocation went."""

    answer: Answer
    output: str  # what the process wrote since the invocation before
    duration_ms: float


class Environment:
    """Runs `bootstrap` of the directory `code`, and invokes it one invocation at a time.

    As on AWS, the process lives on between invocations. One that crashed or ran out of time is started again by the next
    invocation, and that start counts against the invocation's time. `stop` may be called from any thread.
    """

    def __init__(self, code: str, variables: dict[str, str], timeout_secs: float):
        self._code = code
        self._variables = variables
        self._timeout_secs = timeout_secs
        self._output = _Output()
        self._process: _Process | None = None
        self._stopped = False
        self._lock = threading.Lock()

    def start(self) -> None:
        """Start the process and wait until it asks for its first invocation.

        Raises `InitFailed` when it cannot start, and `RuntimeGone` when `stop` came first.
        """
        process = self._live_process()
        try:
            process.api.started.result()
        except InitFailed:
            process.kill()
            raise
        except RuntimeGone as gone:
            if self._stopped:
                raise
            raise InitFailed(error_document("Runtime.ExitError", f"Error: {gone}")) from gone

    def invoke(self, request_id: str, payload: bytes, function_arn: str = "", trace_id: str = "") -> Outcome:
        """Give the function one event. Its errors, crashes and time-outs are answers too.

        Raises `RuntimeGone` when `stop` comes before the answer.
        """
        begin = time.monotonic()
        deadline_ms = int((time.time() + self._timeout_secs) * 1000)
        answer = None
        while answer is None:
            invocation = Invocation(request_id, payload, deadline_ms, function_arn, trace_id)
            answer = self._try(invocation, begin + self._timeout_secs)
        return Outcome(answer, self._output.take(), (time.monotonic() - begin) * 1000)

    def stop(self) -> None:
        """End the process and all that it started. The environment cannot be used again."""
        with self._lock:
            self._stopped = True
            process = self._process
        if process:
            process.kill()

    def output(self) -> str:
        """What the process wrote since the last invocation; it stays there for the next one."""
        return self._output.peek()

    def _try(self, invocation: Invocation, give_up_at: float) -> Answer | None:
        """None when a process that waited for work was gone before it saw this one: it must go to another."""
        who = f"RequestId: {invocation.request_id} Error:"
        process = None
        waited_for_work = False
        try:
            process = self._live_process()
            waited_for_work = process.api.started.done()
            process.api.started.result(max(0, give_up_at - time.monotonic()))
            process.api.invoke(invocation)
            return invocation.answer.result(max(0, give_up_at - time.monotonic()))
        except TimeoutError:
            process.kill()
            message = f"{who} Task timed out after {self._timeout_secs:.2f} seconds"
            return Answer(error_document("Sandbox.Timedout", message), is_error=True)
        except InitFailed as failed:
            if process:
                process.kill()
            return Answer(failed.payload, is_error=True)
        except RuntimeGone as gone:
            if self._stopped:
                raise
            if waited_for_work and not invocation.delivered:
                return None
            return Answer(error_document("Runtime.ExitError", f"{who} {gone}"), is_error=True)

    def _live_process(self) -> "_Process":
        with self._lock:
            if self._stopped:
                raise RuntimeGone("the environment was stopped")
            if self._process is None or self._process.is_gone():
                self._process = _Process(self._code, self._variables, self._output)
            return self._process


class _Process:
    """One run of a bootstrap. `api` closes by itself when the process ends."""

    def __init__(self, code: str, variables: dict[str, str], output: "_Output"):
        self.api = RuntimeApi()
        own = {
            "AWS_LAMBDA_RUNTIME_API": self.api.address,
            "LAMBDA_TASK_ROOT": code,
            "LD_LIBRARY_PATH": f"{code}:{code}/lib",
        }
        try:
            self._popen = subprocess.Popen(
                [os.path.join(code, "bootstrap")],
                cwd=code,
                env=BASE_VARIABLES | variables | own,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                process_group=0,  # so that what it starts can be ended with it
            )
        except OSError as error:
            self.api.close("never started")
            message = (
                f"Error: cannot run {error.filename}: {error.strerror}. It must be an executable for this machine."
            )
            raise InitFailed(error_document("Runtime.InvalidEntrypoint", message)) from error
        self._reaping = threading.Lock()
        self._reader = output.follow(self._popen.stdout)
        self._reaper = threading.Thread(target=self._reap, daemon=True)
        self._reaper.start()

    def is_gone(self) -> bool:
        return not self._reaper.is_alive()

    def kill(self) -> None:
        """End the process if it still runs; afterwards it is gone and its output is read."""
        with self._reaping:
            if self._popen.returncode is None:
                os.killpg(self._popen.pid, signal.SIGKILL)
        self._reaper.join()

    def _reap(self) -> None:
        # WNOWAIT: until it is reaped the id of the group cannot be used anew, so only our own are killed.
        os.waitid(os.P_PID, self._popen.pid, os.WEXITED | os.WNOWAIT)
        with self._reaping:
            os.killpg(self._popen.pid, signal.SIGKILL)
            code = self._popen.wait()
        # A child that left the group may hold the output open forever; do not wait for that one.
        self._reader.join(1)
        if code == 0:
            self.api.close("Runtime exited without providing a reason")
        elif code > 0:
            self.api.close(f"Runtime exited with error: exit status {code}")
        else:
            self.api.close(f"Runtime exited with error: signal: {signal.strsignal(-code).lower()}")


class _Output:
    """What processes wrote, bounded."""

    def __init__(self):
        self._text = bytearray()
        self._dropped_bytes = 0
        self._pipes: set[IO[bytes]] = set()
        self._lock = threading.Lock()

    def follow(self, pipe: IO[bytes]) -> threading.Thread:
        """Read `pipe` from now on; the thread ends when the pipe does."""
        os.set_blocking(pipe.fileno(), False)
        with self._lock:
            self._pipes.add(pipe)
        thread = threading.Thread(target=self._follow, args=(pipe,), daemon=True)
        thread.start()
        return thread

    def take(self) -> str:
        """All there is, and forget it."""
        with self._lock:
            # An answer can overtake the lines that were written before it: they may still be in the pipe.
            for pipe in list(self._pipes):
                self._read(pipe)
            text = self._render()
            self._text.clear()
            self._dropped_bytes = 0
        return text

    def peek(self) -> str:
        with self._lock:
            return self._render()

    def _follow(self, pipe: IO[bytes]) -> None:
        readable = select.poll()
        readable.register(pipe, select.POLLIN)
        while pipe in self._pipes:
            readable.poll()
            with self._lock:
                self._read(pipe)
        pipe.close()

    def _read(self, pipe: IO[bytes]) -> None:
        try:
            data = os.read(pipe.fileno(), MAX_OUTPUT_BYTES)
        except BlockingIOError:
            return
        if not data:
            self._pipes.discard(pipe)
        self._text += data
        excess = max(0, len(self._text) - MAX_OUTPUT_BYTES)
        del self._text[:excess]
        self._dropped_bytes += excess

    def _render(self) -> str:
        text = self._text.decode(errors="replace")
        return f"[{self._dropped_bytes} older bytes dropped]\n{text}" if self._dropped_bytes else text
