"""The Lambda Runtime API, served to one process.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

import contextlib
import json
import queue
import socket
import threading
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PREFIX = "/2018-06-01/runtime"

# Lambda's quota for the answer of a synchronous invocation: 6 MB and 100 bytes.
MAX_ANSWER_BYTES = 6 * 1024 * 1024 + 100


class RuntimeGone(Exception):
    """No answer will come: the process ended, or was ended, before it gave one. The text says how it ended."""


class InitFailed(Exception):
    """The runtime reported that it cannot start. `payload` is the JSON document that describes the error."""

    def __init__(self, payload: bytes):
        super().__init__(payload.decode(errors="replace"))
        self.payload = payload


@dataclass
class Answer:
    """What an invocation gave: the function's answer, or the JSON document that describes its error."""

    payload: bytes
    is_error: bool = False


@dataclass
class Invocation:
    """One event on its way to the function and back."""

    request_id: str
    payload: bytes
    deadline_ms: int  # milliseconds since 1970
    function_arn: str = ""
    trace_id: str = ""
    delivered: bool = False  # whether the function may have seen it
    answer: "Future[Answer]" = field(default_factory=Future)


class RuntimeApi:
    """Serves one process: hands it one invocation at a time, and takes its answers.

    A process that is started again gets a new `RuntimeApi`, so nothing that the old one left behind (an open connection, a
    late answer) can reach the new one.
    """

    def __init__(self):
        self.started: Future[None] = Future()  # done when the runtime asks for its first invocation
        self._waiting: queue.Queue[Invocation | None] = queue.Queue()
        self._current: Invocation | None = None
        self._lock = threading.Lock()
        self._gone: RuntimeGone | None = None
        self._server = _Server(self)
        self.address = "{}:{}".format(*self._server.server_address)
        threading.Thread(target=self._server.run, name=f"runtime-api-{self.address}", daemon=True).start()

    def invoke(self, invocation: Invocation) -> None:
        """Queue an invocation; `invocation.answer` has the outcome. The previous one must be done."""
        with self._lock:
            self._current = invocation
            if self._gone:
                invocation.answer.set_exception(self._gone)
                return
        self._waiting.put(invocation)

    def close(self, how: str) -> None:
        """End the service. Whoever still waits for an answer gets `RuntimeGone(how)`. Closing twice is the same as once."""
        with self._lock:
            if self._gone:
                return
            self._gone = RuntimeGone(how)
            current = self._current
        _settle(self.started, error=self._gone)
        if current:
            _settle(current.answer, error=self._gone)
        self._waiting.put(None)
        self._server.stop()

    # The rest is called by the request handlers.

    def next(self, connection: socket.socket) -> Invocation | None:
        """Wait for an invocation to hand to the caller behind `connection`; None when there will be none."""
        _settle(self.started)
        invocation = self._waiting.get()
        if invocation is None or _is_closed(connection):
            # Not for this caller: leave it to the next one.
            self._waiting.put(invocation)
            return None
        invocation.delivered = True
        return invocation

    def take_answer(self, request_id: str, answer: Answer) -> bool:
        """False when `request_id` is not the invocation that waits for an answer."""
        with self._lock:
            current = self._current
        return current is not None and current.request_id == request_id and _settle(current.answer, answer)

    def take_init_error(self, payload: bytes) -> None:
        _settle(self.started, error=InitFailed(payload))


def error_document(kind: str, message: str) -> bytes:
    """An error as Lambda writes it."""
    return json.dumps({"errorType": kind, "errorMessage": message}).encode()


def _settle(future: Future, value=None, error: Exception | None = None) -> bool:
    """Set the outcome of `future`; False when it had one already."""
    try:
        if error:
            future.set_exception(error)
        else:
            future.set_result(value)
    except InvalidStateError:
        return False
    return True


def _is_closed(connection: socket.socket) -> bool:
    """Whether the other side has hung up. While it waits for an answer a runtime sends nothing."""
    try:
        connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, api: RuntimeApi):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.api = api
        self._stopping = False

    def run(self) -> None:
        # `serve_forever` would look twice a second whether to stop; this waits for connections alone.
        while not self._stopping:
            self.handle_request()
        self.server_close()

    def stop(self) -> None:
        self._stopping = True
        with contextlib.suppress(ConnectionError):  # refused: it has stopped already, after a connection of another
            socket.create_connection(self.server_address).close()

    def handle_error(self, request, client_address) -> None:
        pass  # The process hung up, for one because it was killed. Whoever waits for it learns so from its exit.


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Send head and body of an answer together and at once: as two small packets they take 40 ms.
    wbufsize = -1
    disable_nagle_algorithm = True

    @property
    def api(self) -> RuntimeApi:
        return self.server.api

    def do_GET(self) -> None:
        if self.path != f"{PREFIX}/invocation/next":
            return self._send(404)
        invocation = self.api.next(self.connection)
        if invocation is None:
            self.close_connection = True
            return None
        return self._send(
            200,
            invocation.payload,
            {
                "Content-Type": "application/json",
                "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
                "Lambda-Runtime-Deadline-Ms": str(invocation.deadline_ms),
                "Lambda-Runtime-Invoked-Function-Arn": invocation.function_arn,
                "Lambda-Runtime-Trace-Id": invocation.trace_id,
            },
        )

    def do_POST(self) -> None:
        body = self._body()
        match self.path.removeprefix(f"{PREFIX}/").split("/"):
            case ["init", "error"]:
                self.api.take_init_error(body)
                self._accept()
            case ["invocation", request_id, "error"]:
                self._take(request_id, Answer(body, is_error=True))
            case ["invocation", request_id, "response"] if len(body) > MAX_ANSWER_BYTES:
                message = f"Response payload size exceeded maximum allowed payload size ({MAX_ANSWER_BYTES} bytes)."
                too_large = error_document("Function.ResponseSizeTooLarge", message)
                self._take(request_id, Answer(too_large, is_error=True), status=413)
            case ["invocation", request_id, "response"]:
                self._take(request_id, Answer(body))
            case _:
                self._send(404)

    def _take(self, request_id: str, answer: Answer, status: int = 202) -> None:
        if not self.api.take_answer(request_id, answer):
            self._send(400, error_document("InvalidRequestID", f"{request_id} is not the invocation at work"))
        elif status == 202:
            self._accept()
        else:
            self._send(status, answer.payload)

    def _accept(self) -> None:
        self._send(202, b'{"status":"OK"}')

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self._read(int(self.headers.get("Content-Length", 0)))
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self._read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass  # trailers
        return b"".join(chunks)

    def _read(self, size: int) -> bytes:
        data = self.rfile.read(size)
        if len(data) < size:
            raise ConnectionError("the runtime hung up in the middle of a body")
        return data

    def _send(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args) -> None:
        pass  # LocalStack logs the invocations; a line per request would say nothing new.
