"""The file: whole lines on disk, whatever was there before, and errors that say whether to try again."""

import asyncio
import errno
import os
from pathlib import Path

import pytest

from tests.unit.exporters.support import an_insight
from tokensense_otel.core.insight import Status, decode_insight
from tokensense_otel.exporters import EndpointDown, Retry
from tokensense_otel.exporters.file.config import FileConfig
from tokensense_otel.exporters.file.exporter import FileExporter


def append(path: Path, *statuses: Status) -> None:
    async def run() -> None:
        exporter = FileExporter(FileConfig(path=path))
        for status in statuses or (Status.FIRING,):
            await exporter.send(exporter.render(an_insight(status, title="a\nb")), None)

    asyncio.run(run())


def test_each_insight_is_a_line(tmp_path: Path) -> None:
    """A line break inside is escaped; lines decode to the insights, in order; nobody else may read them."""
    append(tmp_path / "log.jsonl", Status.FIRING, Status.RESOLVED)
    lines = (tmp_path / "log.jsonl").read_text().splitlines()
    assert [decode_insight(line).status for line in lines] == [Status.FIRING, Status.RESOLVED]
    assert (tmp_path / "log.jsonl").stat().st_mode & 0o077 == 0


def test_a_line_that_a_crash_cut_short_is_ended_first(tmp_path: Path) -> None:
    """Half a line stays half a line and harms no other."""
    (tmp_path / "log.jsonl").write_text('{"id": "in_')
    append(tmp_path / "log.jsonl")
    cut, whole = (tmp_path / "log.jsonl").read_text().splitlines()
    assert cut == '{"id": "in_'
    assert decode_insight(whole) == an_insight(title="a\nb")


def test_a_file_that_was_moved_away_is_made_anew(tmp_path: Path) -> None:
    """As logrotate does between two lines."""
    append(tmp_path / "log.jsonl")
    (tmp_path / "log.jsonl").rename(tmp_path / "log.jsonl.1")
    append(tmp_path / "log.jsonl")
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 1


def test_a_place_that_is_none_waits_for_a_person(tmp_path: Path) -> None:
    """A folder, or a file beneath a file: paused, with the path."""
    with pytest.raises(EndpointDown, match="Is a directory"):
        append(tmp_path)
    with pytest.raises(EndpointDown, match=r"none/log\.jsonl: No such file"):
        append(tmp_path / "none" / "log.jsonl")


def test_a_full_disk_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No space left is no reason to give up."""

    def full(_handle: int, _line: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(Retry, match="No space left"):
        append(tmp_path / "log.jsonl")
