"""State of one key of one rule: windows, the latest sample traces and the episode, as plain data on disk.

A series is encoded once and again only after it changed, so a snapshot of a shard costs what was touched.
"""

from bisect import insort
from collections.abc import Iterator, Mapping
from typing import Any, Final, Protocol

import msgspec

from tokensense_otel.dataflow.rules.evaluation.distinct import RollingDistinct
from tokensense_otel.dataflow.rules.evaluation.durations import bucket_ns
from tokensense_otel.dataflow.rules.evaluation.episodes import Episode
from tokensense_otel.dataflow.rules.evaluation.histogram import RollingHistogram
from tokensense_otel.dataflow.rules.evaluation.windows import Peaks, Rolling

DAY_NS: Final = 86_400_000_000_000
SAMPLES: Final = 5
PRICES: Final = 4
MONEY: Final = 4
"""Money of a bucket: calls with a known price, their nano-dollars, calls with an alternative, nano-dollars it saves."""
NO_MONEY: Final = (0, 0, 0, 0)

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.decode


class Series:
    """What every key has. `blob` is its encoding, `None` while it has changed since."""

    __slots__ = ("beaten_ns", "blob", "episode", "last_ns", "now_ns", "partial", "until_ns")

    def __init__(self) -> None:
        self.episode = Episode()
        self.last_ns = 0
        """Newest event time."""
        self.now_ns = 0
        """The moment for which the key is judged: newest event time, or log time where only time passed."""
        self.beaten_ns = 0
        """Log time of the beat to which its windows were moved."""
        self.until_ns = 0
        """Until when letting time pass is known to change nothing; zero after every change."""
        self.partial = False
        """Whether something of this key was not counted, so that its sums are lower bounds."""
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
    def silent(self) -> bool:
        """Nothing in the window that decides."""
        raise NotImplementedError

    def expires_ns(self) -> int | None:
        """When something leaves the window that decides, so that the verdict may change although nothing comes."""
        raise NotImplementedError

    @property
    def weight(self) -> int:
        """How much would be lost by giving the key up."""
        raise NotImplementedError

    @property
    def spent(self) -> int:
        """Nano-dollars that are known of the key's last 30 days."""
        return 0

    def idle_until_ns(self) -> int:
        """Until when letting time pass changes nothing; zero where that is not known."""
        return 0

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
            self.blob = _encode([key, self.last_ns, self.episode, self.state(), self.partial, self.beaten_ns])
        return self.blob


def decode_key(blob: bytes) -> tuple[tuple[str, ...], list[Any]]:
    """(key, rest) of an encoded series; the rest goes to `restore`."""
    key, *rest = _decode(blob)
    return tuple(key), rest


def restore(series: Series, rest: list[Any], blob: bytes) -> bool:
    """Fill an empty series; `False` where what was stored has another shape."""
    last_ns, episode, state, partial, beaten_ns = rest
    if not series.load(state):
        return False
    series.last_ns, series.episode, series.blob = last_ns, msgspec.convert(episode, Episode), blob
    series.partial, series.beaten_ns = partial, beaten_ns
    return True


def carry_over(series: Series, rest: list[Any]) -> bool:
    """Give an empty series only the open finding of what was stored, so that somebody is told when it is over.

    Whether there is one.
    """
    last_ns, stored, *_ = rest
    episode = msgspec.convert(stored, Episode)
    if episode.firing:
        series.last_ns, series.episode = last_ns, episode
    return episode.firing


class Ring(Protocol):
    """What a series keeps over time: `Rolling` and its like, or what a rule brings of its own."""

    @property
    def shape(self) -> list[int]: ...
    @property
    def empty(self) -> bool: ...
    def advance(self, time_ns: int, /) -> bool: ...
    def snapshot(self) -> list[Any]: ...
    def restore(self, state: list[Any], /) -> None: ...


NOTHING: Final[Mapping[str, Any]] = {}


