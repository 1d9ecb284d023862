"""Steady load for minutes: does memory stay flat, and do alerts stay quick, once every limit has been reached?

`python -m benchmarks soak`, of which `SOAK_SPANS_PER_S` (5,000) and `SOAK_MINUTES` (10) say how much. Load comes from
another process; here, twice a second, the call that crosses MODEL_MISUSE's threshold of a new team is sent, and the
webhook awaited.
"""

import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from benchmarks.measure import Effort, quantile, report
from benchmarks.peers import cpu_seconds, family
from tests.support.otlp import OtlpSender
from tests.support.traffic import a_request, a_span, chat
from tests.support.webhook import SECRET, webhook_receiver
from tokensense_otel.service.demo.stack import FREE_PORTS, Stack

RATE = int(os.environ.get("SOAK_SPANS_PER_S", "5000"))
MINUTES = float(os.environ.get("SOAK_MINUTES", "10"))
_PROBES_PER_S = 2
_LATEST_S = 60.0


def soak(effort: Effort) -> None:
    """A line a minute: spans acknowledged, alert latency, memory and processor time of all parts."""
    minutes, rate = (MINUTES, RATE) if effort.size > 1000 else (0.1, 500)
    with tempfile.TemporaryDirectory() as folder, webhook_receiver() as hook:
        ops = {"type": "webhook", "url": hook.url, "secret": SECRET, "allow_private": True, "max_in_flight": 64}
        with Stack(Path(folder), {**FREE_PORTS, "exporters": {"ops": ops}}) as running:
            command = [sys.executable, "-m", "benchmarks.steady", running.endpoints["http"], str(rate), str(minutes)]
            load = subprocess.Popen(command, cwd=Path(__file__).parents[1], stdout=subprocess.PIPE, text=True)
            sent: dict[str, float] = {}
            stop = threading.Event()
            prober = threading.Thread(target=_probe, args=(running.endpoints["grpc"], sent, stop))
            prober.start()
            began, cpu = time.perf_counter(), cpu_seconds(family(running.pid))
            assert load.stdout is not None
            for line in load.stdout:
                now, used = time.perf_counter(), cpu_seconds(family(running.pid))
                memory = ", ".join(f"{name} {kib // 1024} MB" for name, kib in _memory(running.pid).items())
                report(
                    f"soak, minute {line.split()[0]}",
                    f"{line.split()[1]} spans/s",
                    f"{(used - cpu) / (now - began):.2f} cores; {memory}",
                )
                began, cpu = now, used
            stop.set()
            prober.join()
            assert load.wait() == 0
            deadline = time.perf_counter() + _LATEST_S
            while len(hook.arrivals) < len(sent) and time.perf_counter() < deadline:
                time.sleep(0.05)
            heard = {event["data"]["scope"]["team"]: came for came, event in reversed(hook.arrivals)}
    taken = [heard[team] - at for team, at in sent.items() if team in heard]
    assert len(taken) == len(sent), f"{len(sent) - len(taken)} of {len(sent)} alerts did not come"
    figures = " / ".join(f"{quantile(taken, share) * 1e3:,.0f}" for share in (0.5, 0.95, 0.99))
    report(
        "soak, call to webhook, p50 / p95 / p99", f"{figures} ms", f"{len(taken)} alerts; at most {max(taken):.1f} s"
    )


def _probe(endpoint: str, sent: dict[str, float], stop: threading.Event) -> None:
    sender = OtlpSender(endpoint)
    number = 0
    while not stop.wait(1 / _PROBES_PER_S):
        team = f"probe-{number}"
        number += 1
        now = time.time_ns()
        spans = [
            a_span(1, chat(output_tokens=3, input_tokens=100 + call), trace=(number << 64) + call + 1, end_ns=now)
            for call in range(20)
        ]
        sent[team] = time.perf_counter()
        sender.send(a_request(spans, {"service.name": "probe", "tokensense.team": team}))
    sender.close()


def _memory(pid: int) -> dict[str, int]:
    """Resident KiB of each part (Linux)."""
    found: dict[str, int] = {}
    for each in family(pid):
        words = Path(f"/proc/{each}/cmdline").read_text().split("\0")
        name = next((word for word in words if word in _PARTS), "")
        lines = Path(f"/proc/{each}/status").read_text().splitlines()
        found[name] = found.get(name, 0) + next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))
    return {name: kib for name, kib in found.items() if name}


_PARTS = frozenset({"receiver", "dataflow", "exporters", "api"})
