"""TokenSense beside other receivers of OTLP, on the same requests, machine and run.

The peers are a real OpenTelemetry Collector (`OTELCOL_BIN`) with the spanmetrics connector, which aggregates spans
into metrics as we do into sums; `rotel`, a collector in Rust, with its blackhole exporter; and Arize Phoenix
(`PHOENIX_BIN`), which keeps spans in SQLite. A peer that is absent is named and passed over. Load comes from another
process, over HTTP; processor time is that of the measured processes alone, and the ratios are of that time, since the
load takes its share of the same cores.
"""

import contextlib
import os
import sqlite3
import statistics
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from benchmarks.load import run_load, write_bodies
from benchmarks.measure import Effort, report
from benchmarks.services import REQUEST_SPANS, one_span_requests, service_requests
from tests.support.collector import BINARY as OTELCOL
from tests.support.collector import WHY_SKIPPED as NO_OTELCOL
from tests.support.processes import free_ports, peer
from tests.support.rotel import WHY_SKIPPED as NO_ROTEL
from tests.support.rotel import agent as rotel_agent
from tokensense_otel.service.demo.api import Api
from tokensense_otel.service.demo.stack import FREE_PORTS, Stack

PHOENIX = os.environ.get("PHOENIX_BIN", "")
NO_PHOENIX = "PHOENIX_BIN names no `phoenix`; pip install arize-phoenix in an environment of its own brings one"
CONNECTIONS = 4
DEADLINE_S = 300.0
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_SPANMETRICS = """
receivers: {{otlp: {{protocols: {{http: {{endpoint: "127.0.0.1:{port}", max_request_body_size: 67108864}}}}}}}}
exporters: {{nop: {{}}}}
connectors:
  spanmetrics:
    histogram: {{disable: true}}
    metrics_flush_interval: 15s
    aggregation_cardinality_limit: 10000
    dimensions:
      - name: gen_ai.operation.name
      - name: gen_ai.provider.name
      - name: gen_ai.request.model
      - name: gen_ai.response.model
      - name: tokensense.team
service:
  telemetry: {{metrics: {{level: none}}, logs: {{level: error}}}}
  pipelines:
    traces: {{receivers: [otlp], exporters: [spanmetrics]}}
    metrics: {{receivers: [spanmetrics], exporters: [nop]}}
"""


@dataclass(frozen=True)
class Target:
    """What is under load. `settle` waits until every span is dealt with; it gets how many calls there are."""

    endpoint: str
    pids: Callable[[], list[int]]
    settle: Callable[[int], None]


@dataclass(frozen=True)
class Result:
    acknowledged_s: float
    done_s: float
    cpu_s: float