class CallSeries(Series):
    """Calls of one key: the rule's own counts in the window that decides, and 30 days of what they cost.

    A rule may ask for more windows by name, each with the same sums as the one that decides, and for rolling
    histograms and counts of different names, which get what `Fact.measured` and `Fact.members` say.
    """

    __slots__ = ("distinct", "histograms", "month", "prices", "provider", "samples", "window", "windows")

    def __init__(
        self,
        window: Rolling,
        *,
        windows: Mapping[str, Rolling] = NOTHING,
        histograms: Mapping[str, RollingHistogram] = NOTHING,
        distinct: Mapping[str, RollingDistinct] = NOTHING,
    ) -> None:
        super().__init__()
        self.window = window
        self.windows = windows
        self.histograms = histograms
        self.distinct = distinct
        self.month = Rolling(30 * DAY_NS, 30, MONEY)
        self.samples: list[tuple[int, bytes]] = []
        """(end, trace id) of the newest calls, oldest first."""
        self.prices: list[str] = []
        self.provider = ""

    @classmethod
    def over(
        cls,
        window_ns: int,
        fields: int,
        *,
        windows: Mapping[str, int] = NOTHING,
        histograms: Mapping[str, int] = NOTHING,
        distinct: Mapping[str, int] = NOTHING,
    ) -> "CallSeries":
        """Empty state, each window given by its width in nanoseconds. `fields` are the rule's own, without money."""
        return cls(
            Rolling.over(window_ns, fields + MONEY),
            windows={name: Rolling.over(width, fields + MONEY) for name, width in windows.items()},
            histograms={name: RollingHistogram(width, bucket_ns(width)) for name, width in histograms.items()},
            distinct={name: RollingDistinct(width, bucket_ns(width)) for name, width in distinct.items()},
        )

    @property
    def size_ns(self) -> int:
        return self.window.size_ns

    @property
    def empty(self) -> bool:
        return all(ring.empty for ring in self._rings())

    @property
    def silent(self) -> bool:
        return self.window.empty

    def expires_ns(self) -> int | None:
        return self.window.expires_ns()

    @property
    def weight(self) -> int:
        return self.window.totals[0]

    @property
    def spent(self) -> int:
        return self.month.totals[1]

    def idle_until_ns(self) -> int:
        # A rule's own series may have more that ages.
        if type(self) is not CallSeries or self.windows or self.histograms or self.distinct:
            return 0
        moments = (self.window.expires_ns(), self.month.expires_ns())
        return min((moment for moment in moments if moment is not None), default=0)

    @property
    def counts(self) -> list[int]:
        """Sums of the rule's own fields over the window."""
        return self.window.totals[:-MONEY]

    def bounds(self) -> tuple[int, int]:
        return self.window.bounds()

    def advance(self, now_ns: int) -> bool:
        changed = False
        for ring in self._rings():
            changed |= ring.advance(now_ns)
        return changed

    def sample(self, time_ns: int, trace_id: bytes, sign: int) -> None:
        """Keep the newest traces; a reversed call is evidence no more."""
        entry, samples = (time_ns, trace_id), self.samples
        if sign < 0:
            if entry in samples:
                samples.remove(entry)
        elif not samples or entry > samples[-1]:
            samples.append(entry)
            if len(samples) > SAMPLES:
                del samples[0]
        elif (len(samples) < SAMPLES or entry > samples[0]) and entry not in samples:
            insort(samples, entry)
            del samples[:-SAMPLES]

    def state(self) -> list[Any]:
        rings = [ring.snapshot() for ring in self._rings()]
        return [self._shape(), rings, self.samples, self.prices, self.provider]

    def load(self, state: list[Any]) -> bool:
        shape, rings, samples, prices, provider = state
        if shape != self._shape():
            return False
        for ring, stored in zip(self._rings(), rings, strict=True):
            ring.restore(stored)
        self.samples = [(time_ns, trace_id) for time_ns, trace_id in samples]
        self.prices, self.provider = prices, provider
        return True

    def _rings(self) -> Iterator[Ring]:
        yield self.window
        yield self.month
        for more in (self.windows, self.histograms, self.distinct):
            yield from more.values()

    def _shape(self) -> list[Any]:
        named = [sorted(more) for more in (self.windows, self.histograms, self.distinct)]
        return [*named, *(ring.shape for ring in self._rings())]


class MemorySeries(Series):
    """Memory of one function or container: highest use, highest ratio (millionths) and the limit last heard of."""

    __slots__ = ("_width", "limit", "limit_ns", "ratio", "scope", "source", "used")

    def __init__(self, window_ns: int) -> None:
        super().__init__()
        self._width = window_ns
        self.used = Peaks.over(window_ns)
        self.ratio = Peaks.over(window_ns)
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
    def silent(self) -> bool:
        return self.used.empty and self.ratio.empty

    def expires_ns(self) -> int | None:
        moments = (self.used.expires_ns(), self.ratio.expires_ns())
        return min((moment for moment in moments if moment is not None), default=None)

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
