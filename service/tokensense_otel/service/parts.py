"""Run one part in this process, from its settings to its clean end.

SIGTERM stops it, and so does SIGINT unless a supervisor runs it (a terminal's ctrl-C is the supervisor's to handle).
"""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from tokensense_otel.core.component import Component, system_clock
from tokensense_otel.core.events import configure_logging, share_metrics
from tokensense_otel.service import handshake, places
from tokensense_otel.service.loader import Loaded
from tokensense_otel.service.units import Unit, receivers_of

Report = Callable[[Mapping[str, str]], None]
"""Called once with the real endpoints when the part works."""

PREDECESSOR_S = 60.0
"""How long a part under a supervisor waits for one of a killed supervisor that is still finishing its work."""


def run_supervised(unit: Unit, ready_fd: int) -> None:
    """Run a process of `up`: settings from standard input, readiness to `ready_fd`, end with the supervisor."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    loaded = handshake.read_settings(sys.stdin.buffer)
    handshake.stop_with(sys.stdin.fileno())
    _run(unit, loaded, lambda endpoints: handshake.report_ready(ready_fd, unit.part, endpoints), PREDECESSOR_S)


def run_alone(part: str, loaded: Loaded, report: Report) -> None:
    """Run a part by itself.

    Raises:
        ConfigError: when it cannot be started here.
    """
    _run(Unit(part), loaded, report, places.PROBED_S)


def _run(unit: Unit, loaded: Loaded, report: Report, wait_s: float) -> None:
    settings = loaded.settings
    places.make_dirs(settings.data_dir)
    share_metrics(places.metrics_dir(settings.data_dir))  # the API adds up what the processes counted
    configure_logging(json_lines=settings.logging.format == "json", level=settings.logging.number)
    with places.only_one(settings.data_dir, unit.name, wait_s=wait_s):
        if unit.part == "receiver":
            _receiver(loaded, report, unit, wait_s)
        else:
            _RUNNERS[unit.part](loaded, report)


def _receiver(loaded: Loaded, report: Report, unit: Unit, wait_s: float) -> None:
    from tokensense_otel.receiver.listening import allow_connections
    from tokensense_otel.receiver.log.embedded import EmbeddedLog
    from tokensense_otel.receiver.log.share import Share
    from tokensense_otel.receiver.server import Receiver

    settings = loaded.settings
    allow_connections(settings.receiver.grpc.max_connections + settings.receiver.http.max_connections)
    log = EmbeddedLog(settings.log, places.log_dir(settings.data_dir))
    writer = log.writer(Share(unit.number, settings.receiver.processes), wait_s)
    receiver = Receiver(settings.receiver, writer, system_clock, name=unit.name)
    _serve(receiver, lambda: report(receiver.endpoints._asdict()))


def _dataflow(loaded: Loaded, report: Report) -> None:
    from tokensense_otel.dataflow.process import run_dataflow
    from tokensense_otel.receiver.log.embedded import EmbeddedLog
    from tokensense_otel.service.watching import RulesWatch
    from tokensense_otel.store.database import open_database

    settings = loaded.settings
    stop = threading.Event()
    _on_stop(lambda *_: stop.set())
    watch = RulesWatch(loaded, os.environ)
    signal.signal(signal.SIGHUP, lambda *_: watch.look_now())
    engine = open_database(settings.store.url, data_dir=settings.data_dir)
    run_dataflow(
        settings.dataflow,
        rules=watch.rules,
        normalise=settings.normalise,
        log=EmbeddedLog(settings.log, places.log_dir(settings.data_dir)).reader(),
        engine=engine,
        data_dir=settings.data_dir,
        stop=stop,
        ready=lambda: report({}),
        explain=settings.explain,
        prices=settings.prices,
        watch=watch.start,
    )
    watch.stop()
    engine.dispose()


def _exporters(loaded: Loaded, report: Report) -> None:
    from tokensense_otel.exporters.process import Exporters
    from tokensense_otel.exporters.registry import load_exporters
    from tokensense_otel.store.database import open_database

    settings = loaded.settings
    engine = open_database(settings.store.url, data_dir=settings.data_dir)
    named = load_exporters(settings.exporters, base_dir=loaded.base_dir)
    exporters = Exporters(
        named,
        engine,
        system_clock,
        maintenance=settings.maintenance,
        switch=settings.dead_mans_switch,
        receivers=receivers_of(settings),
    )
    _serve(exporters, lambda: report({}))
    engine.dispose()


def _api(loaded: Loaded, report: Report) -> None:
    from tokensense_otel.dataflow.pricing import Catalogue
    from tokensense_otel.receiver.log.embedded import EmbeddedLog
    from tokensense_otel.service.api.app import Sources, gather, make_app, store_check
    from tokensense_otel.service.api.backlog import LogCollector
    from tokensense_otel.service.api.deliveries import OutboxCollector
    from tokensense_otel.service.api.explainer import explainer
    from tokensense_otel.service.api.health import part_checks
    from tokensense_otel.service.api.pipeline import PipelineCollector, pipeline_check
    from tokensense_otel.service.api.server import ApiServer
    from tokensense_otel.store.database import open_database

    settings = loaded.settings
    engine = open_database(settings.store.url, data_dir=settings.data_dir)
    log = EmbeddedLog(settings.log, places.log_dir(settings.data_dir)).reader()
    pipeline = pipeline_check(settings, engine, system_clock)
    checks = {"store": store_check(engine), **part_checks(settings, log), "pipeline": pipeline}
    collectors = (
        LogCollector(log, settings.log.max_bytes, system_clock),
        OutboxCollector(engine),
        PipelineCollector(engine, receivers_of(settings), system_clock),
    )
    explain = explainer(engine, settings.dataflow.accounting, partial(Catalogue.load, settings.prices))
    sources = Sources(engine, system_clock, checks, places.metrics_dir(settings.data_dir), explain, collectors)
    server = ApiServer(settings.api, make_app(sources))
    components: list[Component] = [server]
    if settings.telemetry.endpoint:
        from tokensense_otel.service.telemetry.push import MetricsPush

        components.append(MetricsPush(settings.telemetry, partial(gather, sources), system_clock))
    _serve(_Together(*components), lambda: report({"api": server.endpoint}))
    engine.dispose()


class _Together:
    """Components of one process, started in order and stopped in the other."""

    def __init__(self, *components: Component) -> None:
        self._components = components

    async def start(self) -> None:
        for component in self._components:
            await component.start()

    async def stop(self) -> None:
        for component in reversed(self._components):
            await component.stop()


def _serve(component: Component, ready: Callable[[], None]) -> None:
    """Start a component, say so, and stop it when the process is asked to end."""

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        _on_stop(lambda *_: loop.call_soon_threadsafe(stop.set))
        await component.start()
        try:
            ready()
            await stop.wait()
        finally:
            await component.stop()

    import uvloop

    uvloop.run(main())


def _on_stop(handler: Callable[..., Any]) -> None:
    signal.signal(signal.SIGTERM, handler)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, handler)


_RUNNERS: dict[str, Callable[[Loaded, Report], None]] = {
    "dataflow": _dataflow,
    "exporters": _exporters,
    "api": _api,
}
