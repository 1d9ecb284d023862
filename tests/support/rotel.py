"""`rotel-agent`, a real OpenTelemetry collector from PyPI, as a hop between an SDK and `up`."""

import contextlib
import importlib.util
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from tests.support.processes import free_ports, peer

WHY_SKIPPED = "rotel is not installed; pip install --no-deps -r requirements/peers.lock (Linux on x86-64)"


def agent() -> Path | None:
    """Its binary, `None` where the package is absent."""
    spec = importlib.util.find_spec("rotel")
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).with_name("rotel-agent")


@contextlib.contextmanager
def rotel(folder: Path, *, protocol: Literal["grpc", "http"], endpoint: str) -> Iterator[str]:
    """Run it as a forwarder to `endpoint` (`host:port`); yields the `host:port` of its own OTLP gRPC receiver."""
    binary = agent()
    assert binary is not None
    grpc, http = free_ports(2)
    command = [
        str(binary), "start", "--otlp-grpc-endpoint", f"127.0.0.1:{grpc}", "--otlp-http-endpoint", f"127.0.0.1:{http}",
        "--exporter", "otlp", "--otlp-exporter-endpoint", f"http://{endpoint}", "--otlp-exporter-protocol", protocol,
        "--pid-file", str(folder / "rotel.pid"), "--log-file", str(folder / "rotel.log"),
    ]  # fmt: skip
    # It links the shared library of the Python that its wheel is for; pyenv's is not on the system's path.
    env = {"LD_LIBRARY_PATH": str(sysconfig.get_config_var("LIBDIR"))}
    with peer(command, ports=[grpc, http], log=folder / "rotel-out.log", env=env):
        yield f"127.0.0.1:{grpc}"
