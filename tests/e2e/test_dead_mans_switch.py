"""The dead man's switch of a running `up`: it falls silent when any process between arrival and delivery is stuck."""

import json
import os
import signal
from pathlib import Path

import httpx2
import pytest

from tests.support.waiting import eventually
from tokensense_otel.exporters.testing.fault_server import FaultServer
from tokensense_otel.service.demo.stack import FREE_PORTS, Stack

pytestmark = pytest.mark.e2e


def _pid(running: Stack, part: str) -> int:
    state = json.loads((running.config.parent / "data" / "run" / "up.json").read_text())
    return int(state["parts"][part])


def _ready(running: Stack) -> tuple[int, str]:
    answer = httpx2.get(f"http://{running.endpoints['api']}/readyz", trust_env=False, timeout=10)
    return answer.status_code, answer.json()["checks"]["pipeline"]


def _signals(pager: FaultServer, count: int) -> None:
    """Wait for so many more."""
    before = len(pager.requests)
    eventually(lambda: len(pager.requests) >= before + count, what=f"{count} signals")


def _is_lost(running: Stack, pager: FaultServer) -> bool:
    """Whether the lag is above its limit, so that no signal is due."""
    before = len(pager.requests)
    return _ready(running)[0] == 503 and len(pager.requests) == before


def test_it_is_silent_while_a_part_hangs_and_speaks_again_after_it(tmp_path: Path) -> None:
    """Each of the three parts is stopped in turn, which no exit code and no closed port shows."""
    receiver = FREE_PORTS["receiver"] | {"heartbeat_s": 0.1}
    with FaultServer() as pager:
        switch = {"url": pager.url("/beat"), "every_s": 0.2, "max_lag_s": 2.0, "allow_private": True}
        settings = dict(FREE_PORTS) | {"receiver": receiver, "dead_mans_switch": switch}
        with Stack(tmp_path, settings) as running:
            for part in ("receiver", "dataflow", "exporters"):
                _signals(pager, 3)
                eventually(lambda: _ready(running)[0] == 200, what=f"/readyz before {part} hangs")
                pid = _pid(running, part)
                os.kill(pid, signal.SIGSTOP)
                try:
                    eventually(lambda: _is_lost(running, pager), what=f"silence while {part} hangs")
                    assert "the last heartbeat came" in _ready(running)[1]
                finally:
                    os.kill(pid, signal.SIGCONT)
            lag = httpx2.get(f"http://{running.endpoints['api']}/metrics", trust_env=False, timeout=10).text
            assert 'tokensense_pipeline_lag_seconds{upto="exporters"}' in lag
