"""A stand-in for the OpenAI API: chat completions, streamed or not, with the usage that it is told to report."""

import itertools
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODEL_VERSION = "2024-08-06"
PROMPT_TOKENS = 300
COMPLETION_TOKENS = 4
_USAGE = {
    "prompt_tokens": PROMPT_TOKENS,
    "completion_tokens": COMPLETION_TOKENS,
    "total_tokens": PROMPT_TOKENS + COMPLETION_TOKENS,
    "prompt_tokens_details": {"cached_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 0},
}
_numbers = itertools.count(1)


@contextmanager
def provider() -> Iterator[str]:
    """Serve until the block ends; yields the base URL for a client, `http://127.0.0.1:PORT/v1`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = {
            "id": f"chatcmpl-{next(_numbers):06d}",
            "created": 1_770_000_000,
            "model": f"{asked['model']}-{MODEL_VERSION}",
        }
        self.send_response(200)
        if asked.get("stream"):
            self._send("text/event-stream", b"".join(_events(answer)))
        else:
            choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "yes"}}
            body = answer | {"object": "chat.completion", "choices": [choice], "usage": _USAGE}
            self._send("application/json", json.dumps(body).encode())

    def _send(self, content_type: str, body: bytes) -> None:
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name for it
        """Say nothing."""


def _events(answer: dict[str, Any]) -> Iterator[bytes]:
    """The answer as server-sent events; the last one before `[DONE]` carries the usage, as `include_usage` asks."""
    pieces: list[tuple[dict[str, str], str | None]] = [
        ({"role": "assistant", "content": ""}, None),
        ({"content": "yes"}, None),
        ({}, "stop"),
    ]
    for delta, finish in pieces:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        yield _event(answer | {"object": "chat.completion.chunk", "choices": [choice]})
    yield _event(answer | {"object": "chat.completion.chunk", "choices": [], "usage": _USAGE})
    yield b"data: [DONE]\n\n"


def _event(chunk: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"
