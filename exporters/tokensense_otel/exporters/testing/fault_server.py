"""A raw-socket HTTP server that misbehaves on demand, on loopback.

It does what mock transports cannot: resets, dripped headers and bodies, half answers, silence, huge answers. Every
request is recorded before it is answered.

    with FaultServer() as server:
        server.next(Fault(429, headers={"Retry-After": "3"}))
        …post to server.url("/hook")…
        assert server.requests[0].body == b"…"
"""

import contextlib
import socket
import struct
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

_DRIP_S = 0.05


@dataclass(frozen=True, slots=True)
class Fault:
    """What to answer. `kind` is one of

    `answer`: status, headers and body; `reset`: RST after the request was read; `hang`: read it and say nothing;
    `drip-headers`, `drip-body`: a few bytes at a time without end; `cut`: half of a body; `huge`: `size` bytes of it.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b"ok"
    kind: str = "answer"
    size: int = 0


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


class FaultServer:
    """Answers `default` unless `next` queued something else. Leaving the context ends every connection."""

    def __init__(self, default: Fault | None = None) -> None:
        self.default = default or Fault()
        self.requests: list[Request] = []
        self.connections = 0
        self._queue: deque[Fault] = deque()
        self._arrived = threading.Condition()
        self._closing = threading.Event()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]

    def url(self, path: str = "/", *, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    def next(self, *faults: Fault) -> None:
        """Answer the requests to come with these, one each."""
        self._queue.extend(faults)

    def wait_for(self, count: int, timeout_s: float = 10.0) -> list[Request]:
        """The requests, once there are `count` of them.

        Raises:
            TimeoutError: when there are not in time.
        """
        with self._arrived:
            if not self._arrived.wait_for(lambda: len(self.requests) >= count, timeout_s):
                raise TimeoutError(f"{len(self.requests)} requests of {count} came")
        return list(self.requests)

    def __enter__(self) -> Self:
        self._run(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _run(self, target: object, *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.add(connection)
            self._run(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError), connection:
            while (request := _read(connection)) is not None:
                with self._arrived:
                    fault = self._queue.popleft() if self._queue else self.default
                    self.requests.append(request)
                    self._arrived.notify_all()
                if not self._answer(connection, fault):
                    break
        self._open.discard(connection)

    def _answer(self, connection: socket.socket, fault: Fault) -> bool:
        """Commit the fault; whether the connection can be used again."""
        if fault.kind == "answer":
            connection.sendall(_head(fault, len(fault.body)) + fault.body)
            return True
        if fault.kind == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif fault.kind == "hang":
            self._closing.wait()
        elif fault.kind == "cut":
            connection.sendall(_head(fault, 2 * len(fault.body) + 2) + fault.body)
        elif fault.kind == "drip-headers":
            self._drip(connection, b"HTTP/1.1 200 OK\r\n", b"x: y\r\n")
        elif fault.kind == "drip-body":
            self._drip(connection, _head(fault, 1_000_000), b"x")
        elif fault.kind == "huge":
            connection.sendall(_head(fault, fault.size))
            for _ in range(fault.size // 65_536 + 1):
                connection.sendall(bytes(65_536))
        return False

    def _drip(self, connection: socket.socket, start: bytes, drop: bytes) -> None:
        connection.sendall(start)
        while not self._closing.wait(_DRIP_S):
            connection.sendall(drop)


def _head(fault: Fault, length: int) -> bytes:
    headers = "".join(f"{name}: {value}\r\n" for name, value in fault.headers.items())
    return f"HTTP/1.1 {fault.status} Fault\r\nContent-Length: {length}\r\n{headers}\r\n".encode()


def _read(connection: socket.socket) -> Request | None:
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65_536)
        if not more:
            return None
        data += more
    head, body = data.split(b"\r\n\r\n", 1)
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    while len(body) < int(headers.get("content-length", "0")):
        more = connection.recv(65_536)
        if not more:
            return None
        body += more
    method, path, _ = first.split(" ", 2)
    return Request(method, path, headers, body)
