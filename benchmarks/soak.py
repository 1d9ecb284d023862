"""Steady load for minutes: does memory stay flat, are books and alerts quick, once every limit has been reached?

`python -m benchmarks soak`, of which `SOAK_SPANS_PER_S` (5,000) and `SOAK_MINUTES` (10) say how much; `SOAK_SHARE=0.8`
first measures how much `up` can do here, and then sends that share of it. Load comes from another process; here, twice
a second, the call that crosses MODEL_MISUSE's threshold of a new team is sent, and the webhook awaited. From arrival to
the commit of the books is what `up` itself counts (`tokensense_dataflow_commit_delay_seconds`).
"""

import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from benchmarks import charts
from benchmarks.delays import Delays
from benchmarks.measure import Effort, quantile, report
from benchmarks.peers import measured
from benchmarks.processes import cpu_seconds, family, memory_of_parts
from benchmarks.services import REQUEST_SPANS, service_requests
from benchmarks.targets import up
from tests.support.otlp import OtlpSender
from tests.support.traffic import a_request, a_span, chat
from tests.support.webhook import SECRET, webhook_receiver
from tokensense_otel.service.demo.stack import FREE_PORTS, Stack

RATE = int(os.environ.get("SOAK_SPANS_PER_S", "5000"))
MINUTES = float(os.environ.get("SOAK_MINUTES", "10"))
SHARE = float(os.environ.get("SOAK_SHARE", "0"))
_PROBES_PER_S = 2
_LATEST_S = 60.0
_SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
_Lines = dict[str, list[tuple[float, float]]]


def soak(effort: Effort) -> None:
    """A line a minute: spans acknowledged, time to the books, memory and processor time of all parts."""
    full = effort.size > 1000
    minutes, rate = (MINUTES, RATE) if full else (0.1, 500)
    if SHARE:
        most = _most(effort.size * (40 if full else 8))
        rate = int(most * SHARE)
        report("soak, the most that up can do here", f"{most:,.0f} spans/s", f"of which {SHARE:.0%} are sent")
    memory: _Lines = {}
    delays: _Lines = {}
    with tempfile.TemporaryDirectory() as folder, webhook_receiver() as hook:
        ops = {"type": "webhook", "url": hook.url, "secret": SECRET, "allow_private": True, "max_in_flight": 64}
        with Stack(Path(folder), {**FREE_PORTS, "exporters": {"ops": ops}}) as running:
            command = [sys.executable, "-m", "benchmarks.steady", running.endpoints["http"], str(rate), str(minutes)]
            load = subprocess.Popen(command, cwd=Path(__file__).parents[1], stdout=subprocess.PIPE, text=True)
            sent: dict[str, float] = {}
            stop = threading.Event()
            prober = threading.Thread(target=_probe, args=(running.endpoints["grpc"], sent, stop))
            prober.start()
            start = began = time.perf_counter()
            cpu = cpu_seconds(family(running.pid))
            whole = minute = Delays.of(running.endpoints["api"])
            assert load.stdout is not None
            for line in load.stdout:
                now, used = time.perf_counter(), cpu_seconds(family(running.pid))
                delayed = Delays.of(running.endpoints["api"])
                resident = memory_of_parts(running.pid)
                _add(memory, (now - start) / 60, {name: kib / 1024 for name, kib in resident.items()})
                _add(delays, (now - start) / 60, _milliseconds(delayed.since(minute)))
                shown = ", ".join(f"{name} {kib // 1024} MB" for name, kib in resident.items())
                report(
                    f"soak, minute {line.split()[0]}",
                    f"{line.split()[1]} spans/s",
                    f"{(used - cpu) / (now - began):.2f} cores; books {_shown(delayed.since(minute))}; {shown}",
                )
                began, cpu, minute = now, used, delayed
            stop.set()
            prober.join()
            assert load.wait() == 0
            deadline = time.perf_counter() + _LATEST_S
            while len(hook.arrivals) < len(sent) and time.perf_counter() < deadline:
                time.sleep(0.05)
            heard = {event["data"]["scope"]["team"]: came for came, event in reversed(hook.arrivals)}
            books = Delays.of(running.endpoints["api"]).since(whole)
    taken = {team: heard[team] - at for team, at in sent.items() if team in heard}
    assert len(taken) == len(sent), f"{len(sent) - len(taken)} of {len(sent)} alerts did not come"
    report("soak, arrival to the books, p50 / p95 / p99", _shown(books), f"{books.count:,.0f} reads of the log")
    figures = " / ".join(f"{quantile(list(taken.values()), share) * 1e3:,.0f}" for share in _SHARES.values())
    longest = max(taken.values())
    report("soak, call to webhook, p50 / p95 / p99", f"{figures} ms", f"{len(taken)} alerts; at most {longest:.1f} s")
    for minute_, alerts in _by_minute(sent, taken, start).items():
        _add(delays, minute_, {"call to webhook, p95": quantile(alerts, 0.95) * 1e3})
    charts.save("soak-memory", charts.lines(f"Memory at {rate:,} spans/s", "MB resident", memory), effort)
    charts.save("soak-delay", charts.lines(f"Delay at {rate:,} spans/s", "ms", delays), effort)


def _most(spans: int) -> float:
    """Spans a second when all are sent as fast as they are acknowledged, until the last one is on the books."""
    requests = service_requests(spans)
    return len(requests) * REQUEST_SPANS / measured(up, requests).done_s


def _milliseconds(delays: Delays) -> dict[str, float]:
    return {f"arrival to books, {name}": delays.quantile(share) * 1e3 for name, share in _SHARES.items()}


def _shown(delays: Delays) -> str:
    return " / ".join(f"{delays.quantile(share) * 1e3:,.0f}" for share in _SHARES.values()) + " ms"


def _add(lines: _Lines, minute: float, values: dict[str, float]) -> None:
    for name, value in values.items():
        lines.setdefault(name, []).append((minute, value))


def _by_minute(sent: dict[str, float], taken: dict[str, float], start: float) -> dict[float, list[float]]:
    """How long alerts took, by the end of the minute in which their last call was sent."""
    found: dict[float, list[float]] = {}
    for team, at in sent.items():
        found.setdefault((at - start) // 60 + 1, []).append(taken[team])
    return found


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
