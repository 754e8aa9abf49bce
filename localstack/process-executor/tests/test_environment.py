"""Whole environments: small programs as bootstrap, and all that can happen to them."""

import json
import os
import signal
import statistics
import sys
import tempfile
import textwrap
import threading
import time
import unittest
from pathlib import Path
from unittest import mock

from process_executor.environment import MAX_OUTPUT_BYTES, Environment, _Output
from process_executor.runtime_api import InitFailed, RuntimeGone

SOON = 10

# What every bootstrap here begins with; `handle` stands for the function, it says what to do with one event.
# The real path of Python, because a shebang takes no blanks and the folder of a venv may have some.
RUNTIME = (
    f"#!{os.path.realpath(sys.executable)}"
    + """
import http.client, json, os, signal, subprocess, sys, time
api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
def call(method, path, body=None, **options):
    api.request(method, "/2018-06-01/runtime/" + path, body, **options)
    response = api.getresponse()
    return response, response.read()
def serve(handle):
    while True:
        response, event = call("GET", "invocation/next")
        request_id = response.headers["Lambda-Runtime-Aws-Request-Id"]
        try:
            kind, answer = "response", handle(json.loads(event))
        except Exception as error:
            kind, answer = "error", {"errorType": type(error).__name__, "errorMessage": str(error)}
        call("POST", f"invocation/{request_id}/{kind}", json.dumps(answer))
"""
)


