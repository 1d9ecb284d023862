"""`tokensense demo` as a person runs it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.markdown import blocks, page, without_figures
from tests.support.waiting import eventually

pytestmark = pytest.mark.e2e

RULES = ("MODEL_MISUSE", "SPIKE", "CACHE_WASTE", "LONG_PROMPTS", "MODEL_DOWNGRADE", "RAM_OVER_PROVISION")


@contextmanager
def demo(folder: Path, *options: str) -> Iterator["subprocess.Popen[str]"]:
    """The demo with its temporary folder inside `folder`; killed when the block ends without it having ended."""
    command = [sys.executable, "-m", "tokensense_otel.service.main", "demo", "--duration", "10", *options]
    with (folder / "err").open("w") as errors:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, env=os.environ | {"TMPDIR": str(folder)}
        )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def read_until(process: "subprocess.Popen[str]", text: str) -> list[str]:
    """The lines up to the one that holds `text`."""
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line)
        if text in line:
            return lines
    raise AssertionError(f"it never said {text!r}:\n{''.join(lines)}")


def left_behind(folder: Path) -> list[str]:
    """Folders that the demo made and processes that still use them."""
    folders = [str(path) for path in folder.glob("tokensense-demo-*")]
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = entry.read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if str(folder).encode() in command:
            folders.append(command.decode())
    return folders


def test_the_demo_shows_all_six_rules_and_counts_every_call(tmp_path: Path) -> None:
    """It exits 0, fires each rule, counts what it sent, says in plain text what README shows, and leaves nothing."""
    with demo(tmp_path) as process:
        out, _ = process.communicate(timeout=90)
        assert process.returncode == 0, out
    fired = [rule for line in out.splitlines() for rule in RULES if f" {rule} " in line and line[6:10] == " s  "]
    assert set(fired) == set(RULES)
    assert "calls     770 sent, 770 counted: they agree" in out.splitlines()
    said = {without_figures(line) for line in out.splitlines()}
    assert [
        line for line in blocks(page("README.md"), "text")[0].splitlines() if without_figures(line) not in said
    ] == []
    assert "\x1b" not in out
    assert (tmp_path / "err").read_text() == ""
    assert left_behind(tmp_path) == []


def test_ctrl_c_stops_the_demo_and_cleans_up(tmp_path: Path) -> None:
    """Interrupted in the middle, it stops everything it started, removes its folder, and exits 130."""
    with demo(tmp_path) as process:
        read_until(process, "MODEL_MISUSE")
        assert left_behind(tmp_path) != []
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out.splitlines()[-1] == "interrupted; stopped"
    eventually(lambda: left_behind(tmp_path) == [], what="nothing left behind")


def test_keep_stays_up_until_ctrl_c(tmp_path: Path) -> None:
    """With --keep it says where everything is after the summary, and ctrl-C ends it with the demo's own result."""
    with demo(tmp_path, "--keep") as process:
        lines = read_until(process, "still up until ctrl-C")
        assert any(line.startswith("savings") for line in lines)
        assert "http://127.0.0.1:" in lines[-1]
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 0
    assert left_behind(tmp_path) == []
