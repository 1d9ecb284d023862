"""What `doctor` says of several receivers."""

import json
import os
from pathlib import Path

import pytest

from tokensense_otel.service import places
from tokensense_otel.service.config import Settings
from tokensense_otel.service.doctor import place
from tokensense_otel.service.doctor.finding import Verdict
from tokensense_otel.service.loader import Loaded


def loaded(folder: Path, processes: int) -> Loaded:
    raw = {"data_dir": str(folder), "receiver": {"processes": processes}}
    return Loaded(Settings.model_validate(raw), raw, folder)


@pytest.mark.parametrize(("processes", "verdict"), [(1, Verdict.OK), (2, Verdict.OK), (3, Verdict.WARN)])
def test_more_receivers_than_cores_are_a_warning(
    tmp_path: Path, processes: int, verdict: Verdict, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On two cores, two receivers are in order and a third is too much, with the number to write."""
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    found = place.receivers(loaded(tmp_path, processes))
    assert (found.verdict, found.detail) == (verdict, f"{processes} on 2 cores, 4 partitions of the log")
    assert found.mend == ("write receiver.processes: 2 or less" if verdict is Verdict.WARN else "")


def test_each_receiver_that_is_missing_is_named(tmp_path: Path) -> None:
    """Under `up` with three receivers of which the second is being started again, that one is named; alone, those that
    run are."""
    settings = loaded(tmp_path, 3)
    places.make_dirs(tmp_path)
    with places.only_one(tmp_path, "receiver"), places.only_one(tmp_path, "receiver-3"):
        assert place.running(settings).detail == "does not run here; alone run: receiver, receiver-3"
        parts = dict.fromkeys(("receiver", "receiver-3", "dataflow", "exporters", "api"), 1)
        state = {"pid": 7, "endpoints": {}, "parts": parts}
        places.up_file(tmp_path).write_text(json.dumps(state))
        with places.only_one(tmp_path, "up"):
            found = place.running(settings)
    assert (found.verdict, found.detail) == (Verdict.WARN, "pid 7; being started again: receiver-2")