class EnvironmentTest(unittest.TestCase):
    def setUp(self):
        self.code = Path(self.enterContext(tempfile.TemporaryDirectory()))

    def environment(self, bootstrap: str, timeout_secs: float = SOON, runtime: str = RUNTIME) -> Environment:
        path = self.code / "bootstrap"
        path.write_text(runtime + textwrap.dedent(bootstrap))
        path.chmod(0o755)
        environment = Environment(str(self.code), {"FROM_CONFIG": "yes"}, timeout_secs)
        self.addCleanup(environment.stop)
        return environment

    def started(self, bootstrap: str, **options) -> Environment:
        environment = self.environment(bootstrap, **options)
        environment.start()
        return environment

    def invoke(self, environment: Environment, event=None):
        """The answer, decoded, and whether it is an error."""
        outcome = environment.invoke("id", json.dumps(event).encode())
        return json.loads(outcome.answer.payload), outcome.answer.is_error

    def assert_error(self, environment: Environment, event, kind: str, message: str):
        answer, is_error = self.invoke(environment, event)
        self.assertTrue(is_error, answer)
        self.assertEqual(answer["errorType"], kind)
        self.assertRegex(answer["errorMessage"], message)

    def assert_ends(self, pid: int):
        for _ in range(SOON * 100):
            try:
                state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            except (FileNotFoundError, ProcessLookupError):
                return
            if state == "Z":  # dead; whoever adopted it has yet to notice
                return
            time.sleep(0.01)
        self.fail(f"process {pid} still runs")

    def test_one_process_answers_many_invocations(self):
        environment = self.started("serve(lambda event: [event, os.getpid()])")
        (first, pid), is_error = self.invoke(environment, {"a": 1})
        self.assertEqual((first, is_error), ({"a": 1}, False))
        self.assertEqual(self.invoke(environment, 2), ([2, pid], False))

    def test_no_delay_by_the_network_stack(self):
        environment = self.started("serve(lambda event: event)")
        times = [environment.invoke("id", b"1").duration_ms for _ in range(21)]
        self.assertLess(statistics.median(times), 30)  # 40 ms and more where Nagle meets the delayed acknowledgement

    def test_what_the_function_finds_around_it(self):
        os.environ["OF_THE_PARENT"] = "secret"
        self.addCleanup(os.environ.pop, "OF_THE_PARENT")
        environment = self.started("serve(lambda event: [dict(os.environ), os.getcwd()])")
        (variables, directory), _ = self.invoke(environment)
        self.assertEqual(variables["FROM_CONFIG"], "yes")
        self.assertEqual(variables["LAMBDA_TASK_ROOT"], str(self.code))
        self.assertIn("PATH", variables)
        self.assertNotIn("OF_THE_PARENT", variables)
        self.assertEqual(directory, str(self.code))

    def test_the_deadline_is_the_time_out(self):
        environment = self.started(
            """
            response, _ = call("GET", "invocation/next")
            left = int(response.headers["Lambda-Runtime-Deadline-Ms"]) - time.time() * 1000
            call("POST", "invocation/id/response", json.dumps(left))
            """
        )
        left, _ = self.invoke(environment)
        self.assertTrue((SOON - 1) * 1000 < left <= SOON * 1000, left)

    def test_an_error_of_the_function(self):
        environment = self.started("serve(lambda event: 1 / 0)")
        self.assert_error(environment, None, "ZeroDivisionError", "division by zero")

    def test_a_large_answer_in_chunks(self):
        environment = self.started(
            """
            call("GET", "invocation/next")
            parts = [b'"', *[b"x" * 100_000] * 20, b'"']
            call("POST", "invocation/id/response", iter(parts), headers={"Transfer-Encoding": "chunked"}, encode_chunked=True)
            time.sleep(60)
            """
        )
        self.assertEqual(self.invoke(environment), ("x" * 2_000_000, False))

    def test_restart_after_a_crash(self):
        environment = self.started("serve(lambda event: os._exit(3) if event == 'crash' else 'well')")
        self.assert_error(environment, "crash", "Runtime.ExitError", "^RequestId: id Error: .*exit status 3$")
        self.assertEqual(self.invoke(environment), ("well", False))

    def test_exit_without_an_error_is_an_error(self):
        environment = self.started("serve(lambda event: os._exit(0))")
        self.assert_error(environment, None, "Runtime.ExitError", "without providing a reason")

    def test_death_by_a_signal(self):
        environment = self.started("serve(lambda event: os.kill(os.getpid(), signal.SIGSEGV))")
        self.assert_error(environment, None, "Runtime.ExitError", "signal: segmentation fault")

    def test_restart_after_a_time_out(self):
        environment = self.started(
            "serve(lambda event: time.sleep(60) if event == 'sleep' else 'awake')", timeout_secs=1
        )
        begin = time.monotonic()
        self.assert_error(environment, "sleep", "Sandbox.Timedout", r"Task timed out after 1\.00 seconds")
        self.assertLess(time.monotonic() - begin, SOON)
        self.assertEqual(self.invoke(environment), ("awake", False))

    def test_children_end_with_a_time_out(self):
        environment = self.started(
            """
            def handle(event):
                print(subprocess.Popen(["sleep", "60"]).pid, flush=True)
                time.sleep(60)
            serve(handle)
            """,
            timeout_secs=1,
        )
        outcome = environment.invoke("id", b"1")
        self.assertTrue(outcome.answer.is_error)
        self.assert_ends(int(outcome.output))

    def test_an_init_error(self):
        environment = self.environment(
            'print("no table", flush=True); call("POST", "init/error", b\'{"errorType":"X"}\')'
        )
        with self.assertRaises(InitFailed) as raised:
            environment.start()
        self.assertEqual(raised.exception.payload, b'{"errorType":"X"}')
        self.assertEqual(environment.output(), "no table\n")

    def test_a_crash_in_init(self):
        environment = self.environment("sys.exit(7)")
        with self.assertRaisesRegex(InitFailed, "Runtime.ExitError.*exit status 7"):
            environment.start()

    def test_no_bootstrap(self):
        with self.assertRaisesRegex(InitFailed, "Runtime.InvalidEntrypoint.*bootstrap"):
            Environment(str(self.code), {}, SOON).start()

    def test_a_bootstrap_for_another_machine(self):
        environment = self.environment("", runtime="\x7fELF of a strange kind")
        with self.assertRaisesRegex(InitFailed, "Runtime.InvalidEntrypoint.*for this machine"):
            environment.start()

    def test_a_restart_that_fails_is_the_answer(self):
        environment = self.started(
            """
            if os.path.exists("crashed"):
                call("POST", "init/error", b'{"errorType":"Again","errorMessage":"no"}')
            open("crashed", "w").close()
            serve(lambda event: os._exit(1))
            """
        )
        self.assert_error(environment, None, "Runtime.ExitError", "exit status 1")
        self.assert_error(environment, None, "Again", "no")

    def test_a_restart_that_hangs_runs_out_of_time(self):
        environment = self.started(
            """
            if os.path.exists("crashed"):
                time.sleep(60)
            open("crashed", "w").close()
            serve(lambda event: os._exit(1))
            """,
            timeout_secs=1,
        )
        self.assert_error(environment, None, "Runtime.ExitError", "exit status 1")
        self.assert_error(environment, None, "Sandbox.Timedout", "timed out")

    def test_killed_from_outside_while_idle(self):
        environment = self.started("serve(lambda event: os.getpid())")
        for _ in range(10):  # often, since the next invocation races with the news of the death
            pid, _ = self.invoke(environment)
            os.kill(pid, signal.SIGKILL)
            self.assert_ends(pid)
            again, is_error = self.invoke(environment)
            self.assertFalse(is_error, again)
            self.assertNotEqual(again, pid)

    def test_killed_from_outside_while_running(self):
        environment = self.started(
            """
            def handle(event):
                if event == "wait":
                    open("running", "w").write(str(os.getpid()))
                    os.rename("running", "pid")
                    time.sleep(60)
                return "well"
            serve(handle)
            """
        )

        def kill():
            while not (self.code / "pid").exists():
                time.sleep(0.01)
            os.kill(int((self.code / "pid").read_text()), signal.SIGKILL)

        threading.Thread(target=kill).start()
        self.assert_error(environment, "wait", "Runtime.ExitError", "signal: killed")
        self.assertEqual(self.invoke(environment), ("well", False))

    def test_the_death_of_a_shell_whose_child_waits_for_work(self):
        # The child holds the connection and the output of the dead shell: neither must keep the environment waiting.
        environment = self.started(
            """
            next=http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation
            while curl -sS -o event "$next/next"; do
                curl -sS -o reply -d "$$" "$next/id/response"
            done
            """,
            runtime="#!/bin/bash\n",
        )
        pid, _ = self.invoke(environment)
        process = environment._process
        os.kill(pid, signal.SIGKILL)
        for _ in range(SOON * 100):  # until then the child may still take an invocation, and lose it
            if process.is_gone():
                break
            time.sleep(0.01)
        self.assertTrue(process.is_gone())
        again, is_error = self.invoke(environment)
        self.assertFalse(is_error, again)
        self.assertNotEqual(again, pid)

    def test_output_belongs_to_its_invocation(self):
        environment = self.started('print("init", flush=True); serve(lambda event: print(event, flush=True))')
        outputs = [environment.invoke("id", str(n).encode()).output for n in range(50)]
        self.assertEqual(outputs, ["init\n0\n", *(f"{n}\n" for n in range(1, 50))])

    def test_taking_the_output_does_not_depend_on_the_reader_being_fast(self):
        read_end, write_end = os.pipe()
        self.addCleanup(os.close, write_end)
        with open(read_end, "rb") as pipe, mock.patch.object(_Output, "_follow"):
            output = _Output()
            output.follow(pipe)
            os.write(write_end, b"just written")
            self.assertEqual(output.take(), "just written")

    def test_last_words_before_a_crash(self):
        environment = self.started('serve(lambda event: os.write(2, b"sorry, no newline") and os._exit(1))')
        self.assertEqual(environment.invoke("id", b"1").output, "sorry, no newline")

    def test_output_is_bounded(self):
        environment = self.started('serve(lambda event: [print("line", n, flush=True) for n in range(300_000)] and 1)')
        output = environment.invoke("id", b"1").output
        self.assertLess(len(output), MAX_OUTPUT_BYTES + 100)
        self.assertRegex(output.splitlines()[0], r"^\[\d+ older bytes dropped\]$")
        self.assertTrue(output.endswith("line 299999\n"))

    def test_stop_ends_the_process_and_its_children(self):
        environment = self.started(
            """
            child = subprocess.Popen(["sleep", "60"])
            serve(lambda event: [os.getpid(), child.pid])
            """
        )
        pids, _ = self.invoke(environment)
        environment.stop()
        for pid in pids:
            self.assert_ends(pid)
        with self.assertRaises(RuntimeGone):
            self.invoke(environment)

    def test_stop_interrupts_a_start(self):
        environment = self.environment("time.sleep(60)")
        threading.Timer(0.2, environment.stop).start()
        with self.assertRaises(RuntimeGone):
            environment.start()

    def test_stop_interrupts_an_invocation(self):
        environment = self.started("serve(lambda event: time.sleep(60))", timeout_secs=60)
        threading.Timer(0.2, environment.stop).start()
        with self.assertRaises(RuntimeGone):
            self.invoke(environment)

    def test_many_restarts_leave_nothing_behind(self):
        environment = self.started("serve(lambda event: os._exit(1))")
        self.invoke(environment)
        self.invoke(environment)
        threads, files = threading.active_count(), len(os.listdir("/proc/self/fd"))
        for _ in range(20):
            self.invoke(environment)
        for _ in range(SOON * 100):  # handlers of closed connections end a moment later
            if threading.active_count() <= threads and len(os.listdir("/proc/self/fd")) <= files:
                return
            time.sleep(0.01)
        self.fail(f"{threading.active_count()} threads, once {threads}; {os.listdir('/proc/self/fd')}, once {files}")


if __name__ == "__main__":
    unittest.main()
