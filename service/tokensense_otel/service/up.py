"""`tokensense up`, everything on this machine under one supervisor, and several receivers under one of their own."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from tokensense_otel.core.component import system_clock
from tokensense_otel.core.events import configure_logging, share_metrics
from tokensense_otel.core.insight import rfc3339
from tokensense_otel.service import places
from tokensense_otel.service.loader import Loaded
from tokensense_otel.service.parts import PREDECESSOR_S, Report
from tokensense_otel.service.ports import kept_ports
from tokensense_otel.service.supervisor import State, Supervisor
from tokensense_otel.service.units import PARTS

_ORPHANS_S = 20.0
"""How long receivers of a killed supervisor may take to stop; each does so within its deadline of 15 s."""


def run_up(loaded: Loaded, ready: Report, *, stdout_is_ours: bool) -> int:
    """Run until SIGTERM or SIGINT; the exit code. `stdout_is_ours` keeps what parts print off standard output.

    Raises:
        ConfigError: when another `up` runs on the same data folder, or the store cannot be opened.
    """
    settings = loaded.settings
    configure_logging(json_lines=settings.logging.format == "json", level=settings.logging.number)
    places.make_dirs(settings.data_dir)
    with places.only_one(settings.data_dir, "up", wait_s=places.PROBED_S):
        _clean_metrics(settings.data_dir)
        share_metrics(places.metrics_dir(settings.data_dir))
        _create_store(loaded)
        stdout = sys.stderr.fileno() if stdout_is_ours else None
        with kept_ports(loaded, PREDECESSOR_S) as kept, _file_of_what_runs(kept) as changed:
            return asyncio.run(_supervise(kept, PARTS, changed, ready, stdout))


def run_receivers(loaded: Loaded, ready: Report) -> int:
    """Run several receivers, and nothing else, until SIGTERM or SIGINT; the exit code.

    Raises:
        ConfigError: when others run on the same data folder, or a port cannot be had.
    """
    settings = loaded.settings
    places.make_dirs(settings.data_dir)
    share_metrics(places.metrics_dir(settings.data_dir))
    configure_logging(json_lines=settings.logging.format == "json", level=settings.logging.number)
    data_dir = settings.data_dir
    wait_s = places.PROBED_S if places.is_held(data_dir, "up") else _ORPHANS_S
    with (
        places.only_one(data_dir, "receivers", wait_s=places.PROBED_S, command="receiver"),
        kept_ports(loaded, wait_s) as kept,
    ):
        return asyncio.run(_supervise(kept, ("receiver",), lambda _state: None, ready, sys.stderr.fileno()))


async def _supervise(
    loaded: Loaded,
    parts: tuple[str, ...],
    changed: Callable[[State], None],
    ready: Report,
    children_stdout: int | None,
) -> int:
    announced = False

    def on_change(state: State) -> None:
        nonlocal announced
        changed(state)
        if not announced and len(state.ready) == len(supervisor.units):
            announced = True
            ready({name: state.endpoints[name] for name in ("grpc", "http", "api") if name in state.endpoints})

    metrics = places.metrics_dir(loaded.settings.data_dir)
    supervisor = Supervisor(
        loaded,
        environ=dict(os.environ),
        changed=on_change,
        ended=lambda pid: _forget_levels(metrics, pid),
        parts=parts,
        children_stdout=children_stdout,
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup's SIGHUP stays ignored
            loop.add_signal_handler(number, supervisor.stop)
    return await supervisor.run()


def _create_store(loaded: Loaded) -> None:
    """Make the store and name its exporters, so that the first insight is not found before anybody waits for it."""
    from tokensense_otel.store.database import open_database
    from tokensense_otel.store.outbox import Outbox

    engine = open_database(loaded.settings.store.url, data_dir=loaded.settings.data_dir)
    Outbox(engine).register(loaded.settings.exporters)
    engine.dispose()


def _clean_metrics(data_dir: Path) -> None:
    for file in places.metrics_dir(data_dir).glob("*.db"):
        file.unlink(missing_ok=True)


def _forget_levels(metrics: Path, pid: int) -> None:
    """Counters of a process that ended stay in the sum; what it had right now does not."""
    from prometheus_client.multiprocess import mark_process_dead

    with contextlib.suppress(OSError):
        mark_process_dead(pid, str(metrics))  # type: ignore[no-untyped-call]


@contextlib.contextmanager
def _file_of_what_runs(loaded: Loaded) -> Iterator[Callable[[State], None]]:
    """Keeps `run/up.json` true while this runs, for `doctor` and for scripts."""
    path = places.up_file(loaded.settings.data_dir)
    started = rfc3339(system_clock())

    def write(state: State) -> None:
        body = {"pid": os.getpid(), "started_at": started, "endpoints": state.endpoints, "parts": state.pids}
        temporary = path.with_suffix(".new")
        with contextlib.suppress(OSError):  # a full disk is no reason to stop what runs
            temporary.write_text(json.dumps(body), encoding="utf-8")
            temporary.replace(path)

    try:
        yield write
    finally:
        path.unlink(missing_ok=True)
