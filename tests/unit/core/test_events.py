import subprocess
import sys
from pathlib import Path

from tests.support.small_disk import NEEDS_SMALL_DISK, on_small_disk

SHARING = """
import sys
from pathlib import Path
from tokensense_otel.core import events
EARLY = events.Happening("early", "Declared before the folder is known.")
assert "prometheus_client" not in sys.modules
events.share_metrics(Path(sys.argv[1]))
LATE = events.Happening("late", "Declared after.", labels=("kind",))
FULL = events.Level("full", "How full.")
EARLY(2)
LATE(kind="a")
FULL.set(0.5)
"""

ON_A_FULL_DISK = """
import os, sys
from pathlib import Path
from tokensense_otel.core import events
folder = Path(sys.argv[1])
events.share_metrics(folder)
BUSY = events.Happening("busy", "With many labels.", labels=("kind",))
with (folder / "ballast").open("wb", buffering=0) as ballast:
    try:
        while ballast.write(b"x" * 4096):
            pass
    except OSError:
        pass
for number in range(500):
    BUSY(kind=f"a kind of happening that is number {number}")
print(sum(1 for line in (folder / f"counter_{os.getpid()}.db").read_bytes().split(b"a kind of") if line) - 1)
"""

SHOWING = """
import sys
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
registry = CollectorRegistry()
MultiProcessCollector(registry, path=sys.argv[1])
print(generate_latest(registry).decode())
"""


def run(code: str, folder: Path) -> str:
    done = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_processes_that_share_a_folder_add_up(tmp_path: Path) -> None:
    """Metrics declared before and after the folder is known are both kept in it, and sum over processes."""
    run(SHARING, tmp_path)
    run(SHARING, tmp_path)
    shown = run(SHOWING, tmp_path)
    assert "tokensense_early_total 4.0" in shown
    assert 'tokensense_late_total{kind="a"} 2.0' in shown


def test_who_ended_keeps_counts_and_no_space(tmp_path: Path) -> None:
    """Processes that come and go leave a few kilobytes each, and the sum stays right."""
    for _ in range(3):
        run(SHARING, tmp_path)
    taken = sorted(path.stat().st_size for path in tmp_path.glob("counter_*.db"))
    # The last one's is as it left it: the next to come cuts it.
    assert (taken[0] < 4096, taken[1] < 4096, taken[2]) == (True, True, 128 << 10)
    assert "tokensense_early_total 6.0" in run(SHOWING, tmp_path)


def test_what_did_not_happen_is_shown_as_zero(tmp_path: Path) -> None:
    """A counter without labels is there at zero, so that its first increase is seen as one."""
    run(SHARING.replace("EARLY(2)", ""), tmp_path)
    assert "tokensense_early_total 0.0" in run(SHOWING, tmp_path)


@NEEDS_SMALL_DISK
def test_a_full_disk_does_not_kill_who_counts(tmp_path: Path) -> None:
    """Counting what never happened before, on a disk without a free byte, neither fails nor ends the process."""
    command = [sys.executable, "-c", ON_A_FULL_DISK, str(tmp_path)]
    done = subprocess.run(on_small_disk(command, tmp_path, "1m"), capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout.strip()) == (0, "500")


@NEEDS_SMALL_DISK
def test_who_finds_no_room_leaves_nothing_half_made(tmp_path: Path) -> None:
    """A process that starts on a full disk fails with the reason, and leaves no file on which `/metrics` stumbles."""
    code = """
import sys
from pathlib import Path
from tokensense_otel.core import events
folder = Path(sys.argv[1])
try:
    events.share_metrics(folder)
except OSError as error:
    print(error.strerror, list(folder.iterdir()))
"""
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(on_small_disk(command, tmp_path, "16k"), capture_output=True, text=True, check=False)

    assert done.stdout.strip() == "No space left on device []"
