"""The embedded log after crashes: the disk as it may be left is made by hand, then the log is opened again."""

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokensense_otel.receiver.log import events
from tokensense_otel.receiver.log.config import LogConfig
from tokensense_otel.receiver.log.embedded import EmbeddedLog
from tokensense_otel.receiver.log.entry import Entry, Signal
from tokensense_otel.receiver.log.files import SegmentFile, list_segments
from tokensense_otel.receiver.log.log import START, Position

CONFIG = LogConfig(partitions=1)
SIZES = [1, 300, 7, 5000, 20]


@pytest.fixture(scope="module")
def written() -> Iterator[Path]:
    """A log with one segment of five entries, numbered 0…4, never to be changed."""
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / "log", range(5))
        yield Path(folder) / "log"


def write(folder: Path, which: range) -> None:
    async def story() -> None:
        writer = EmbeddedLog(CONFIG, folder).writer()
        await writer.start()
        for number in which:
            await writer.append(Entry(Signal.TRACES, "t", "", number, bytes([number]) * SIZES[number % 5]))
        await writer.stop()

    asyncio.run(story())


def read(folder: Path, position: Position = START) -> tuple[list[int], Position]:
    partition = EmbeddedLog(CONFIG, folder).reader().open("p000")
    found: list[int] = []
    while True:
        entries, position = partition.read(position, 1 << 20)
        if not entries:
            partition.close()
            return found, position
        found.extend(entry.received_ns for entry in entries)


def only_segment(folder: Path) -> Path:
    (segment,) = list_segments(folder / "p000")
    return segment.path


def record_ends(path: Path) -> list[int]:
    """Where each record ends, in bytes from the start of the file."""
    file, at = SegmentFile(path), 0
    ends: list[int] = []
    while True:
        payloads, at, _ = file.read(at, 1)
        if not payloads:
            file.close()
            return ends
        ends.append(at)


def copied(log: Path) -> Path:
    folder = Path(tempfile.mkdtemp()) / "log"
    shutil.copytree(log, folder)
    return folder


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_crash_at_any_byte_keeps_every_whole_record_and_nothing_else(written: Path, data: st.DataObject) -> None:
    """Cut anywhere, the log gives back exactly the records that end before the cut, and what is appended then."""
    ends = record_ends(only_segment(written))
    cut = data.draw(st.integers(0, ends[-1]))
    folder = copied(written)
    with only_segment(folder).open("r+b") as file:
        file.truncate(cut)
    whole = [number for number, end in enumerate(ends) if end <= cut]

    before, position = read(folder)
    write(folder, range(10, 12))
    after, _ = read(folder)
    resumed, _ = read(folder, position)

    assert before == whole
    assert after == [*whole, 10, 11]
    assert resumed == [10, 11]
    shutil.rmtree(folder.parent)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damage_anywhere_costs_only_the_record_it_hits(written: Path, data: st.DataObject) -> None:
    """A changed byte in the middle is passed over: every other record is read, across a restart as well."""
    ends = record_ends(only_segment(written))
    at = data.draw(st.integers(0, ends[-1] - 1))
    folder = copied(written)
    path = only_segment(folder)
    content = bytearray(path.read_bytes())
    content[at] ^= 0xFF
    path.write_bytes(content)
    # The header's marker is on each record too: damage in the first 16 bytes costs nothing.
    hit = sum(end <= at for end in ends) if at >= 16 else None

    write(folder, range(10, 11))
    found, _ = read(folder)

    assert found == [*(number for number in range(5) if number != hit), 10]
    shutil.rmtree(folder.parent)


@pytest.mark.parametrize("at", [16, 23])
def test_damage_to_the_first_records_marker_costs_only_the_first(written: Path, tmp_path: Path, at: int) -> None:
    """Where the header and the first record disagree on the marker, what the other records bear is right."""
    shutil.copytree(written, tmp_path / "log")
    path = only_segment(tmp_path / "log")
    content = bytearray(path.read_bytes())
    content[at] ^= 0xFF
    path.write_bytes(content)

    write(tmp_path / "log", range(10, 11))

    assert read(tmp_path / "log")[0] == [1, 2, 3, 4, 10]


@settings(max_examples=30, deadline=None)
@given(lost=st.integers(0, 4))
def test_a_position_beyond_a_lost_tail_never_skips_later_entries(written: Path, lost: int) -> None:
    """A reader that was ahead of what a power loss left reads everything appended afterwards, whatever its size."""
    _, position = read(written)
    folder = copied(written)
    with only_segment(folder).open("r+b") as file:
        file.truncate(record_ends(only_segment(written))[lost])

    waiting, unmoved = read(folder, position)
    write(folder, range(10, 30))
    found, _ = read(folder, position)

    assert (waiting, unmoved) == ([], position)
    assert found == list(range(10, 30))
    shutil.rmtree(folder.parent)


