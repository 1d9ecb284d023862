"""Checks of what is configured and of what lies in `data_dir`."""

import json
import os
import shutil
import socket
from pathlib import Path

from tokensense_otel.core.component import system_clock
from tokensense_otel.core.config import split_endpoint
from tokensense_otel.core.errors import ConfigError
from tokensense_otel.core.insight import rfc3339
from tokensense_otel.service import places
from tokensense_otel.service.doctor.finding import Finding, fail, ok, warn
from tokensense_otel.service.loader import Loaded
from tokensense_otel.service.units import receivers_of, units_of

_MIB = 1 << 20
_GIB = 1 << 30
_LEAST_FREE = 512 * _MIB
_LONG_LAG_S = 300.0


def data_dir(loaded: Loaded) -> Finding:
    folder = loaded.settings.data_dir
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        return fail("data_dir", f"{existing} cannot be written to", "write a data_dir that this user owns")
    free = shutil.disk_usage(existing).free
    shown = f"{folder}, {free // _MIB} MiB free"
    if free < _LEAST_FREE:
        return warn("data_dir", shown, "make room: a full disk stops what comes in, though nothing accepted is lost")
    return ok("data_dir", shown)


def running(loaded: Loaded) -> Finding:
    """Whether `up` runs on this data folder, and whether all of its parts do."""
    folder = loaded.settings.data_dir
    if not places.is_held(folder, "up"):
        parts = [unit.name for unit in units_of(loaded.settings) if places.is_held(folder, unit.name)]
        return ok("up", f"does not run here; alone run: {', '.join(parts)}" if parts else "does not run here")
    try:
        state = json.loads(places.up_file(folder).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return warn("up", "runs, but is not ready yet", "wait for `ready`, or read its log")
    missing = sorted({unit.name for unit in units_of(loaded.settings)} - set(state["parts"]))
    if missing:
        return warn("up", f"pid {state['pid']}; being started again: {', '.join(missing)}", "read its log")
    endpoints = " ".join(f"{name}={endpoint}" for name, endpoint in state["endpoints"].items())
    return ok("up", f"pid {state['pid']} {endpoints}")


def endpoints(loaded: Loaded) -> list[Finding]:
    """Whether each endpoint is free, or ours."""
    settings = loaded.settings
    wanted = (
        ("receiver.grpc.endpoint", "receiver", settings.receiver.grpc.endpoint),
        ("receiver.http.endpoint", "receiver", settings.receiver.http.endpoint),
        ("api.endpoint", "api", settings.api.endpoint),
    )
    return [_endpoint(key, endpoint, places.is_held(settings.data_dir, part)) for key, part, endpoint in wanted]


def _endpoint(key: str, endpoint: str, ours: bool) -> Finding:
    host, port = split_endpoint(endpoint)
    if ours:
        return ok(key, f"{endpoint} is ours")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return fail(
                key, f"{endpoint}: {error.strerror or error}", f"stop what listens there, or write another {key}"
            )
    return ok(key, f"{endpoint} is free")


def receivers(loaded: Loaded) -> Finding:
    """More processes than the machine has cores take turns, and cost the others."""
    processes, cores = loaded.settings.receiver.processes, os.cpu_count() or 1
    shown = f"{processes} on {cores} cores, {loaded.settings.log.partitions} partitions of the log"
    if processes > cores:
        return warn("receiver.processes", shown, f"write receiver.processes: {cores} or less")
    return ok("receiver.processes", shown)


def store(loaded: Loaded) -> Finding:
    from tokensense_otel.store.database import database_path, open_database

    settings = loaded.settings
    path = database_path(settings.store.url, settings.data_dir)
    if not path.exists():
        return ok("store", f"{path} is made by the first start")
    try:
        open_database(settings.store.url, data_dir=settings.data_dir).dispose()
    except ConfigError as error:
        return fail("store", str(error), "see the message")
    return ok("store", f"{path}, {path.stat().st_size // _MIB} MiB")


def log(loaded: Loaded) -> Finding:
    from tokensense_otel.receiver.log.embedded import EmbeddedLog

    folder = places.log_dir(loaded.settings.data_dir)
    if not folder.exists():
        return ok("log", f"{folder} is made by the first start")
    try:
        reader = EmbeddedLog(loaded.settings.log, folder).reader()
        status = reader.status()
    except ConfigError as error:
        return fail("log", str(error), "see the message")
    lag_s, max_bytes = status.lag_s(system_clock()), loaded.settings.log.max_bytes
    shown = (
        f"{len(reader.partitions())} partitions, {_size(status.disk_bytes)} of {_size(max_bytes)}; "
        f"{_size(status.uncommitted_bytes)} wait for the dataflow"
    )
    if status.oldest_uncommitted_ns is not None:
        shown += f", the oldest for {lag_s:.0f} s, since {rfc3339(status.oldest_uncommitted_ns)}"
    if status.uncommitted_bytes > max_bytes // 2 or lag_s > _LONG_LAG_S:
        return warn(
            "log", shown, "see whether the dataflow runs and keeps up; senders are refused when the log is full"
        )
    return ok("log", shown)


def _size(count: int) -> str:
    return f"{count / _MIB:.1f} MiB" if count < _GIB else f"{count / _GIB:.1f} GiB"


def recovery(loaded: Loaded) -> Finding:
    folder = loaded.settings.data_dir / "recovery"
    wanted = loaded.settings.dataflow.recovery_partitions
    found = len(list(folder.glob("*.sqlite3"))) if folder.is_dir() else 0
    if not found:
        return ok("recovery", f"{folder} is made by the first start")
    if found != wanted:
        mend = f"write dataflow.recovery_partitions: {found}"
        return fail("recovery", f"{folder} has {found} partitions, the configuration says {wanted}", mend)
    unreadable = [path.name for path in folder.glob("*.sqlite3") if not os.access(path, os.R_OK | os.W_OK)]
    if unreadable:
        return fail("recovery", f"cannot be written: {', '.join(unreadable)}", f"give {folder} to this user")
    return ok("recovery", f"{found} partitions")


def written_ahead(loaded: Loaded) -> Finding:
    """Files from the future mean that the clock was set back: windows and backoffs would stand still until then."""
    import time

    folder = places.log_dir(loaded.settings.data_dir)
    newest = max((path.stat().st_mtime for path in _files(folder)), default=0.0)
    if newest > time.time() + 60:
        return warn("clock and log", "the log was written in the future", "see whether the system's clock was set back")
    return ok("clock and log", "agree")


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()] if folder.is_dir() else []


def pipeline(loaded: Loaded) -> Finding:
    """Whether heartbeats come from the receiver through log, dataflow and store to the exporters."""
    from tokensense_otel.service.api.pipeline import pipeline_lag, runs_here
    from tokensense_otel.store.database import database_path, open_database

    settings = loaded.settings
    if not runs_here(settings) or not database_path(settings.store.url, settings.data_dir).exists():
        return ok("pipeline", "does not run here")
    engine = open_database(settings.store.url, data_dir=settings.data_dir)
    try:
        lag = pipeline_lag(engine, receivers_of(settings), system_clock())
    finally:
        engine.dispose()
    if lag.exporters is not None and lag.beyond(settings.dead_mans_switch.max_lag_s):
        return warn("pipeline", str(lag), "read the log of the part behind; what waits on the log is not lost")
    return ok("pipeline", str(lag))


def exporters(loaded: Loaded) -> Finding:
    """They were checked with the configuration; having none is worth a word."""
    names = list(loaded.settings.exporters)
    if not names:
        return warn("exporters", "there is none: nobody is told", "write one under exporters:")
    return ok("exporters", ", ".join(f"{name} ({loaded.settings.exporters[name].get('type')})" for name in names))
