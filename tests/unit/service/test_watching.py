"""Rules that change while the dataflow runs: when they are taken, when not, and what is said of it."""

import os
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.unit.service.test_rules_loading import PLUGIN
from tokensense_otel.dataflow.rules.builtin.surges.spike import Spike
from tokensense_otel.dataflow.rules.config import RuleSet
from tokensense_otel.service import events
from tokensense_otel.service.loader import load
from tokensense_otel.service.watching import RulesWatch

Said = list[tuple[str, dict[str, Any]]]


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Said:
    """What was told, by name."""
    told: Said = []
    for name in ("RULES_RELOADED", "RULES_REFUSED"):
        monkeypatch.setattr(events, name, lambda _name=name, **fields: told.append((_name, fields)))
    return told


class File:
    """A configuration that is written again; each time its modification time moves on, as it does for people."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "tokensense.yaml"
        self._time = 1_700_000_000

    def write(self, text: str) -> None:
        self.path.write_text(text)
        self._time += 1
        os.utime(self.path, (self._time, self._time))

    def watch(self, environ: dict[str, str] | None = None) -> RulesWatch:
        return RulesWatch(load(self.path, environ or {}), environ or {})


@pytest.fixture
def file(tmp_path: Path) -> File:
    made = File(tmp_path)
    made.write("rules: {SPIKE: {min_calls: 7}}")
    return made


def min_calls(rules: RuleSet | None) -> int | None:
    return None if rules is None else rules.in_force("default", "p").of(Spike()).min_calls


def test_a_changed_file_is_taken_once_it_rests(file: File, said: Said) -> None:
    """The first look sees that it changed, the second that nobody writes any more; a third has nothing to do."""
    watch = file.watch()
    assert watch.look() is None
    file.write("rules: {SPIKE: {min_calls: 8}}")
    assert [min_calls(watch.look()) for _ in range(3)] == [None, 8, None]
    assert min_calls(watch.rules) == 8
    assert said == [("RULES_RELOADED", {"file": str(file.path)})]


def test_a_file_that_is_being_written_is_left_alone(file: File, said: Said) -> None:
    """While it changes from look to look it is not read, so that half a file is no error."""
    watch = file.watch()
    for half in ("rules: {SPIKE: {min", "rules: {SPIKE: {min_calls: ", "rules: {SPIKE: {min_calls: 9}}"):
        file.write(half)
        assert watch.look() is None
    assert min_calls(watch.look()) == 9
    assert [name for name, _ in said] == ["RULES_RELOADED"]


def test_a_signal_takes_it_at_once(file: File) -> None:
    """Asked to, it reads the file without waiting."""
    watch = file.watch()
    file.write("rules: {SPIKE: {min_calls: 8}}")
    assert min_calls(watch.look(now=True)) == 8


def test_a_wrong_file_is_refused_once(file: File, said: Said) -> None:
    """One line says where it is wrong and the rules before stay; a right one is taken after it."""
    watch = file.watch()
    file.write("rules:\n  SPIKE: {min_calls: none}\n  SPYKE: {}\n")
    assert [watch.look() for _ in range(4)] == [None] * 4
    problem = f"{file.path}:2: rules.SPIKE.min_calls: this is not a whole number; write for instance 5"
    assert said == [("RULES_REFUSED", {"problem": problem, "more": 1})]
    assert min_calls(watch.rules) == 7
    file.write("rules: {SPIKE: {min_calls: 8}}")
    assert [min_calls(watch.look()) for _ in range(2)] == [None, 8]


def test_a_file_that_is_gone_is_no_other_rules(file: File, said: Said) -> None:
    """Without its file the dataflow goes on as it was, and says so once."""
    watch = file.watch()
    file.path.unlink()
    assert [watch.look() for _ in range(3)] == [None] * 3
    assert [name for name, _ in said] == ["RULES_REFUSED"]
    assert min_calls(watch.rules) == 7


def test_other_keys_change_nothing(file: File, said: Said) -> None:
    """Only rules, tenants and projects are read again; a file that changed elsewhere is no event."""
    watch = file.watch()
    file.write("rules: {SPIKE: {min_calls: 7}}\nlogging: {level: debug}")
    assert [watch.look() for _ in range(3)] == [None] * 3
    assert said == []
    file.write("rules: {SPIKE: {min_calls: 7}}\nprojects: {p: {rules: {SPIKE: {min_calls: 5}}}}")
    assert [min_calls(watch.look()) for _ in range(2)] == [None, 5]


def test_the_environment_still_overrides(file: File) -> None:
    """What a variable says counts more than the file, as at the start."""
    watch = file.watch({"TOKENSENSE_RULES__SPIKE__MIN_CALLS": "3"})
    file.write("rules: {SPIKE: {min_calls: 8, multiplier: 9}}")
    changed = watch.look(now=True)
    assert changed is not None
    assert (min_calls(changed), changed.in_force("default", "p").of(Spike()).multiplier) == (3, 9)


def test_a_part_that_starts_again_begins_with_the_file(file: File) -> None:
    """Settings that a supervisor kept are older than a file that was taken since."""
    loaded = load(file.path, {})
    file.write("rules: {SPIKE: {min_calls: 8}}")
    assert min_calls(RulesWatch(loaded, {}).rules) == 8


def test_a_plugin_is_watched_too(tmp_path: Path, said: Said) -> None:
    """A rule in Python is loaded anew when its file changes."""
    (tmp_path / "night.py").write_text(PLUGIN)
    file = File(tmp_path)
    file.write("rules: {plugins: ['./night.py:Night']}")
    watch = file.watch()
    assert watch.look() is None
    (tmp_path / "night.py").write_text(PLUGIN.replace("at night", "late"))
    found = [watch.look() for _ in range(2)]
    assert found[0] is None
    assert found[1] is not None
    assert found[1].rules["NIGHT"].description == "A team calls models late."
    assert len(said) == 1


def test_a_file_of_rules_is_watched_too(tmp_path: Path, said: Said) -> None:
    """Rules that are kept apart are taken when their own file changes."""
    (tmp_path / "rules.yaml").write_text("SPIKE: {min_calls: 7}")
    file = File(tmp_path)
    file.write("rules: {file: rules.yaml}")
    watch = file.watch()
    assert (min_calls(watch.rules), watch.look()) == (7, None)
    (tmp_path / "rules.yaml").write_text("SPIKE: {min_calls: 12}")
    assert [min_calls(watch.look()) for _ in range(2)] == [None, 12]


def test_the_thread_gives_what_changed(file: File) -> None:
    """Started, it takes a file that it is asked to look at, and ends when it is stopped."""
    watch = file.watch()
    taken: list[int | None] = []
    came = threading.Event()

    def take(rules: RuleSet) -> None:
        taken.append(min_calls(rules))
        came.set()

    watch.start(take)
    file.write("rules: {SPIKE: {min_calls: 8}}")
    watch.look_now()
    assert came.wait(10)
    watch.stop()
    for thread in [thread for thread in threading.enumerate() if thread.name == "rules"]:
        thread.join(10)
        assert not thread.is_alive()
    assert taken == [8]
