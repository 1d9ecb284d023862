"""The embedded log's folder and files: private, held by one writer, and missed when somebody takes them away."""

import asyncio
import os
import shutil
import stat
from pathlib import Path

import pytest

from tests.support.calls import NOON, SECOND
from tests.support.small_log import SMALL, an_entry, numbers, with_writer
from tokensense_otel.core.errors import ConfigError, Retryable
from tokensense_otel.receiver.log import partition
from tokensense_otel.receiver.log.config import LogConfig
from tokensense_otel.receiver.log.embedded import EmbeddedLog
from tokensense_otel.receiver.log.entry import encode_entry
from tokensense_otel.receiver.log.files import list_segments
from tokensense_otel.receiver.log.log import START
from tokensense_otel.receiver.log.reader import EmbeddedPartition
from tokensense_otel.receiver.log.writer import EmbeddedWriter


def test_a_second_writer_is_refused_with_one_line(tmp_path: Path) -> None:
    """Two writers on one folder are a ConfigError that says what to do, and the first goes on."""
    log = EmbeddedLog(SMALL, tmp_path / "log")

    async def story(writer: EmbeddedWriter) -> None:
        second = log.writer()
        with pytest.raises(ConfigError, match=r"another receiver is writing to .*/log; stop it") as refused:
            await second.start()
        await second.stop()
        assert "\n" not in str(refused.value)
        await writer.append(an_entry(1))

    with_writer(log, story)
    assert numbers(log) == [1]


@pytest.mark.parametrize("side", ["writer", "reader"])
def test_another_number_of_partitions_is_refused(tmp_path: Path, side: str) -> None:
    """A log made with 4 partitions is not opened with 3; the message names the key and what to write."""
    EmbeddedLog(LogConfig(partitions=4), tmp_path / "log").reader()
    changed = EmbeddedLog(LogConfig(partitions=3), tmp_path / "log")

    def open_side() -> None:
        if side == "reader":
            changed.reader()
        else:
            asyncio.run(changed.writer().start())

    with pytest.raises(ConfigError, match=r"^log\.partitions: .*created with 4.*write partitions: 4$"):
        open_side()


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    """A file where the folder should be is a ConfigError, for either side."""
    (tmp_path / "log").write_text("not a folder")
    log = EmbeddedLog(SMALL, tmp_path / "log")

    with pytest.raises(ConfigError, match="cannot be used"):
        log.reader()
    with pytest.raises(ConfigError, match="cannot be used"):
        asyncio.run(log.writer().start())


@pytest.mark.parametrize("before", [None, 0o755, 0o777])
def test_folders_and_files_are_private(tmp_path: Path, before: int | None) -> None:
    """Only the user can look into the log, because prompts may be in it, whatever the umask and an older folder say."""
    if before is not None:
        (tmp_path / "log" / "p000").mkdir(parents=True)
        for path in (tmp_path / "log", tmp_path / "log" / "p000"):
            path.chmod(before)
    log = EmbeddedLog(SMALL, tmp_path / "log")
    umask = os.umask(0)
    try:
        with_writer(log, lambda writer: writer.append(an_entry(1)))
        reader = log.reader().open("p000")
        reader.commit(reader.read(START, 1)[1])
        reader.close()
    finally:
        os.umask(umask)

    modes = {
        path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "log", *(tmp_path / "log").rglob("*"))
    }
    (segment,) = list_segments(tmp_path / "log" / "p000")
    assert modes == {
        "log": 0o700,
        "p000": 0o700,
        "p000.lock": 0o600,
        "log.json": 0o600,
        "committed": 0o600,
        segment.path.name: 0o600,
    }


def test_a_folder_that_is_deleted_is_made_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The log goes on in a new folder, says aloud that what it held is gone, and readers go on in the new one."""
    log = EmbeddedLog(SMALL, tmp_path / "log")
    reader = log.reader().open("p000")

    async def story(writer: EmbeddedWriter) -> None:
        await writer.append(an_entry(1))
        _, position = reader.read(START, 1 << 20)
        await writer.append(an_entry(2))
        shutil.rmtree(tmp_path / "log")
        assert reader.read(position, 1 << 20) == ([], position)
        reader.commit(position)
        await writer.append(an_entry(3))
        assert [entry.received_ns for entry in reader.read(position, 1 << 20)[0]] == [3]

    with_writer(log, story)
    reader.close()
    said = capsys.readouterr().out
    assert said.count("log_folder_made_again") == 1
    # The entry that nobody had read: its record is what is missing between the position and the new segment.
    assert said.count("log_missing_bytes") == 1


def test_a_folder_that_is_moved_takes_nothing_more(tmp_path: Path) -> None:
    """What is appended after the folder was moved away is in the folder that readers look into."""
    log = EmbeddedLog(SMALL, tmp_path / "log")

    async def story(writer: EmbeddedWriter) -> None:
        await writer.append(an_entry(1))
        (tmp_path / "log").rename(tmp_path / "old")
        await writer.append(an_entry(2))

    with_writer(log, story)
    assert numbers(log) == [2]
    assert numbers(EmbeddedLog(SMALL, tmp_path / "old")) == [1]


def test_a_volume_that_is_gone_is_waited_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the folder around the log is another one, nothing is written into its place; it works when it is back."""
    home = tmp_path / "data"
    log = EmbeddedLog(SMALL, home / "log")

    async def story(writer: EmbeddedWriter) -> None:
        await writer.append(an_entry(1))
        home.rename(tmp_path / "unmounted")
        home.mkdir()  # the empty mount point
        for _ in range(2):
            with pytest.raises(Retryable, match="missing"):
                await writer.append(an_entry(2))
        assert list(home.iterdir()) == []
        home.rmdir()
        (tmp_path / "unmounted").rename(home)
        await writer.append(an_entry(3))

    with_writer(log, story)
    assert numbers(log) == [1, 3]
    assert capsys.readouterr().out.count("log_folder_lost") == 1


