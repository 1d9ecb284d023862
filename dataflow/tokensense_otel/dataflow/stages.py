"""The stages between log and store, each a shard of plain state, and what travels between them.

One item on the wire is everything of a batch that goes to one shard. The first letter of a key names the stage it is
for: `t` ledger (by trace), `i` identity (by response id), `r` rules (by team, function or container), `s` the store.
"""

from collections.abc import Callable, Iterable

import msgspec

from tokensense_otel.core.call import Call, Cost, Posting
from tokensense_otel.core.insight import Insight
from tokensense_otel.core.usage import Accounting
from tokensense_otel.dataflow.accounting import (
    AccountingConfig,
    Changes,
    Identities,
    Ledger,
    identity_shard,
    trace_shard,
)
from tokensense_otel.dataflow.decode import Decoded
from tokensense_otel.dataflow.deltas import Deltas
from tokensense_otel.dataflow.facts import MemorySample, SpanFacts
from tokensense_otel.dataflow.pricing import Catalogue
from tokensense_otel.dataflow.rules import RuleSet, RuleShard, entity_shard, rule_shard

STORE_KEY = "store"


class Spans(msgspec.Struct, array_like=True):
    """For the ledger. `now_ns` is log time, as everywhere."""

    now_ns: int
    spans: list[SpanFacts]


class Postings(msgspec.Struct, array_like=True):
    """For identity: postings that carry a response id."""

    now_ns: int
    postings: list[Posting]


class Evidence(msgspec.Struct, array_like=True):
    """For the rules."""

    now_ns: int
    postings: list[Posting] = []
    samples: list[MemorySample] = []


class Settled(msgspec.Struct, array_like=True):
    """What a stage changed in the books."""

    now_ns: int
    postings: list[Posting]
    accounting: dict[str, Accounting]


Message = Spans | Postings | Evidence | Deltas
Keyed = tuple[str, Message]


class LedgerStage:
    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def ingest(self, message: Spans) -> list[Settled]:
        return _settled(message.now_ns, self._ledger.ingest(message.spans, message.now_ns))

    def advance(self, now_ns: int) -> list[Settled]:
        return _settled(now_ns, self._ledger.advance(now_ns))

    def next_wake(self) -> int | None:
        return self._ledger.next_wake()

    def snapshot(self) -> bytes:
        return self._ledger.snapshot()


class IdentityStage:
    def __init__(self, identities: Identities) -> None:
        self._identities = identities

    def ingest(self, message: Postings) -> list[Settled]:
        return _settled(message.now_ns, self._identities.ingest(message.postings, message.now_ns))

    def advance(self, now_ns: int) -> list[Settled]:
        return _settled(now_ns, self._identities.advance(now_ns))

    def next_wake(self) -> int | None:
        return self._identities.next_wake()

    def snapshot(self) -> bytes:
        return self._identities.snapshot()


class RulesStage:
    def __init__(self, rules: RuleShard) -> None:
        self._rules = rules

    def ingest(self, message: Evidence) -> list[Insight]:
        return self._rules.ingest(message.postings, message.samples, message.now_ns)

    def advance(self, now_ns: int) -> list[Insight]:
        return self._rules.advance(now_ns)

    def next_wake(self) -> int | None:
        return self._rules.next_wake()

    def snapshot(self) -> bytes:
        return self._rules.snapshot()


def _settled(now_ns: int, changes: Changes) -> list[Settled]:
    if not (changes.postings or changes.accounting):
        return []
    return [Settled(now_ns, changes.postings, changes.accounting)]


class Stages:
    """Makes stages, from nothing or from a snapshot, and says which shard each thing belongs to."""

    def __init__(self, accounting: AccountingConfig, rules: RuleSet, catalogue: Catalogue, shards: int) -> None:
        self._accounting = accounting
        self._rules = rules
        self._catalogue = catalogue
        self._shards = shards

    def ledger(self, snapshot: bytes | None) -> LedgerStage:
        price: Callable[[Call], Cost] = self._catalogue.cost
        if snapshot is None:
            return LedgerStage(Ledger(self._accounting, price))
        return LedgerStage(Ledger.restore(self._accounting, price, snapshot))

    def identity(self, snapshot: bytes | None) -> IdentityStage:
        if snapshot is None:
            return IdentityStage(Identities(self._accounting))
        return IdentityStage(Identities.restore(self._accounting, snapshot))

    def rules(self, snapshot: bytes | None) -> RulesStage:
        if snapshot is None:
            return RulesStage(RuleShard(self._rules, self._catalogue))
        return RulesStage(RuleShard.restore(self._rules, self._catalogue, snapshot))

    def route_decoded(self, decoded: Decoded) -> list[Keyed]:
        """Spans to their ledgers, memory samples to their rules, rejections to the store."""
        by_trace: dict[str, list[SpanFacts]] = {}
        for span in decoded.spans:
            by_trace.setdefault(trace_shard(span.trace_id, self._shards), []).append(span)
        by_entity: dict[str, list[MemorySample]] = {}
        for sample in decoded.samples:
            key = entity_shard(sample.tenant, sample.project, sample.entity, self._shards)
            by_entity.setdefault(key, []).append(sample)
        routed: list[Keyed] = [(f"t{key}", Spans(decoded.now_ns, spans)) for key, spans in by_trace.items()]
        routed += [(f"r{key}", Evidence(decoded.now_ns, samples=samples)) for key, samples in by_entity.items()]
        if decoded.rejected:
            routed.append((STORE_KEY, Deltas(accounting=decoded.rejected)))
        return routed

    def route_ledger(self, settled: Iterable[Settled]) -> list[Keyed]:
        """Postings with a response id to identity, the others straight onto the books."""
        deltas = Deltas()
        now_ns = 0
        final: list[Posting] = []
        by_identity: dict[str, list[Posting]] = {}
        for change in settled:
            now_ns = max(now_ns, change.now_ns)
            deltas.account(change.accounting)
            for posting in change.postings:
                call = posting.call
                if call.response_id:
                    key = identity_shard(call.tenant, call.response_id, self._shards)
                    by_identity.setdefault(key, []).append(posting)
                else:
                    final.append(posting)
        routed: list[Keyed] = [(f"i{key}", Postings(now_ns, postings)) for key, postings in by_identity.items()]
        return routed + self._book(now_ns, final, deltas)

    def route_identity(self, settled: Iterable[Settled]) -> list[Keyed]:
        """Everything onto the books."""
        deltas = Deltas()
        now_ns = 0
        final: list[Posting] = []
        for change in settled:
            now_ns = max(now_ns, change.now_ns)
            deltas.account(change.accounting)
            final += change.postings
        return self._book(now_ns, final, deltas)

    def _book(self, now_ns: int, postings: list[Posting], deltas: Deltas) -> list[Keyed]:
        deltas.post(postings)
        by_rule: dict[str, list[Posting]] = {}
        for posting in postings:
            call = posting.call
            key = rule_shard(call.tenant, call.project, call.dimensions.team, self._shards)
            by_rule.setdefault(key, []).append(posting)
        routed: list[Keyed] = [(f"r{key}", Evidence(now_ns, some)) for key, some in by_rule.items()]
        if not deltas.empty:
            routed.append((STORE_KEY, deltas))
        return routed
