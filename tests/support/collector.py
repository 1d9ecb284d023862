"""A real OpenTelemetry Collector that runs `collector-config.yaml`; `OTELCOL_BIN` names its binary.

`tests/support/ocb/README.md` says how to build one.
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.processes import free_ports, peer

CONFIG = Path(__file__).parent.parent.parent / "collector-config.yaml"
BINARY = os.environ.get("OTELCOL_BIN", "")
WHY_SKIPPED = "OTELCOL_BIN names no OpenTelemetry Collector; build one as tests/support/ocb/README.md says"


@dataclass(frozen=True)
class Collector:
    grpc: str
    http: str


@contextlib.contextmanager
def collector(folder: Path, *, existing: str, tokensense: str, config: Path = CONFIG) -> Iterator[Collector]:
    """Run it between its own free ports and two OTLP gRPC backends, each given as `host:port`."""
    grpc, http, health = free_ports(3)
    env = {
        "COLLECTOR_GRPC_ENDPOINT": f"127.0.0.1:{grpc}",
        "COLLECTOR_HTTP_ENDPOINT": f"127.0.0.1:{http}",
        "COLLECTOR_HEALTH_ENDPOINT": f"127.0.0.1:{health}",
        "EXISTING_ENDPOINT": existing,
        "TOKENSENSE_ENDPOINT": tokensense,
        "TOKENSENSE_QUEUE_DIR": str(folder / "queue"),
        "TOKENSENSE_HASH_SALT": "a-salt",
    }
    with peer(
        [BINARY, "--config", str(config), "--set=service::telemetry::metrics::level=none"],
        ports=[grpc, http, health],
        log=folder / "otelcol.log",
        env=env,
    ):
        yield Collector(f"127.0.0.1:{grpc}", f"127.0.0.1:{http}")
