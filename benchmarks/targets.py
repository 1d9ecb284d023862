"""What is put under load, while a block runs: TokenSense, whole or its receivers alone, and others that take OTLP."""

import contextlib
import os
import sqlite3
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.processes import family
from tests.support.collector import BINARY as OTELCOL
from tests.support.processes import free_ports, peer
from tests.support.rotel import agent as rotel_agent
from tokensense_otel.service.demo.api import Api
from tokensense_otel.service.demo.stack import FREE_PORTS, Stack

PHOENIX = os.environ.get("PHOENIX_BIN", "")
DEADLINE_S = 300.0
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


Start = Callable[[Path], AbstractContextManager[Target]]


@contextlib.contextmanager
def up(folder: Path) -> Iterator[Target]:
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
def _receivers(processes: int, folder: Path) -> Iterator[Target]:
    grpc, http = free_ports(2)
    config = folder / "tokensense.yaml"
    config.write_text(
        f'data_dir: {folder / "data"}\nreceiver: {{processes: {processes}, grpc: {{endpoint: "127.0.0.1:{grpc}"}}, '
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


ROAD, RECEIVER, RECEIVERS = (
    "TokenSense, the whole road",
    "TokenSense, receiver alone",
    "TokenSense, two receivers alone",
)
COLLECTOR, ROTEL, PHOENIX_NAME = "Collector with spanmetrics", "rotel to blackhole", "Arize Phoenix"
TARGETS: dict[str, Start | None] = {
    ROAD: up,
    RECEIVER: partial(_receivers, 1),
    RECEIVERS: partial(_receivers, 2),
    COLLECTOR: _collector if OTELCOL else None,
    ROTEL: _rotel if rotel_agent() else None,
    PHOENIX_NAME: _phoenix if PHOENIX else None,
}
"""By name; `None` for a peer that is absent."""
