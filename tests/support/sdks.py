"""OpenTelemetry's own SDKs of other languages, as programs that send `calls` model calls to an endpoint and end.

JavaScript's exporters are what `npm ci` puts beside `js/send.mjs`; the Go one is `go build` of `go/`, named by
`OTEL_GO_SENDER`. Each program fails unless everything was exported.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from opentelemetry.util.types import AttributeValue

_JS = Path(__file__).parent / "js"
_GO = os.environ.get("OTEL_GO_SENDER", "")
_TIMEOUT_S = 60

HAS_JS = shutil.which("node") is not None and (_JS / "node_modules").is_dir()
NO_JS = "no JavaScript SDK: it needs Node.js, and `npm ci` in tests/support/js"
HAS_GO = bool(_GO)
NO_GO = "OTEL_GO_SENDER names no Go sender; `go build` in tests/support/go makes one"


def send_js(kind: str, endpoint: str, calls: int, attributes: Mapping[str, AttributeValue]) -> None:
    """`kind` is `http-json`, `http-protobuf` or `grpc`, `endpoint` a `host:port`."""
    _run(["node", str(_JS / "send.mjs"), kind, endpoint, str(calls)], attributes)


def send_go(kind: str, endpoint: str, calls: int, attributes: Mapping[str, AttributeValue]) -> None:
    """`kind` is `grpc` or `http`."""
    _run([_GO, kind, endpoint, str(calls)], attributes)


def _run(command: list[str], attributes: Mapping[str, AttributeValue]) -> None:
    env = os.environ | {"CALL_ATTRIBUTES": json.dumps(attributes)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