def test_a_folder_that_another_receiver_took_is_left_to_it(tmp_path: Path) -> None:
    """Two writers never share a folder, also when it was deleted under the first and the second made it anew."""
    log = EmbeddedLog(SMALL, tmp_path / "log")

    async def story(writer: EmbeddedWriter) -> None:
        await writer.append(an_entry(1))
        shutil.rmtree(tmp_path / "log")
        second = log.writer()
        await second.start()
        with pytest.raises(Retryable):
            await writer.append(an_entry(2))
        await second.append(an_entry(3))
        await second.stop()
        await writer.append(an_entry(4))

    with_writer(log, story)
    assert numbers(log) == [3, 4]


def test_files_deleted_beneath_the_writer_are_noticed(tmp_path: Path) -> None:
    """An append into a deleted file is not acknowledged; the next one begins a new file."""
    log = EmbeddedLog(SMALL, tmp_path / "log")

    async def story(writer: EmbeddedWriter) -> None:
        await writer.append(an_entry(1))
        list_segments(tmp_path / "log" / "p000")[0].path.unlink()
        with pytest.raises(Retryable, match="deleted or moved"):
            await writer.append(an_entry(2))
        await writer.append(an_entry(3))

    with_writer(log, story)
    assert numbers(log) == [3]


def test_what_was_in_a_deleted_file_is_missed_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The file being written goes, with an entry that nobody had read: one ERROR, however often one looks again."""
    now = [NOON]
    part = partition.PartitionWriter(tmp_path, 4096, lambda: now[0])
    part.append([encode_entry(an_entry(1))])
    reader = EmbeddedPartition("p000", tmp_path)
    _, position = reader.read(START, 1)
    part.append([encode_entry(an_entry(2))])
    (segment,) = list_segments(tmp_path)
    end = segment.base + segment.path.stat().st_size
    segment.path.unlink()
    with pytest.raises(FileNotFoundError):
        part.append([encode_entry(an_entry(3))])
    now[0] += SECOND
    part.begin_anew(SECOND)  # an empty file follows

    for _ in range(3):
        assert reader.read(position, 1)[0] == []
    reader.close()
    part.close()

    (said,) = [line for line in capsys.readouterr().out.splitlines() if "log_missing_bytes" in line]
    assert ("[error" in said, f"position={position} " in said) == (True, True)
    assert list_segments(tmp_path)[0].after == end


@pytest.mark.parametrize(
    ("deleted", "missing"),
    [({0}, 0), ({1}, 1), ({1, 2}, 2), ({0, 1}, 1), ({3}, 0)],
    ids=["read", "the next", "several", "read and the next", "the last"],
)
@pytest.mark.parametrize("resumed", [False, True])
def test_a_file_deleted_by_hand_is_missed_to_the_byte(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], deleted: set[int], missing: int, *, resumed: bool
) -> None:
    """A reader that finds a gap where records were counts what is missing, once, and reads the rest."""
    log = EmbeddedLog(SMALL, tmp_path / "log")

    async def story(writer: EmbeddedWriter) -> None:
        for number in range(4):
            await writer.append(an_entry(number, size=3000))

    with_writer(log, story)
    segments = list_segments(tmp_path / "log" / "p000")
    size = segments[0].path.stat().st_size
    reader = log.reader().open("p000")
    _, position = reader.read(START, 1)
    for number in deleted:
        segments[number].path.unlink()
    if resumed:
        reader.close()
        reader = log.reader().open("p000")

    found: list[int] = []
    for _ in range(5):
        entries, position = reader.read(position, 1 << 20)
        found.extend(entry.received_ns for entry in entries)
    reader.close()

    assert found == [number for number in (1, 2, 3) if number not in deleted]
    said = [line for line in capsys.readouterr().out.splitlines() if "log_missing_bytes" in line]
    assert len(said) == (1 if missing else 0)
    if missing:
        lost = [line.partition("position=")[2].split()[0] for line in said]
        assert segments[1 + missing].after - int(lost[0]) == missing * size
