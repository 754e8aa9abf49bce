"""The Runtime API as a runtime sees it, over plain HTTP."""

import json
import socket
import threading
import unittest
from http.client import HTTPConnection

from process_executor.runtime_api import MAX_ANSWER_BYTES, PREFIX, InitFailed, Invocation, RuntimeApi, RuntimeGone

SOON = 10


class RuntimeApiTest(unittest.TestCase):
    def setUp(self):
        self.api = RuntimeApi()
        self.addCleanup(self.api.close, "the test is over")
        self.runtime = self.connect()

    def connect(self) -> HTTPConnection:
        connection = HTTPConnection(self.api.address, timeout=SOON)
        self.addCleanup(connection.close)
        return connection

    def next(self, connection=None):
        connection = connection or self.runtime
        connection.request("GET", f"{PREFIX}/invocation/next")
        response = connection.getresponse()
        return response, response.read()

    def post(self, path: str, body, **options) -> int:
        self.runtime.request("POST", f"{PREFIX}/{path}", body, **options)
        response = self.runtime.getresponse()
        response.read()
        return response.status

    def invoke(self, request_id: str = "one", payload: bytes = b"{}") -> Invocation:
        invocation = Invocation(request_id, payload, 1234, "arn:of:it", "Root=1")
        self.api.invoke(invocation)
        return invocation

    def test_hands_over_the_event_and_takes_the_answer(self):
        invocation = self.invoke(payload=b'{"a": 1}')
        response, event = self.next()
        self.assertEqual((response.status, event), (200, b'{"a": 1}'))
        self.assertEqual(response.headers["Lambda-Runtime-Aws-Request-Id"], "one")
        self.assertEqual(response.headers["Lambda-Runtime-Deadline-Ms"], "1234")
        self.assertEqual(response.headers["Lambda-Runtime-Invoked-Function-Arn"], "arn:of:it")
        self.assertEqual(response.headers["Lambda-Runtime-Trace-Id"], "Root=1")
        self.assertEqual(self.post("invocation/one/response", b'"done"'), 202)
        answer = invocation.answer.result(SOON)
        self.assertEqual((answer.payload, answer.is_error), (b'"done"', False))

    def test_next_waits_for_an_invocation(self):
        got = []
        waiting = threading.Thread(target=lambda: got.append(self.next()[1]))
        waiting.start()
        self.api.started.result(SOON)
        self.assertEqual(got, [])
        self.invoke(payload=b'"late"')
        waiting.join(SOON)
        self.assertEqual(got, [b'"late"'])

    def test_an_error_is_an_answer(self):
        invocation = self.invoke()
        self.next()
        self.assertEqual(self.post("invocation/one/error", b'{"errorType":"E"}'), 202)
        answer = invocation.answer.result(SOON)
        self.assertEqual((answer.payload, answer.is_error), (b'{"errorType":"E"}', True))

    def test_chunked_bodies_with_trailers(self):
        invocation = self.invoke()
        self.next()
        with socket.create_connection(self.runtime.sock.getpeername(), SOON) as raw:
            raw.sendall(
                f"POST {PREFIX}/invocation/one/response HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                "3;name=value\r\n[1,\r\nA\r\n2,3,4,5,6]\r\n0\r\nA-Trailer: x\r\nAnother: y\r\n\r\n".encode()
            )
            self.assertIn(b" 202 ", raw.recv(1000))
            # The connection is in step after the trailers: it serves a second request.
            raw.sendall(b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n")
            self.assertIn(b" 404 ", raw.recv(1000))
        self.assertEqual(invocation.answer.result(SOON).payload, b"[1,2,3,4,5,6]")

    def test_a_body_that_breaks_off_is_no_answer(self):
        invocation = self.invoke()
        self.next()
        with socket.create_connection(self.runtime.sock.getpeername(), SOON) as raw:
            raw.sendall(f"POST {PREFIX}/invocation/one/response HTTP/1.1\r\nContent-Length: 10\r\n\r\n[1,".encode())
            raw.shutdown(socket.SHUT_WR)
            self.assertEqual(raw.recv(1000), b"")
        self.assertFalse(invocation.answer.done())
        self.assertEqual(self.post("invocation/one/response", b"[]"), 202)

    def test_an_answer_to_another_invocation_is_refused(self):
        invocation = self.invoke()
        self.next()
        self.assertEqual(self.post("invocation/two/response", b"1"), 400)
        self.assertEqual(self.post("invocation/one/response", b"2"), 202)
        self.assertEqual(self.post("invocation/one/response", b"3"), 400)
        self.assertEqual(invocation.answer.result(SOON).payload, b"2")

    def test_an_answer_over_the_quota_is_an_error(self):
        invocation = self.invoke("fits")
        self.next()
        self.assertEqual(self.post("invocation/fits/response", b"x" * MAX_ANSWER_BYTES), 202)
        self.assertFalse(invocation.answer.result(SOON).is_error)
        invocation = self.invoke("too-large")
        self.next()
        self.assertEqual(self.post("invocation/too-large/response", b"x" * (MAX_ANSWER_BYTES + 1)), 413)
        answer = invocation.answer.result(SOON)
        self.assertTrue(answer.is_error)
        self.assertEqual(json.loads(answer.payload)["errorType"], "Function.ResponseSizeTooLarge")

    def test_an_init_error_ends_the_start(self):
        self.assertEqual(self.post("init/error", b'{"errorType":"Config"}'), 202)
        with self.assertRaises(InitFailed) as raised:
            self.api.started.result(SOON)
        self.assertEqual(raised.exception.payload, b'{"errorType":"Config"}')

    def test_unknown_paths(self):
        self.assertEqual(self.post("invocation/one", b""), 404)
        self.assertEqual(self.post("invocation/one/other", b""), 404)
        self.runtime.request("GET", "/")
        self.assertEqual(self.runtime.getresponse().status, 404)

    def test_a_caller_that_hung_up_gets_no_invocation(self):
        gone = self.connect()
        gone.request("GET", f"{PREFIX}/invocation/next")
        self.api.started.result(SOON)
        gone.close()
        self.invoke(payload=b'"kept"')
        self.assertEqual(self.next()[1], b'"kept"')

    def test_close_fails_what_waits_and_what_comes_later(self):
        before = self.invoke("before")
        self.api.close("it crashed")
        for future in (before.answer, self.invoke("after").answer, self.api.started):
            with self.assertRaisesRegex(RuntimeGone, "it crashed"):
                future.result(SOON)

    def test_close_stops_listening(self):
        address = ("127.0.0.1", int(self.api.address.rpartition(":")[2]))
        server = next(t for t in threading.enumerate() if t.name == f"runtime-api-{self.api.address}")
        self.api.close("over")
        server.join(SOON)
        with self.assertRaises(ConnectionRefusedError):
            socket.create_connection(address, SOON)


if __name__ == "__main__":
    unittest.main()
