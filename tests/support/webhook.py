"""A webhook receiver of a user's: keeps what it is sent, and checks the signature with the reference library."""

import base64
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks.webhooks import Webhook

SECRET = "whsec_" + base64.b64encode(b"a secret of thirty-two bytes, ok").decode()


class WebhookReceiver:
    """`arrivals` are the bodies whose signatures were right, each with when it came; `refused` counts the others."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.arrivals: list[tuple[float, dict[str, Any]]] = []
        self.refused = 0

    @property
    def events(self) -> list[dict[str, Any]]:
        return [event for _, event in self.arrivals]

    def receive(self, headers: dict[str, str], body: bytes) -> bool:
        came = time.perf_counter()
        try:
            self.arrivals.append((came, Webhook(SECRET).verify(body, headers)))
        except Exception:  # noqa: BLE001 - whatever the library raises, it is no good signature
            self.refused += 1
            return False
        return True


class _Server(ThreadingHTTPServer):
    request_queue_size = 128


@contextmanager
def webhook_receiver() -> Iterator[WebhookReceiver]:
    """Serve until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            accepted = receiver.receive({name.lower(): value for name, value in self.headers.items()}, body)
            self.send_response(204 if accepted else 401)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name for it
            """Say nothing."""

    server = _Server(("127.0.0.1", 0), Handler)
    receiver = WebhookReceiver(f"http://127.0.0.1:{server.server_port}/hook")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
