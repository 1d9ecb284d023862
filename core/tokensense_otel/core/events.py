"""One happening, one event: the log line and the metric together, so that neither can be forgotten.

A component declares its happenings in its own `events.py` and calls them; nothing else logs or counts:

    ACCEPTED = Happening("receiver_accepted_items", "Items acknowledged and durable.", labels=("signal", "transport"))
    ACCEPTED(128, signal="traces", transport="grpc")

Levels by consequence: INFO a change of state, WARNING odd but nothing lost, ERROR data lost or a person needed. A
happening without a level is counted only; nothing is logged once per span. Metrics carry the prefix `tokensense_`.
"""

import logging
import sys
from typing import Any

import structlog
from prometheus_client import Counter, Gauge


class Happening:
    """A counter and, where a level is given, a log line with the same name, labels and further fields."""

    def __init__(self, name: str, help_text: str, *, labels: tuple[str, ...] = (), level: int | None = None) -> None:
        self.name = name
        self._labels = labels
        self._level = level
        self._counter = Counter(f"tokensense_{name}", help_text, labels)

    def __call__(self, amount: int = 1, /, **fields: Any) -> None:
        if self._labels:
            self._counter.labels(*(fields[label] for label in self._labels)).inc(amount)
        else:
            self._counter.inc(amount)
        if self._level is not None:
            structlog.get_logger().log(self._level, self.name, **fields)


class Level:
    """A gauge: how much of something there is right now."""

    def __init__(self, name: str, help_text: str, *, labels: tuple[str, ...] = ()) -> None:
        # "max" over processes that share a metrics folder: each gauge has one live owner.
        self._gauge = Gauge(f"tokensense_{name}", help_text, labels, multiprocess_mode="livemax")
        self._labels = labels

    def set(self, value: float, **fields: str) -> None:
        if self._labels:
            self._gauge.labels(*(fields[label] for label in self._labels)).set(value)
        else:
            self._gauge.set(value)


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
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
