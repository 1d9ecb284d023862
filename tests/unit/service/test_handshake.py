import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tokensense_otel.service import handshake
from tokensense_otel.service.handshake import Ready

ORPHAN = """
import signal, sys
from tokensense_otel.service import handshake
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
handshake.stop_with(0)
print("up", flush=True)
signal.pause()
"""


def test_settings_travel_whole(tmp_path: Path) -> None:
    """A part gets what its supervisor checked: the values, secrets too, and the folder that paths start from."""
    raw = {"data_dir": "/d", "receiver": {"auth": {"keys": [{"name": "a", "key": "s3cret"}]}}}
    loaded = handshake.read_settings(io.BytesIO(handshake.encode_settings(raw, tmp_path)))
    key = loaded.settings.receiver.auth.keys[0].key
    assert key is not None
    assert (key.get_secret_value(), loaded.base_dir, loaded.settings.data_dir) == ("s3cret", tmp_path, Path("/d"))


def test_half_a_line_of_settings_is_no_settings(tmp_path: Path) -> None:
    """A supervisor that died while it wrote leaves nothing to start with."""
    with pytest.raises(EOFError):
        handshake.read_settings(io.BytesIO(handshake.encode_settings({}, tmp_path)[:-1]))


def test_readiness_is_one_whole_line() -> None:
    """The ready line says which part listens where; a part that ended first said nothing."""
    line = handshake.encode_ready("api", {"api": "127.0.0.1:1"})
    assert handshake.decode_ready(line) == Ready("api", {"api": "127.0.0.1:1"})
    assert handshake.decode_ready(b"") is None
    assert handshake.decode_ready(line[:-1]) is None


def test_reporting_closes_the_pipe() -> None:
    """After the report the pipe ends, so a supervisor never waits for more."""
    read_end, write_end = os.pipe()
    handshake.report_ready(write_end, "api", {})
    with os.fdopen(read_end, "rb") as pipe:
        assert handshake.decode_ready(pipe.read()) == Ready("api", {})


def test_a_part_ends_when_its_supervisor_is_gone() -> None:
    """When the lifeline's other end closes, the part gets the SIGTERM that it stops cleanly on."""
    process = subprocess.Popen([sys.executable, "-c", ORPHAN], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    process.stdin.close()
    assert process.wait(10) == 7
    process.stdout.close()