def test_a_log_that_was_deleted_and_begun_anew_is_read_from_its_start(tmp_path: Path) -> None:
    """Positions of a deleted log are below those of the one that replaces it, so nothing new is skipped."""
    write(tmp_path / "log", range(5))
    _, position = read(tmp_path / "log")
    shutil.rmtree(tmp_path / "log")
    write(tmp_path / "log", range(10, 13))

    assert read(tmp_path / "log", position)[0] == [10, 11, 12]


@pytest.mark.parametrize("filler", [b"\0", b"\xff", b"TSLOG"])
def test_records_that_were_overwritten_are_counted_aloud(
    written: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], filler: bytes
) -> None:
    """Records 1 and 2 in the middle, lost to zeros or rubbish: one ERROR with their bytes, the others are read."""
    shutil.copytree(written, tmp_path / "log")
    path = only_segment(tmp_path / "log")
    ends, content = record_ends(path), bytearray(path.read_bytes())
    size = ends[2] - ends[0]
    content[ends[0] : ends[2]] = (filler * size)[:size]
    path.write_bytes(content)
    counter = events.CORRUPT._counter.labels("p000")._value
    before = counter.get()

    assert read(tmp_path / "log")[0] == [0, 3, 4]

    said = [line for line in capsys.readouterr().out.splitlines() if "log_corrupt_bytes" in line]
    assert (len(said), "[error" in said[0], counter.get() - before) == (1, True, size)


@pytest.mark.parametrize("tail", [bytes(5000), b"\xff" * 5000])
def test_a_tail_of_rubbish_is_cut_and_nothing_else(written: Path, tmp_path: Path, tail: bytes) -> None:
    """Zeros after the last record, as a file system may leave them after a loss of power, cost nothing."""
    shutil.copytree(written, tmp_path / "log")
    path = only_segment(tmp_path / "log")
    path.write_bytes(path.read_bytes() + tail)

    write(tmp_path / "log", range(10, 11))

    assert read(tmp_path / "log")[0] == [0, 1, 2, 3, 4, 10]


@pytest.mark.parametrize("content", [b"", b"\0" * 19, b"not a number", b"99999999999999999999999"])
def test_a_damaged_note_of_the_commit_costs_nothing(written: Path, tmp_path: Path, content: bytes) -> None:
    """Whatever `committed` says after a loss of power, every entry is read from the readers' own positions."""
    shutil.copytree(written, tmp_path / "log")
    (tmp_path / "log" / "p000" / "committed").write_bytes(content)

    assert EmbeddedLog(CONFIG, tmp_path / "log").reader().status().disk_bytes > 0
    first, position = read(tmp_path / "log")
    write(tmp_path / "log", range(10, 12))

    assert (first, read(tmp_path / "log", position)[0]) == ([0, 1, 2, 3, 4], [10, 11])


def test_a_segment_whose_beginning_is_lost_is_passed_over(tmp_path: Path) -> None:
    """A segment that cannot be read at all neither stops the reader nor is destroyed by the writer."""
    write(tmp_path / "log", range(3))
    path = only_segment(tmp_path / "log")
    damaged = b"?" * 32 + path.read_bytes()[32:]
    path.write_bytes(damaged)

    write(tmp_path / "log", range(10, 12))

    assert read(tmp_path / "log")[0] == [10, 11]
    assert path.read_bytes() == damaged


def test_a_record_that_holds_no_entry_is_passed_over(tmp_path: Path) -> None:
    """A poison entry, whole but undecodable, costs only itself."""
    from tokensense_otel.receiver.log.partition import PartitionWriter

    write(tmp_path / "log", range(2))
    partition = PartitionWriter(tmp_path / "log" / "p000", 1 << 20, lambda: 0)
    partition.append([b"no entry"])
    partition.close()
    write(tmp_path / "log", range(2, 4))

    assert read(tmp_path / "log")[0] == [0, 1, 2, 3]


def test_a_payload_cannot_pretend_to_be_a_record(written: Path, tmp_path: Path) -> None:
    """Bytes that look like a record of another segment stay inside the payload, even when its own record is torn."""
    forged = only_segment(written).read_bytes()

    async def story() -> None:
        writer = EmbeddedLog(CONFIG, tmp_path / "log").writer()
        await writer.start()
        await writer.append(Entry(Signal.TRACES, "t", "", 1, forged + b"end"))
        await writer.stop()

    asyncio.run(story())
    path = only_segment(tmp_path / "log")
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 1)

    assert read(tmp_path / "log")[0] == []
