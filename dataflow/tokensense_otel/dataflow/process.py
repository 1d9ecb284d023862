"""The dataflow as a process: load the catalogue, make recovery ready, run Bytewax until asked to stop."""

import gc
import os
import secrets
import threading
import time
import zlib
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from sqlalchemy import Engine

from tokensense_otel.core.component import Clock, system_clock
from tokensense_otel.dataflow import events
from tokensense_otel.dataflow.clock import LogClock
from tokensense_otel.dataflow.config import DataflowConfig
from tokensense_otel.dataflow.decode import Decoder, Quarantine
from tokensense_otel.dataflow.normalise import NormaliseConfig, Normaliser
from tokensense_otel.dataflow.pricing import Catalogue, PricesConfig
from tokensense_otel.dataflow.rules import RuleSet
from tokensense_otel.dataflow.stages import Stages
from tokensense_otel.receiver.log.entry import Entry
from tokensense_otel.receiver.log.log import LogReader
from tokensense_otel.store.config import ExplainConfig


def run_dataflow(
    config: DataflowConfig,
    *,
    rules: RuleSet,
    normalise: NormaliseConfig,
    log: LogReader,
    engine: Engine,
    data_dir: Path,
    stop: threading.Event,
    ready: Callable[[], None],
    clock: Clock = system_clock,
    explain: ExplainConfig | None = None,
    prices: PricesConfig | None = None,
    watch: Callable[[Callable[[RuleSet], None]], None] | None = None,
) -> None:
    """Run until `stop` is set, then end with a last snapshot. Blocks; call it from the main thread.

    `watch` is called once with what takes other rules, which may then be called from any thread.

    Raises:
        ConfigError: when the recovery folder cannot be used.
    """
    # Rust prints a page of frames for each Python error that passes through it; the error itself says more.
    os.environ.setdefault("RUST_BACKTRACE", "0")
    from bytewax.recovery import RecoveryConfig
    from bytewax.testing import run_main

    from tokensense_otel.dataflow.engine import recovery
    from tokensense_otel.dataflow.engine.flow import build_flow
    from tokensense_otel.dataflow.engine.sink import StoreSink
    from tokensense_otel.dataflow.engine.source import LogSource, Stop

    folder = data_dir / "recovery"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with recovery.only_one(folder):
        recovery.prepare(folder, config.recovery_partitions)
        log_clock = LogClock(clock)
        source = LogSource(
            log,
            batch_bytes=config.batch_bytes,
            idle_wait_ms=config.idle_wait_ms,
            clock=log_clock,
            stop=Stop(stop, config.drain_s, time.monotonic),
        )
        stages = Stages(config, rules, Catalogue.load(prices))
        flow = build_flow(
            source,
            StoreSink(engine, clock, time.monotonic, explain),
            decoder=Decoder(Normaliser(normalise, load_salt(data_dir)), quarantine(data_dir / "quarantine")),
            stages=stages,
            clock=log_clock,
        )
        if watch is not None:
            watch(stages.reload)
        _calm_collector()
        ready()
        events.FLOW_STARTED()
        run_main(  # type: ignore[no-untyped-call]
            flow,
            epoch_interval=timedelta(seconds=config.epoch_interval_s),
            recovery_config=RecoveryConfig(str(folder)),  # type: ignore[no-untyped-call]
        )
        events.FLOW_STOPPED()


def _calm_collector() -> None:
    """Look for cyclic garbage seldom: state is many long-lived objects without cycles, and each look walks them all."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GC_ALLOCATIONS, _GC_SELDOM, _GC_SELDOM)


_GC_ALLOCATIONS = 20_000
_GC_SELDOM = 50


def load_salt(data_dir: Path) -> bytes:
    """The secret under which prompts are hashed: made once for each data folder, so hashes mean nothing elsewhere."""
    path = data_dir / "salt"
    try:
        return path.read_bytes()
    except FileNotFoundError:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(32))
        return path.read_bytes()


def quarantine(folder: Path) -> Quarantine:
    """Keeps entries that could not be read, as files that `tokensense replay` takes."""

    def keep(entry: Entry) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        name = f"{entry.received_ns}-{zlib.crc32(entry.body):08x}.{entry.signal.value}.pb"
        (folder / name).write_bytes(entry.body)

    return keep
