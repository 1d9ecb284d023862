"""The dataflow goes on with the rules of its file when that changes: no restart, and nothing that was counted is lost.

A file is taken once it has been the same for two looks, so that one that is still being written is left alone; SIGHUP
takes it at once. What is wrong is refused whole, with one line, and the rules before stay in force. Only `rules`,
`tenants` and `projects` are read again: all else is as it was at the start.
"""

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from tokensense_otel.core.errors import ConfigError
from tokensense_otel.core.plugins import is_file
from tokensense_otel.dataflow.rules.config import RuleSet
from tokensense_otel.service import events
from tokensense_otel.service.config import Settings
from tokensense_otel.service.loader import Loaded, reload_rules

PERIOD_S: Final = 1.0

Signature = tuple[tuple[int, int, int] | None, ...]
"""Of each file its time, size and inode; `None` for one that is not there."""


class RulesWatch:
    """`start` looks from a thread of its own; `look` is one look, for tests."""

    def __init__(self, loaded: Loaded, environ: Mapping[str, str]) -> None:
        self._path = loaded.path
        self._environ = environ
        self._settings = loaded.settings
        self._wanted = threading.Event()
        self._stopped = False
        self._seen = self._taken = self._signature()
        self.rules: RuleSet = loaded.settings.rule_set
        """In force. A part that is started again after its file changed begins with the file's."""
        if (changed := self._read()) is not None:
            self.rules = changed

    def start(self, take: Callable[[RuleSet], None]) -> None:
        """Give `take` the rules whenever they changed, until `stop`. Without a file there is nothing to look at."""
        if self._path is not None:
            threading.Thread(target=self._watch, args=(take,), name="rules", daemon=True).start()

    def stop(self) -> None:
        self._stopped = True
        self._wanted.set()

    def look_now(self) -> None:
        """Take the file as it is, without waiting until it has been the same for a while."""
        self._wanted.set()

    def look(self, *, now: bool = False) -> RuleSet | None:
        """The rules, where the file was changed and has been the same since the last look; always where it is `now`."""
        signature = self._signature()
        settled, self._seen = signature == self._seen, signature
        if not (now or (settled and signature != self._taken)):
            return None
        self._taken = signature
        changed = self._read()
        if changed is not None:
            self.rules = changed
            self._seen = self._taken = self._signature()  # other plugins may be named now
            events.RULES_RELOADED(file=str(self._path))
        return changed

    def _watch(self, take: Callable[[RuleSet], None]) -> None:
        while not self._stopped:
            now = self._wanted.wait(PERIOD_S)
            self._wanted.clear()
            if not self._stopped and (changed := self.look(now=now)) is not None:
                take(changed)

    def _read(self) -> RuleSet | None:
        """The file's rules where they are others than before and right."""
        if self._path is None:
            return None
        try:
            settings = reload_rules(self._path, self._environ)
        except ConfigError as error:
            first, *more = str(error).splitlines()
            events.RULES_REFUSED(problem=first, more=len(more))
            return None
        same = all(
            getattr(settings, name) == getattr(self._settings, name) for name in ("rules", "tenants", "projects")
        )
        self._settings = settings
        return None if same and not _plugins(settings) else settings.rule_set

    def _signature(self) -> Signature:
        if self._path is None:
            return ()
        named = self._settings.rules.file
        paths = [self._path, *([Path(named)] if named else []), *_plugins(self._settings)]
        return tuple(map(_stat, paths))


def _plugins(settings: Settings) -> list[Path]:
    return [Path(name.rpartition(":")[0]) for name in settings.rules.plugins if is_file(name)]


def _stat(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
