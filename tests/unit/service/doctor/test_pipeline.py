"""What `doctor` says of heartbeats."""

import contextlib
import time
from pathlib import Path

from tokensense_otel.service import places
from tokensense_otel.service.config import Settings
from tokensense_otel.service.doctor import place
from tokensense_otel.service.doctor.finding import Finding, Verdict
from tokensense_otel.service.loader import Loaded
from tokensense_otel.store.database import open_database
from tokensense_otel.store.heartbeats import pass_on
from tokensense_otel.store.rollups import RollupWriter


def _examined(folder: Path, *parts: str, age_s: float | None = None) -> Finding:
    """With these parts running, and heartbeats that came all the way `age_s` ago, if ever."""
    raw = {"data_dir": str(folder)}
    places.make_dirs(folder)
    engine = open_database("sqlite", data_dir=folder)
    if age_s is not None:
        beat_ns = time.time_ns() - round(age_s * 1e9)
        RollupWriter(engine, "p0", None, time.time_ns).write({}, {}, [], heartbeats={"receiver": beat_ns})
        pass_on(engine, beat_ns)
    engine.dispose()
    with contextlib.ExitStack() as held:
        for part in parts:
            held.enter_context(places.only_one(folder, part))
        return place.pipeline(Loaded(Settings.model_validate(raw), raw, folder))


def test_heartbeats_that_come_are_in_order(tmp_path: Path) -> None:
    """It says when the last one came, and how far."""
    found = _examined(tmp_path, "receiver", "dataflow", "exporters", age_s=10)
    assert found.verdict is Verdict.OK
    assert found.detail == "the last heartbeat came to the store 10 s ago, to the exporters 10 s ago"


def test_heartbeats_that_stopped_are_a_warning(tmp_path: Path) -> None:
    """More than three minutes old while every part runs: one of them hangs."""
    found = _examined(tmp_path, "receiver", "dataflow", "exporters", age_s=190)
    assert (found.verdict, found.check) == (Verdict.WARN, "pipeline")
    assert found.mend


def test_a_start_and_parts_elsewhere_are_no_warning(tmp_path: Path) -> None:
    """Before the first heartbeat, and where not everything runs here, nothing can be said against it."""
    assert _examined(tmp_path / "young", "receiver", "dataflow", "exporters").verdict is Verdict.OK
    assert _examined(tmp_path / "elsewhere", "receiver", age_s=9_999).detail == "does not run here"
