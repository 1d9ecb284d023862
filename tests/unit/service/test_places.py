import os
import subprocess
import sys
from pathlib import Path

import pytest

from tokensense_otel.core.errors import ConfigError
from tokensense_otel.service import places


def test_a_second_holder_is_refused_in_one_line(tmp_path: Path) -> None:
    """While a part runs on a data folder, a second of its kind is told so, and others are not held up."""
    places.make_dirs(tmp_path)
    with places.only_one(tmp_path, "up"):
        assert places.is_held(tmp_path, "up")
        with (
            pytest.raises(ConfigError, match=r"^data_dir: `tokensense up` already runs on .*; stop it, or write"),
            places.only_one(tmp_path, "up"),
        ):
            pytest.fail("held twice")
        with places.only_one(tmp_path, "receiver"):
            pass
    assert not places.is_held(tmp_path, "up")


def test_a_predecessor_that_is_stopping_is_waited_for(tmp_path: Path) -> None:
    """With a wait, the lock is taken as soon as its holder lets go."""
    places.make_dirs(tmp_path)
    holder = places.only_one(tmp_path, "receiver")
    holder.__enter__()
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            holder.__exit__(None, None, None)

    with places.only_one(tmp_path, "receiver", wait_s=1.0, sleep=sleep):
        assert len(slept) == 3


def test_the_wait_has_an_end(tmp_path: Path) -> None:
    """A holder that never lets go is reported after the wait."""
    places.make_dirs(tmp_path)
    slept: list[float] = []
    with (
        places.only_one(tmp_path, "receiver"),
        pytest.raises(ConfigError),
        places.only_one(tmp_path, "receiver", wait_s=0.5, sleep=slept.append),
    ):
        pytest.fail("held twice")
    assert sum(slept) == pytest.approx(0.5)


def test_the_system_lets_go_when_the_holder_dies(tmp_path: Path) -> None:
    """A holder that was killed leaves no lock behind."""
    places.make_dirs(tmp_path)
    code = (
        "import os, sys; from pathlib import Path; from tokensense_otel.service import places\n"
        "with places.only_one(Path(sys.argv[1]), 'up'): os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode == -9
    assert not places.is_held(tmp_path, "up")


def test_folders_are_for_their_owner_only(tmp_path: Path) -> None:
    """Prompts' hashes and keys of customers lie here: nobody else on the machine may look."""
    places.make_dirs(tmp_path / "data")
    assert (tmp_path / "data").stat().st_mode & 0o077 == 0


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    """A file where the folder should be is a wrong configuration, said with the key."""
    (tmp_path / "data").write_text("")
    with pytest.raises(ConfigError, match=r"^data_dir: .*data cannot be used \(.*\); write a folder"):
        places.make_dirs(tmp_path / "data")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_of_somebody_else_is_one_line(tmp_path: Path) -> None:
    """A folder without write permission is refused before anything starts."""
    (tmp_path / "data").mkdir(mode=0o500)
    with pytest.raises(ConfigError, match=r"^data_dir: "):
        places.make_dirs(tmp_path / "data")
