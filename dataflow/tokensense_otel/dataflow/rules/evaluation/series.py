"""State of one key of one rule: windows, the latest sample traces and the episode, as plain data on disk.

A series is encoded once and again only after it changed, so a snapshot of a shard costs what was touched.
"""

from bisect import insort
from typing import Any, Final

import msgspec

from tokensense_otel.dataflow.rules.evaluation.episodes import Episode
from tokensense_otel.dataflow.rules.evaluation.windows import Peaks, Rolling

DAY_NS: Final = 86_400_000_000_000
BUCKETS: Final = 96
"""Buckets of a rule's window: a day in quarters of an hour."""
SAMPLES: Final = 5
PRICES: Final = 4
MONEY: Final = 4
"""Money of a bucket: calls with a known price, their nano-dollars, calls with an alternative, nano-dollars it saves."""
NO_MONEY: Final = (0, 0, 0, 0)

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.decode


class Series:
    """What every key has. `blob` is its encoding, `None` while it has changed since."""

    __slots__ = ("blob", "episode", "last_ns")

    def __init__(self) -> None:
        self.episode = Episode()
        self.last_ns = 0
        """Newest event time."""
        self.blob: bytes | None = None

    @property
    def size_ns(self) -> int:
        """Width of a bucket of the window that decides."""
        raise NotImplementedError

    @property
    def empty(self) -> bool:
        """Nothing in any window: the key can be forgotten."""
        raise NotImplementedError

    @property
    def weight(self) -> int:
        """How much would be lost by giving the key up."""
        raise NotImplementedError

    def bounds(self) -> tuple[int, int]:
        """[from, to) of the window that decides."""
        raise NotImplementedError

    def advance(self, now_ns: int) -> bool:
        """Drop what fell out of the windows at `now_ns`. Whether anything did."""
        raise NotImplementedError

    def state(self) -> list[Any]:
        raise NotImplementedError

    def load(self, state: list[Any]) -> bool:
        """Take over `state`; `False` where it has another shape."""
        raise NotImplementedError

    def encoded(self, key: tuple[str, ...]) -> bytes:
        if self.blob is None:
            self.blob = _encode([key, self.last_ns, self.episode, self.state()])
        return self.blob


def decode_key(blob: bytes) -> tuple[tuple[str, ...], list[Any]]:
    """(key, rest) of an encoded series; the rest goes to `restore`."""
    key, *rest = _decode(blob)
    return tuple(key), rest


def restore(series: Series, rest: list[Any], blob: bytes) -> bool:
    """Fill an empty series; `False` where what was stored has another shape."""
    last_ns, episode, state = rest
    if not series.load(state):
        return False
    series.last_ns, series.episode, series.blob = last_ns, msgspec.convert(episode, Episode), blob
    return True


class CallSeries(Series):
    """Calls of one key: the rule's own counts in the window that decides, and 30 days of what they cost."""

    __slots__ = ("month", "prices", "provider", "samples", "window")

    def __init__(self, window: Rolling) -> None:
        super().__init__()
        self.window = window
        self.month = Rolling(30 * DAY_NS, 30, MONEY)
        self.samples: list[tuple[int, bytes]] = []
        """(end, trace id) of the newest calls, oldest first."""
        self.prices: list[str] = []
        self.provider = ""

    @property
    def size_ns(self) -> int:
        return self.window.size_ns

    @property
    def empty(self) -> bool:
        return self.window.empty and self.month.empty

    @property
    def weight(self) -> int:
        return self.window.totals[0]

    @property
    def counts(self) -> list[int]:
        """Sums of the rule's own fields over the window."""
        return self.window.totals[:-MONEY]

    def bounds(self) -> tuple[int, int]:
        return self.window.bounds()

    def advance(self, now_ns: int) -> bool:
        changed = self.window.advance(now_ns)
        changed |= self.month.advance(now_ns)
        return changed

    def sample(self, time_ns: int, trace_id: bytes, sign: int) -> None:
        """Keep the newest traces; a reversed call is evidence no more."""
        entry, samples = (time_ns, trace_id), self.samples
        if sign < 0:
            if entry in samples:
                samples.remove(entry)
        elif not samples or entry > samples[-1]:
            samples.append(entry)
            del samples[:-SAMPLES]
        elif (len(samples) < SAMPLES or entry > samples[0]) and entry not in samples:
            insort(samples, entry)
            del samples[:-SAMPLES]

    def state(self) -> list[Any]:
        window = self.window
        shape = [window.size_ns, len(window.totals)]
        return [shape, window.snapshot(), self.month.snapshot(), self.samples, self.prices, self.provider]

    def load(self, state: list[Any]) -> bool:
        shape, window, month, samples, prices, provider = state
        if shape != [self.window.size_ns, len(self.window.totals)]:
            return False
        self.window.restore(window)
        self.month.restore(month)
        self.samples = [(time_ns, trace_id) for time_ns, trace_id in samples]
        self.prices, self.provider = prices, provider
        return True


class MemorySeries(Series):
    """Memory of one function or container: highest use, highest ratio (millionths) and the limit last heard of."""

    __slots__ = ("_width", "limit", "limit_ns", "ratio", "scope", "source", "used")

    def __init__(self, window_ns: int) -> None:
        super().__init__()
        self._width = window_ns
        self.used = Peaks(window_ns, BUCKETS)
        self.ratio = Peaks(window_ns, BUCKETS)
        self.limit: int | None = None
        self.limit_ns = 0
        self.scope: list[tuple[str, str]] = []
        self.source = ""

    @property
    def size_ns(self) -> int:
        return self.used.size_ns

    @property
    def empty(self) -> bool:
        return self.used.empty and self.ratio.empty and self.limit is None

    @property
    def weight(self) -> int:
        return self.used.summary()[0] + self.ratio.summary()[0]

    def bounds(self) -> tuple[int, int]:
        return (self.ratio if self.used.empty else self.used).bounds()

    def advance(self, now_ns: int) -> bool:
        changed = self.used.advance(now_ns)
        changed |= self.ratio.advance(now_ns)
        if self.limit is not None and self.limit_ns < now_ns - self._width:
            self.limit, changed = None, True
        return changed

    def state(self) -> list[Any]:
        peaks = [self.used.snapshot(), self.ratio.snapshot()]
        return [self.used.size_ns, *peaks, self.limit, self.limit_ns, self.scope, self.source]

    def load(self, state: list[Any]) -> bool:
        size_ns, used, ratio, limit, limit_ns, scope, source = state
        if size_ns != self.used.size_ns:
            return False
        self.used.restore(used)
        self.ratio.restore(ratio)
        self.limit, self.limit_ns, self.source = limit, limit_ns, source
        self.scope = [(name, value) for name, value in scope]
        return True
