"""Checks of what is installed: they need no configuration."""

import importlib
import sys
import time
from datetime import UTC, datetime

from tokensense_otel.service.doctor.finding import Finding, fail, ok, warn

_PYTHONS = ((3, 11), (3, 12))
_RELEASED = datetime(2025, 1, 1, tzinfo=UTC).timestamp()


def python() -> Finding:
    """Bytewax has wheels for CPython 3.11 and 3.12 only."""
    found = ".".join(str(part) for part in sys.version_info[:3])
    if sys.version_info[:2] in _PYTHONS:
        return ok("python", found)
    return fail("python", f"{found} has no Bytewax", "install Python 3.11 or 3.12 and TokenSense into it")


def bytewax() -> Finding:
    try:
        importlib.import_module("bytewax._bytewax")
    except ImportError as error:
        return fail("bytewax", f"cannot be imported: {error}", 'run pip install "tokensense-otel[server]"')
    return ok("bytewax", "can be imported")


def protobuf() -> Finding:
    """The pure-Python protobuf takes ten times as long for each span."""
    from google.protobuf.internal import api_implementation

    backend = api_implementation.Type()
    if backend == "upb":
        return ok("protobuf", "upb")
    return warn("protobuf", f"runs on the slow backend {backend!r}", "unset PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION")


def clock() -> Finding:
    """Windows, prices and signatures go by the wall clock."""
    now = time.time()
    shown = datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds")
    if now < _RELEASED:
        return fail("clock", f"it says {shown}", "set the system's clock, best by NTP")
    return ok("clock", shown)
