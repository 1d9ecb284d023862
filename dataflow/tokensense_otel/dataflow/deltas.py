"""Changes to the books, gathered for one write to the store."""

from collections.abc import Iterable, Mapping

import msgspec

from tokensense_otel.core.call import Posting
from tokensense_otel.core.tally import Tallies, Tally
from tokensense_otel.core.usage import Accounting, Usage, UsageKey, usage_key
from tokensense_otel.dataflow.facts import SpanFacts


class Deltas(msgspec.Struct):
    """Sums by cell and by tenant, and counts, of either sign."""

    usage: dict[UsageKey, Usage] = {}
    accounting: dict[str, Accounting] = {}
    tallies: Tallies = msgspec.field(default_factory=Tallies)
    seen: list[tuple[int, SpanFacts]] = []
    """Spans of GenAI traces and when they were received, to be kept for explanations."""
    since: set[int] = set()
    """When the requests behind it were received, the oldest of those that were read together (Unix ns)."""
    heartbeats: dict[str, int] = {}
    """The newest heartbeat of each process of the receiver (Unix ns)."""

    def post(self, postings: Iterable[Posting]) -> None:
        for posting in postings:
            key = usage_key(posting)
            cell = self.usage.get(key)
            if cell is None:
                cell = self.usage[key] = Usage()
            cell.post(posting)
            self.tallies.post(posting.sign, posting.call)

    def account(self, accounting: Mapping[str, Accounting]) -> None:
        for tenant, sums in accounting.items():
            self.accounting.setdefault(tenant, Accounting()).add(sums)

    def tally(self, tallies: Mapping[Tally, int]) -> None:
        self.tallies.add(tallies)

    def merge(self, other: "Deltas") -> None:
        for key, cell in other.usage.items():
            self.usage.setdefault(key, Usage()).add(cell)
        self.account(other.accounting)
        self.tallies.add(other.tallies)
        self.seen += other.seen
        self.since |= other.since
        for name, beat_ns in other.heartbeats.items():
            self.heartbeats[name] = max(beat_ns, self.heartbeats.get(name, 0))

    def trimmed(self) -> "Deltas":
        """Without the cells in which everything cancelled out."""
        return Deltas(
            {key: cell for key, cell in self.usage.items() if not cell.empty},
            {tenant: sums for tenant, sums in self.accounting.items() if not sums.empty},
            Tallies({tally: count for tally, count in self.tallies.items() if count}),
            self.seen,
            self.since,
            self.heartbeats,
        )

    @property
    def empty(self) -> bool:
        return not (self.usage or self.accounting or self.tallies or self.seen or self.heartbeats)