def peers(effort: Effort) -> None:
    """Spans a second and processor time a span: whole requests without and with content, and requests of one span."""
    spans = effort.size * 8
    loads = {
        f"{REQUEST_SPANS} spans a request, no content": service_requests(spans, content=0),
        f"{REQUEST_SPANS} spans a request, 2 KB of content a call": service_requests(spans // 2, content=2_048),
        "1 span a request": one_span_requests(spans // 16),
    }
    for is_here, why in ((OTELCOL, NO_OTELCOL), (rotel_agent(), NO_ROTEL), (PHOENIX, NO_PHOENIX)):
        if not is_here:
            report("peers", "", why)
    targets = {name: start for name, start in _TARGETS.items() if start is not None}
    for load, bodies in loads.items():
        count = sum(_spans(body) for body in bodies)
        report(f"peers, {load}", "", f"{count:,} spans, {sum(map(len, bodies)) / count:,.0f} bytes each")
        results = {
            name: [_measure(start, bodies) for _ in range(max(1, min(effort.runs // 2, 3)))]
            for name, start in targets.items()
        }
        for name, taken in results.items():
            _show(name, taken, count)
        _compare(results)


def _show(name: str, taken: list[Result], count: int) -> None:
    cpu, acknowledged, done = (
        statistics.median(getattr(each, field) for each in taken) for field in ("cpu_s", "acknowledged_s", "done_s")
    )
    report(
        f"  {name}",
        f"{cpu / count * 1e6:.1f} µs/span",
        f"of processor; {count / acknowledged:,.0f} spans/s acknowledged, {count / done:,.0f} until done",
    )


def _compare(results: dict[str, list[Result]]) -> None:
    """Ratios of processor time: above 1 where ours takes less."""
    cpu = {name: statistics.median(each.cpu_s for each in taken) for name, taken in results.items()}
    for ours, theirs in ((_ROAD, _COLLECTOR), (_RECEIVER, _ROTEL), (_RECEIVER, _PHOENIX), (_ROAD, _PHOENIX)):
        if cpu.get(theirs):
            report(f"  {ours} ÷ {theirs}", f"{cpu[theirs] / cpu[ours]:.2f} ×")


def _measure(start: "Callable[[Path], AbstractContextManager[Target]]", bodies: list[bytes]) -> Result:
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
        target.settle(_calls(bodies))
        settled = time.perf_counter() - waited
        return Result(acknowledged, acknowledged + settled, cpu_seconds(target.pids()) - before)


def _spans(body: bytes) -> int:
    return _count(body, lambda _name: True)


def _calls(bodies: list[bytes]) -> int:
    return sum(_count(body, lambda name: name == "chat") for body in bodies)


def _count(body: bytes, wanted: Callable[[str], bool]) -> int:
    return sum(
        wanted(span.name)
        for group in ExportTraceServiceRequest.FromString(body).resource_spans
        for scoped in group.scope_spans
        for span in scoped.spans
    )


@contextlib.contextmanager
def _up(folder: Path) -> Iterator[Target]:
    with Stack(folder, FREE_PORTS) as stack:
        api = Api(stack.endpoints["api"])

        def settle(calls: int) -> None:
            deadline = time.perf_counter() + DEADLINE_S
            while (counted := sum(team.calls for team in api.usage())) < calls:
                if time.perf_counter() > deadline:
                    raise TimeoutError(f"{counted} of {calls} calls were counted within {DEADLINE_S:.0f} s")
                time.sleep(0.05)

        yield Target(stack.endpoints["http"], lambda: family(stack.pid), settle)


@contextlib.contextmanager
def _receiver(folder: Path) -> Iterator[Target]:
    grpc, http = free_ports(2)
    config = folder / "tokensense.yaml"
    config.write_text(
        f'data_dir: {folder / "data"}\nreceiver: {{grpc: {{endpoint: "127.0.0.1:{grpc}"}}, '
        f'http: {{endpoint: "127.0.0.1:{http}"}}}}\n'
    )
    command = [sys.executable, "-m", "tokensense_otel.service.main", "receiver", "--config", str(config)]
    with peer(command, ports=[grpc, http], log=folder / "receiver.log", env={}) as pid:
        yield Target(f"127.0.0.1:{http}", lambda: family(pid), lambda _calls: None)


@contextlib.contextmanager
def _collector(folder: Path) -> Iterator[Target]:
    (port,) = free_ports(1)
    config = folder / "otelcol.yaml"
    config.write_text(_SPANMETRICS.format(port=port))
    with peer([OTELCOL, "--config", str(config)], ports=[port], log=folder / "otelcol.log", env={}) as pid:
        yield Target(f"127.0.0.1:{port}", lambda: family(pid), lambda _calls: None)


@contextlib.contextmanager
def _rotel(folder: Path) -> Iterator[Target]:
    grpc, http = free_ports(2)
    command = [
        str(rotel_agent()), "start", "--otlp-grpc-endpoint", f"127.0.0.1:{grpc}",
        "--otlp-http-endpoint", f"127.0.0.1:{http}", "--exporter", "blackhole",
        "--pid-file", str(folder / "rotel.pid"), "--log-file", str(folder / "rotel.log"),
    ]  # fmt: skip
    env = {"LD_LIBRARY_PATH": str(sysconfig.get_config_var("LIBDIR"))}
    with peer(command, ports=[grpc, http], log=folder / "rotel-out.log", env=env) as pid:
        yield Target(f"127.0.0.1:{http}", lambda: family(pid), lambda _calls: None)


@contextlib.contextmanager
def _phoenix(folder: Path) -> Iterator[Target]:
    http, grpc = free_ports(2)
    env = {
        "PHOENIX_WORKING_DIR": str(folder), "PHOENIX_HOST": "127.0.0.1", "PHOENIX_PORT": str(http),
        "PHOENIX_GRPC_PORT": str(grpc), "PHOENIX_TELEMETRY_ENABLED": "false",
    }  # fmt: skip
    with peer([PHOENIX, "serve"], ports=[http], log=folder / "phoenix.log", env=env, within_s=90.0) as pid:
        kept = folder / "phoenix.db"

        def settle(_calls: int) -> None:
            deadline, seen, last = time.perf_counter() + DEADLINE_S, -1, -2
            # It answers before it has stored anything, and says nowhere when it has: wait until no row is added.
            while seen != last and time.perf_counter() < deadline:
                time.sleep(2.0)
                with contextlib.closing(sqlite3.connect(f"file:{kept}?mode=ro", uri=True)) as database:
                    last, seen = seen, database.execute("SELECT count(*) FROM spans").fetchone()[0]

        yield Target(f"127.0.0.1:{http}", lambda: family(pid), settle)


def family(pid: int) -> list[int]:
    """A process and its descendants (Linux)."""
    found = [pid]
    for each in found:
        for task in Path(f"/proc/{each}/task").iterdir():
            with contextlib.suppress(OSError):
                found += [int(child) for child in (task / "children").read_text().split()]
    return found


def cpu_seconds(pids: list[int]) -> float:
    """Processor seconds that they have taken so far, in user mode and in the kernel."""
    ticks = 0
    for pid in pids:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(after_name[11]) + int(after_name[12])
    return ticks * _TICK_S


_ROAD, _RECEIVER = "TokenSense, the whole road", "TokenSense, receiver alone"
_COLLECTOR, _ROTEL, _PHOENIX = "Collector with spanmetrics", "rotel to blackhole", "Arize Phoenix"
_TARGETS = {
    _ROAD: _up,
    _RECEIVER: _receiver,
    _COLLECTOR: _collector if OTELCOL else None,
    _ROTEL: _rotel if rotel_agent() else None,
    _PHOENIX: _phoenix if PHOENIX else None,
}
