"""How heartbeats fare on their way from the receiver to the exporters: for `/readyz`, `/metrics` and `doctor`.

The processes of the receiver put one on the log now and then; the dataflow stamps into the store which came, and the
exporters what they saw of them there. So one that is stuck shows, and not only one that is gone.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from tokensense_otel.core.component import Clock
from tokensense_otel.service import places
from tokensense_otel.service.config import Settings
from tokensense_otel.service.units import Unit, receivers_of, units_of
from tokensense_otel.store.heartbeats import read_heartbeats

_SECOND_NS = 1_000_000_000


class Stuck(Exception):
    """Heartbeats do not come all the way."""


class Lag(NamedTuple):
    """Seconds since the newest heartbeat that came so far; `None` where none ever did."""

    store: float | None
    exporters: float | None

    def beyond(self, most_s: float) -> bool:
        """Whether heartbeats are lost: the newest is older, or none came."""
        return self.store is None or self.exporters is None or max(self.store, self.exporters) > most_s

    def __str__(self) -> str:
        if self.store is None:
            return "no heartbeat came yet" if self.exporters is None else "none came yet of one of the receivers"
        further = "none to the exporters" if self.exporters is None else f"to the exporters {self.exporters:.0f} s ago"
        return f"the last heartbeat came to the store {self.store:.0f} s ago, {further}"


def pipeline_lag(engine: Engine, receivers: Sequence[str], now_ns: int) -> Lag:
    """Of the process of the receiver that is furthest behind."""
    beats = read_heartbeats(engine)
    return Lag(_since(beats.oldest(receivers), now_ns), _since(beats.exporters, now_ns))


def pipeline_check(settings: Settings, engine: Engine, clock: Clock) -> Callable[[], str]:
    """Raises while heartbeats are lost, although all that passes them on has run here for long enough."""
    started_ns = clock()

    def check() -> str:
        now_ns = clock()
        lag = pipeline_lag(engine, receivers_of(settings), now_ns)
        most_s = settings.dead_mans_switch.max_lag_s
        if lag.beyond(most_s) and now_ns - started_ns > most_s * _SECOND_NS and runs_here(settings):
            raise Stuck(str(lag))
        return str(lag)

    return check


def runs_here(settings: Settings) -> bool:
    """Whether every process that passes heartbeats on runs on this data folder."""
    units: Iterator[Unit] = (unit for unit in units_of(settings) if unit.part != "api")
    return all(places.is_held(settings.data_dir, unit.name) for unit in units)


class PipelineCollector(Collector):
    """The lag as gauges; nothing of where no heartbeat ever came."""

    def __init__(self, engine: Engine, receivers: Sequence[str], clock: Clock) -> None:
        self._engine = engine
        self._receivers = receivers
        self._clock = clock

    def collect(self) -> Iterator[Metric]:
        """Nothing while the store does not answer, so that the other metrics still show."""
        try:
            lag = pipeline_lag(self._engine, self._receivers, self._clock())
        except SQLAlchemyError:
            return
        gauge = GaugeMetricFamily(
            "tokensense_pipeline_lag_seconds",
            "Age of the newest heartbeat of the receiver that came so far.",
            labels=("upto",),
        )
        for upto, seconds in lag._asdict().items():
            if seconds is not None:
                gauge.add_metric([upto], seconds)
        yield gauge


def _since(beat_ns: int, now_ns: int) -> float | None:
    return max(0, now_ns - beat_ns) / _SECOND_NS if beat_ns else None
