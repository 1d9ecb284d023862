"""TokenSense beside other receivers of OTLP, on the same requests, machine and run.

The peers are a real OpenTelemetry Collector (`OTELCOL_BIN`) with the spanmetrics connector, which aggregates spans
into metrics as we do into sums; `rotel`, a collector in Rust, with its blackhole exporter; and Arize Phoenix
(`PHOENIX_BIN`), which keeps spans in SQLite. A peer that is absent is named and passed over. Load comes from another
process, over HTTP; processor time is that of the measured processes alone, and the ratios are of that time, since the
load takes its share of the same cores. `PEERS=receiver,rotel` (parts of their names) measures only some.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from benchmarks import charts
from benchmarks.load import run_load, write_bodies
from benchmarks.measure import Effort, report
from benchmarks.processes import cpu_seconds
from benchmarks.services import REQUEST_SPANS, one_span_requests, service_requests
from benchmarks.targets import COLLECTOR, PHOENIX, PHOENIX_NAME, RECEIVER, RECEIVERS, ROAD, ROTEL, TARGETS, Start
from tests.support.collector import BINARY as OTELCOL
from tests.support.collector import WHY_SKIPPED as NO_OTELCOL
from tests.support.rotel import WHY_SKIPPED as NO_ROTEL
from tests.support.rotel import agent as rotel_agent

ONLY = os.environ.get("PEERS", "").lower().split(",")
NO_PHOENIX = "PHOENIX_BIN names no `phoenix`; pip install arize-phoenix in an environment of its own brings one"
CONNECTIONS = 8
"""Enough that several receivers on one port all get some."""

_COMPARED = (
    (ROAD, COLLECTOR, 1.0),
    (RECEIVER, ROTEL, 0.5),
    (RECEIVER, PHOENIX_NAME, 20.0),
    (ROAD, PHOENIX_NAME, None),
)
"""Ours, theirs, and the ratio that is the goal."""


@dataclass(frozen=True)
class Result:
    acknowledged_s: float
    done_s: float
    cpu_s: float


def peers(effort: Effort) -> None:
    """Spans a second and processor time a span: whole requests without and with content, and requests of one span."""
    spans = effort.size * 32
    loads = {
        "512": (f"{REQUEST_SPANS} spans a request, no content", service_requests(spans, content=0)),
        "512-content": (
            f"{REQUEST_SPANS} spans a request, 2 KB of content a call",
            service_requests(spans // 2, content=2_048),
        ),
        "1": ("1 span a request", one_span_requests(spans // 64)),
    }
    for is_here, why in ((OTELCOL, NO_OTELCOL), (rotel_agent(), NO_ROTEL), (PHOENIX, NO_PHOENIX)):
        if not is_here:
            report("peers", "", why)
    targets = {name: start for name, start in TARGETS.items() if start is not None and _wanted(name)}
    for short, (load, bodies) in loads.items():
        count = sum(_spans(body) for body in bodies)
        report(f"peers, {load}", "", f"{count:,} spans, {sum(map(len, bodies)) / count:,.0f} bytes each")
        taken: dict[str, list[Result]] = {name: [] for name in targets}
        # In turn, so that what else the machine does meanwhile is shared by all.
        for _ in range(max(1, min(effort.runs // 2, 3))):
            for name, start in targets.items():
                taken[name].append(measured(start, bodies))
        results = {name: _median(each) for name, each in taken.items()}
        for name, result in results.items():
            _show(name, result, count)
        _compare(results)
        # Phoenix takes a thousand times as much, and nothing could be seen of the others.
        drawn = {name: result for name, result in results.items() if name != PHOENIX_NAME}
        per_span = {name: result.cpu_s / count * 1e6 for name, result in drawn.items()}
        charts.save(f"peers-{short}", charts.bars(load, "µs of processor time per span", per_span), effort)


def _wanted(name: str) -> bool:
    return any(part in name.lower() for part in ONLY)


def measured(start: Start, bodies: list[bytes]) -> Result:
    """Send all of it to a fresh one, until every span is dealt with.

    Raises:
        AssertionError: when a request was refused for good.
    """
    calls = _calls_in(bodies)
    with tempfile.TemporaryDirectory() as folder, start(Path(folder)) as target:
        path = Path(folder) / "bodies"
        write_bodies(path, bodies)
        before = cpu_seconds(target.pids())
        told = run_load(target.endpoint, path, CONNECTIONS)
        if told["refused"]:
            raise AssertionError(f"{told['refused']} requests were refused")
        # What starting the load took is no time of the target's.
        acknowledged = float(told["seconds"])
        waited = time.perf_counter()
        target.settle(calls)
        settled = time.perf_counter() - waited
        return Result(acknowledged, acknowledged + settled, cpu_seconds(target.pids()) - before)


def _median(taken: list[Result]) -> Result:
    return Result(*(statistics.median(values) for values in zip(*map(_figures, taken), strict=True)))


def _figures(result: Result) -> tuple[float, float, float]:
    return result.acknowledged_s, result.done_s, result.cpu_s


def _show(name: str, result: Result, count: int) -> None:
    report(
        f"  {name}",
        f"{result.cpu_s / count * 1e6:.1f} µs/span",
        f"of processor; {count / result.acknowledged_s:,.0f} spans/s acknowledged, "
        f"{count / result.done_s:,.0f} until done",
    )


def _compare(results: dict[str, Result]) -> None:
    """Ratios of processor time: above 1 where ours takes less."""
    for ours, theirs, goal in _COMPARED:
        if ours in results and theirs in results and results[ours].cpu_s:
            ratio = results[theirs].cpu_s / results[ours].cpu_s
            report(f"  {ours} ÷ {theirs}", f"{ratio:.2f} ×", "" if goal is None else f"goal {goal:g}")
    if RECEIVER in results and RECEIVERS in results:
        gain = results[RECEIVER].acknowledged_s / results[RECEIVERS].acknowledged_s
        report("  two receivers ÷ one, spans/s", f"{gain:.2f} ×", f"with the load on the same {os.cpu_count()} cores")


def _spans(body: bytes) -> int:
    return _count(body, lambda _name: True)


def _calls_in(bodies: list[bytes]) -> int:
    return sum(_count(body, lambda name: name == "chat") for body in bodies)


def _count(body: bytes, wanted: Callable[[str], bool]) -> int:
    return sum(
        wanted(span.name)
        for group in ExportTraceServiceRequest.FromString(body).resource_spans
        for scoped in group.scope_spans
        for span in scoped.spans
    )
