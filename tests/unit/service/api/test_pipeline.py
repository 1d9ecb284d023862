"""Whether heartbeats come all the way, as `/readyz`, `/metrics` and `doctor` say it."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import Engine

from tokensense_otel.service import places
from tokensense_otel.service.api.pipeline import PipelineCollector, Stuck, pipeline_check
from tokensense_otel.service.config import Settings
from tokensense_otel.store.database import open_database
from tokensense_otel.store.heartbeats import pass_on
from tokensense_otel.store.rollups import RollupWriter

SECOND = 1_000_000_000
START = 1_000 * SECOND


class Pipeline:
    """A data folder whose parts run, or seem to, and a clock of the test's."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        places.make_dirs(folder)
        self.settings = Settings.model_validate({"data_dir": folder} | settings)
        self.engine: Engine = open_database("sqlite", data_dir=folder)
        self.now = START
        self.check = pipeline_check(self.settings, self.engine, lambda: self.now)

    def came(self, store_s: float, exporters_s: float | None = None, name: str = "receiver") -> None:
        """Heartbeats of so many seconds after the start came so far."""
        beat_ns = START + round(store_s * SECOND)
        RollupWriter(self.engine, "p0", None, lambda: 0).write({}, {}, [], heartbeats={name: beat_ns})
        if exporters_s is not None:
            pass_on(self.engine, START + round(exporters_s * SECOND))

    def at(self, seconds: float) -> str:
        self.now = START + round(seconds * SECOND)
        return self.check()


@contextlib.contextmanager
def _pipeline(folder: Path, *parts: str, **settings: Any) -> Iterator[Pipeline]:
    with contextlib.ExitStack() as held:
        pipeline = Pipeline(folder, **settings)
        held.callback(pipeline.engine.dispose)
        for part in parts or ("receiver", "dataflow", "exporters"):
            held.enter_context(places.only_one(folder, part))
        yield pipeline


def test_a_young_pipeline_is_given_time(tmp_path: Path) -> None:
    """Three minutes without any heartbeat are a start; more are none."""
    with _pipeline(tmp_path) as pipeline:
        assert pipeline.at(180) == "no heartbeat came yet"
        with pytest.raises(Stuck, match="no heartbeat came yet"):
            pipeline.at(181)


def test_what_came_all_the_way_is_well_until_it_is_old(tmp_path: Path) -> None:
    """The greatest lag is still well, one second more is not."""
    with _pipeline(tmp_path) as pipeline:
        pipeline.came(300, 300)
        assert pipeline.at(480) == "the last heartbeat came to the store 180 s ago, to the exporters 180 s ago"
        with pytest.raises(Stuck):
            pipeline.at(481)


def test_it_says_how_far_they_come(tmp_path: Path) -> None:
    """Fresh in the store and old at the exporters: it is these that are stuck."""
    with _pipeline(tmp_path) as pipeline:
        pipeline.came(500, 100)
        with pytest.raises(Stuck, match=r"to the store 10 s ago, to the exporters 410 s ago"):
            pipeline.at(510)


def test_each_process_of_the_receiver_counts(tmp_path: Path) -> None:
    """One of two that is stuck is a receiver that is stuck."""
    config = {"receiver": {"processes": 2}}
    with _pipeline(tmp_path, "receiver", "receiver-2", "dataflow", "exporters", **config) as pipeline:
        pipeline.came(500, 500)
        with pytest.raises(Stuck):
            pipeline.at(510)
        pipeline.came(505, name="receiver-2")
        assert pipeline.at(510) == "the last heartbeat came to the store 10 s ago, to the exporters 10 s ago"


def test_where_a_part_does_not_run_nothing_can_be_expected(tmp_path: Path) -> None:
    """An API that runs alone is ready; what it knows of heartbeats it says."""
    with _pipeline(tmp_path, "receiver", "dataflow") as pipeline:
        pipeline.came(0)
        assert pipeline.at(10_000) == "the last heartbeat came to the store 10000 s ago, none to the exporters"


def test_the_lag_is_a_metric(tmp_path: Path) -> None:
    """By how far they came, and nothing where none ever did."""
    with _pipeline(tmp_path) as pipeline:
        registry = CollectorRegistry()
        registry.register(PipelineCollector(pipeline.engine, ["receiver"], lambda: START + 60 * SECOND))
        lag = "tokensense_pipeline_lag_seconds"
        assert registry.get_sample_value(lag, {"upto": "store"}) is None
        pipeline.came(45, 15)
        assert registry.get_sample_value(lag, {"upto": "store"}) == 15
        assert registry.get_sample_value(lag, {"upto": "exporters"}) == 45
