"""One happening, one event: the log line and the metric together, so that neither can be forgotten.

A component declares its happenings in its own `events.py` and calls them; nothing else logs or counts:

    ACCEPTED = Happening("receiver_accepted_items", "Items acknowledged and durable.", labels=("signal", "transport"))
    ACCEPTED(128, signal="traces", transport="grpc")

Levels by consequence: INFO a change of state, WARNING odd but nothing lost, ERROR data lost or a person needed. A
happening without a level is counted only; nothing is logged once per span. Metrics carry the prefix `tokensense_`.
"""

import contextlib
import logging
import os
import sys
import threading
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import structlog

if TYPE_CHECKING:
    from prometheus_client import Counter, Gauge, Histogram

_declared: list["Happening | Level | Distribution"] = []
_shared = False
_METRICS_BYTES: Final = 128 << 10
"""Room for about 900 series of one process."""
_making = threading.Lock()


class Happening:
    """A counter and, where a level is given, a log line with the same name, labels and further fields."""

    def __init__(self, name: str, help_text: str, *, labels: tuple[str, ...] = (), level: int | None = None) -> None:
        self.name = name
        self._help = help_text
        self._labels = labels
        self._level = level
        self._children: dict[tuple[Any, ...], Counter] = {}
        _declare(self)

    def make(self) -> None:
        """Bring the metric into being, at zero."""
        _ = self._counter

    @cached_property
    def _counter(self) -> "Counter":
        from prometheus_client import Counter

        with _making:  # two threads may meet here, and a metric registers once
            made: Counter | None = vars(self).get("_counter")
            return made or Counter(f"tokensense_{self.name}", self._help, self._labels)

    def __call__(self, amount: int = 1, /, **fields: Any) -> None:
        if self._labels:
            # prometheus_client looks a child up under a lock and with new strings: twice as much as the counting.
            values = tuple([fields[label] for label in self._labels])
            child = self._children.get(values)
            if child is None:
                child = self._children[values] = self._counter.labels(*values)
            child.inc(amount)
        else:
            self._counter.inc(amount)
        if self._level is not None:
            structlog.get_logger().log(self._level, self.name, **fields)


class Level:
    """A gauge: how much of something there is right now; over processes that share a metrics folder the most, or the
    `total` of all."""

    def __init__(self, name: str, help_text: str, *, labels: tuple[str, ...] = (), total: bool = False) -> None:
        self.name = name
        self._mode: Literal["livesum", "livemax"] = "livesum" if total else "livemax"
        self._help = help_text
        self._labels = labels
        _declare(self)

    def make(self) -> None:
        """Bring the metric into being, at zero."""
        _ = self._gauge

    @cached_property
    def _gauge(self) -> "Gauge":
        from prometheus_client import Gauge

        with _making:
            made: Gauge | None = vars(self).get("_gauge")
            return made or Gauge(f"tokensense_{self.name}", self._help, self._labels, multiprocess_mode=self._mode)

    def set(self, value: float, **fields: str) -> None:
        if self._labels:
            self._gauge.labels(*(fields[label] for label in self._labels)).set(value)
        else:
            self._gauge.set(value)


class Distribution:
    """A histogram: how long something took, in seconds."""

    def __init__(self, name: str, help_text: str, *, labels: tuple[str, ...] = (), buckets: tuple[float, ...]) -> None:
        self.name = name
        self._help = help_text
        self._labels = labels
        self._buckets = buckets
        self._children: dict[tuple[str, ...], Histogram] = {}
        _declare(self)

    def make(self) -> None:
        """Bring the metric into being, empty."""
        _ = self._histogram

    @cached_property
    def _histogram(self) -> "Histogram":
        from prometheus_client import Histogram

        with _making:
            made: Histogram | None = vars(self).get("_histogram")
            return made or Histogram(f"tokensense_{self.name}", self._help, self._labels, buckets=self._buckets)

    def __call__(self, seconds: float, /, **fields: str) -> None:
        if self._labels:
            values = tuple([fields[label] for label in self._labels])
            child = self._children.get(values)
            if child is None:
                child = self._children[values] = self._histogram.labels(*values)
            child.observe(seconds)
        else:
            self._histogram.observe(seconds)


def _declare(metric: "Happening | Level | Distribution") -> None:
    _declared.append(metric)
    if _shared:
        metric.make()


def share_metrics(folder: Path) -> None:
    """Keep this process's metrics in a folder that it shares with others, so that one of them can show the sum.

    Metrics come into being here or at their first use, not when they are declared: prometheus_client decides at its
    import where it counts, and the folder is known only after the configuration was read, which declares some.

    Raises:
        OSError: when the folder cannot be written to, or its disk is full.
    """
    global _shared
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
    _give_back_space(folder)
    _take_space(folder)
    _shared = True
    for metric in _declared:
        metric.make()


def _give_back_space(folder: Path) -> None:
    """Cut what processes that ended had taken and not used; what they counted stays in the sum."""
    for path in folder.glob("*.db"):
        pid = path.stem.rpartition("_")[2]
        with contextlib.suppress(OSError):  # another process may be cutting it too
            if pid.isdigit() and not _is_alive(int(pid)):
                with path.open("r+b") as file:
                    used = int.from_bytes(file.read(4), sys.byteorder)
                    file.truncate(max(used, 8))


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # somebody else's
    return True


def _take_space(folder: Path) -> None:
    """Make the files that will be mapped into memory, whole or not at all: others read them at any time.

    prometheus_client makes them full of holes, and a hole that cannot be filled because the disk is full ends the
    process with SIGBUS at a count of something that never happened before.
    """
    for kind in ("counter", "gauge_livemax", "gauge_livesum", "histogram"):
        path = folder / f"{kind}_{os.getpid()}.db"
        if path.exists():  # of an earlier process with our number: its counts stay in the sum
            continue
        unfinished = path.with_suffix(".new")
        try:
            unfinished.write_bytes(bytes(_METRICS_BYTES))
            unfinished.replace(path)
        except OSError:
            unfinished.unlink(missing_ok=True)
            raise


def configure_logging(*, json_lines: bool, level: int = logging.INFO) -> None:
    """Log to standard error: key=value for people, JSON lines for machines. Standard output belongs to the command."""
    renderer: Any = structlog.processors.JSONRenderer() if json_lines else structlog.dev.ConsoleRenderer(colors=False)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
