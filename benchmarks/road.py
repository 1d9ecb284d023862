"""The whole road: spans into a running `tokensense up`, until they are in the books and a webhook is told."""

import tempfile
import time
from pathlib import Path

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from benchmarks.material import requests
from benchmarks.measure import Effort, quantile, report
from tests.support.otlp import OtlpSender
from tests.support.traffic import a_request, a_span, chat
from tests.support.webhook import SECRET, webhook_receiver
from tokensense_otel.service.demo.api import Api
from tokensense_otel.service.demo.stack import FREE_PORTS, Stack

RATE = 1_000
DEADLINE_S = 120.0


def throughput(effort: Effort) -> None:
    """Send spans as fast as they are acknowledged, and wait until the last one is counted."""
    spans = effort.size * 4
    with tempfile.TemporaryDirectory() as folder, Stack(Path(folder), FREE_PORTS) as running:
        sender = OtlpSender(running.endpoints["grpc"])
        batches = requests(spans, start_ns=time.time_ns())
        api = Api(running.endpoints["api"])
        began = time.perf_counter()
        for batch in batches:
            sender.send(batch)
        acknowledged = time.perf_counter() - began
        while sum(team.calls for team in api.usage()) < spans // 2:
            if time.perf_counter() - began > DEADLINE_S:
                raise TimeoutError(f"not every span was counted within {DEADLINE_S:.0f} s")
            time.sleep(0.05)
        counted = time.perf_counter() - began
        sender.close()
    report("up, one client, acknowledged", f"{spans / acknowledged:,.0f} spans/s")
    report("up, until it is in the books", f"{spans / counted:,.0f} spans/s", f"{spans:,} spans")


def alert_latency(effort: Effort) -> None:
    """From sending the call that crosses MODEL_MISUSE's threshold to the webhook, under a steady load."""
    teams = 40 if effort.size > 1000 else 8
    sent: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder, webhook_receiver() as hook:
        ops = {"type": "webhook", "url": hook.url, "secret": SECRET, "allow_private": True, "max_in_flight": 64}
        with Stack(Path(folder), {**FREE_PORTS, "exporters": {"ops": ops}}) as running:
            sender = OtlpSender(running.endpoints["grpc"])
            background = requests(RATE * teams // 8, start_ns=time.time_ns())
            interval = len(background) / teams
            began = time.perf_counter()
            for number in range(teams):
                team = f"bench-{number}"
                sender.send(_calls(team, 0, 19))
                for batch in background[int(number * interval) : int((number + 1) * interval)]:
                    sender.send(batch)
                _sleep_until(began + (number + 1) / 8)
                sent[team] = time.perf_counter()
                sender.send(_calls(team, 19, 20))
            while len(hook.arrivals) < teams:
                if time.perf_counter() - began > DEADLINE_S:
                    raise TimeoutError(f"{teams - len(hook.arrivals)} alerts did not come within {DEADLINE_S:.0f} s")
                time.sleep(0.01)
            sender.close()
            heard = {event["data"]["scope"]["team"]: came for came, event in reversed(hook.arrivals)}
    taken = [heard[team] - sent[team] for team in sent]
    figure = f"{quantile(taken, 0.5) * 1e3:.0f} / {quantile(taken, 0.95) * 1e3:.0f} ms"
    report("up, call to webhook, p50 / p95", figure, f"{teams} alerts at about {RATE:,} spans/s")


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.perf_counter()))


def _calls(team: str, first: int, end: int) -> ExportTraceServiceRequest:
    now = time.time_ns()
    trace = (hash(team) & 0xFFFFFFFF) << 32
    spans = [a_span(1, chat(output_tokens=3), trace=trace + number + 1, end_ns=now) for number in range(first, end)]
    return a_request(spans, {"service.name": "bench", "tokensense.team": team})
