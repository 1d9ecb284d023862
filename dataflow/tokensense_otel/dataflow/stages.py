"""The stages between log and store, each a shard of plain state, and what travels between them.

    spans, records ─ ledger ─┬─ twins ─┬─ identity ─┬─ the books: usage to the store, evidence to the rules
                             └─────────┴────────────┤
    metrics about calls ─ metered ──────────────────┘

One item on the wire is everything of a batch that goes to one shard. The first letter of a key names the stage it is
for: `t` ledger (by trace), `m` metered calls (by service), `w` twins (by what two reports of one call agree on), `i`
identity (by response id), `r` rules (by team, function or container), `g` rules that look beyond a team (by tenant),
`s` the store.
"""

from collections.abc import Callable, Iterable
from typing import Generic, Protocol, TypeVar

import msgspec

from tokensense_otel.core.call import Posting
from tokensense_otel.core.insight import Insight
from tokensense_otel.core.usage import Accounting
from tokensense_otel.dataflow.accounting import (
    Changes,
    Identities,
    Ledger,
    MeteredCalls,
    Twins,
    Witness,
    identity_shard,
    may_have_twin,
    meter_shard,
    trace_shard,
    twin_shard,
)
from tokensense_otel.dataflow.config import DataflowConfig
from tokensense_otel.dataflow.decode import Decoded
from tokensense_otel.dataflow.deltas import Deltas
from tokensense_otel.dataflow.facts import Covered, MemorySample, MeterPoint, SpanFacts, ToolUse
from tokensense_otel.dataflow.pricing import Catalogue
from tokensense_otel.dataflow.rules import (
    Level,
    RuleSet,
    RuleShard,
    WaitingRoom,
    entity_shard,
    rule_shard,
    tenant_shard,
)
from tokensense_otel.dataflow.rules.evaluation.tool_room import ToolRoom

STORE_KEY = "store"

T = TypeVar("T")


class Batch(msgspec.Struct, Generic[T], array_like=True):
    """Facts for a ledger, points for metered calls, or postings for identity and twins. `now_ns` is log time, and the
    oldest request in it was received at `since_ns`."""

    now_ns: int
    items: list[T]
    since_ns: int = 0


class Evidence(msgspec.Struct, array_like=True):
    """For the rules."""

    now_ns: int
    postings: list[Posting] = []
    samples: list[MemorySample] = []
    tools: list[ToolUse] = []


class Settled(msgspec.Struct, array_like=True):
    """What a stage of accounting changed in the books, on requests of which the oldest was received at `since_ns`, or
    by itself (0)."""

    now_ns: int
    postings: list[Posting]
    accounting: dict[str, Accounting]
    seen: list[SpanFacts] = []
    since_ns: int = 0
    tools: list[ToolUse] = []


Metering = MeterPoint | Covered
Keyed = tuple[str, Batch[SpanFacts] | Batch[Metering] | Batch[Posting] | Evidence | Deltas]


class Books(Protocol[T]):
    """A shard of accounting: `Ledger`, `MeteredCalls`, `Identities` or `Twins`."""

    def ingest(self, items: list[T], now_ns: int, /) -> Changes: ...
    def advance(self, now_ns: int, /) -> Changes: ...
    def next_wake(self) -> int | None: ...
    def snapshot(self) -> bytes: ...


class AccountingStage(Generic[T]):
    def __init__(self, books: Books[T]) -> None:
        self._books = books

    def ingest(self, batch: Batch[T], /) -> list[Settled]:
        return _settled(batch.now_ns, self._books.ingest(batch.items, batch.now_ns), batch.since_ns)

    def advance(self, now_ns: int, /) -> list[Settled]:
        return _settled(now_ns, self._books.advance(now_ns))

    def next_wake(self) -> int | None:
        return self._books.next_wake()

    def snapshot(self) -> bytes:
        return self._books.snapshot()


def _settled(now_ns: int, changes: Changes, since_ns: int = 0) -> list[Settled]:
    if not (changes.postings or changes.accounting or changes.tools):
        return []
    return [Settled(now_ns, changes.postings, changes.accounting, changes.seen, since_ns, changes.tools)]


class _RulesState(msgspec.Struct, array_like=True):
    rules: bytes
    waiting: bytes
    tools: list[tuple[ToolUse, list[int]]] = []


_rules_encoder = msgspec.msgpack.Encoder()
_rules_decoder = msgspec.msgpack.Decoder(_RulesState)


class RulesStage:
    """The rules, behind the rooms in which calls and uses of tools wait that may still learn whose they are."""

    def __init__(self, rules: RuleShard, room: WaitingRoom, tools: ToolRoom, current: Callable[[], RuleSet]) -> None:
        self._rules = rules
        self._room = room
        self._tools = tools
        self._current = current
        self._in_force = current()

    def ingest(self, evidence: Evidence, /) -> list[Insight]:
        self._renew()
        released = self._room.release(evidence.now_ns)
        admitted = self._room.admit(evidence.postings, evidence.now_ns)
        tools = self._tools.release(evidence.now_ns) + self._tools.admit(evidence.tools, evidence.now_ns)
        return self._rules.ingest(released + admitted, [*evidence.samples, *tools], evidence.now_ns)

    def advance(self, now_ns: int, /) -> list[Insight]:
        self._renew()
        insights = self._rules.ingest(self._room.release(now_ns), self._tools.release(now_ns), now_ns)
        return insights + self._rules.advance(now_ns)

    def next_wake(self) -> int | None:
        wakes = (self._rules.next_wake(), self._room.next_wake(), self._tools.next_wake())
        return min((wake for wake in wakes if wake is not None), default=None)

    def snapshot(self) -> bytes:
        state = _RulesState(self._rules.snapshot(), self._room.snapshot(), self._tools.state())
        return _rules_encoder.encode(state)

    def _renew(self) -> None:
        current = self._current()
        if current is not self._in_force:
            self._rules.reload(current)
            self._in_force = current


class Stages:
    """Makes stages, from nothing or from a snapshot, and says which shard each thing goes to next."""

    def __init__(self, config: DataflowConfig, rules: RuleSet, catalogue: Catalogue) -> None:
        self._accounting = config.accounting
        self._wait_s = config.attribution_wait_s
        self._shards = config.shards
        self._rules = rules
        self._catalogue = catalogue
        self._witness = Witness()

    def reload(self, rules: RuleSet) -> None:
        """Go on with other rules, in each shard from what it is given next. May be called from any thread."""
        self._rules = rules.after(self._rules)

    def ledger(self, snapshot: bytes | None) -> AccountingStage[SpanFacts]:
        price = self._catalogue.cost
        if snapshot is None:
            return AccountingStage(Ledger(self._accounting, price))
        return AccountingStage(Ledger.restore(self._accounting, price, snapshot))

    def metered(self, snapshot: bytes | None) -> AccountingStage[Metering]:
        price = self._catalogue.cost
        if snapshot is None:
            return AccountingStage(MeteredCalls(self._accounting, price))
        return AccountingStage(MeteredCalls.restore(self._accounting, price, snapshot))

    def identity(self, snapshot: bytes | None) -> AccountingStage[Posting]:
        if snapshot is None:
            return AccountingStage(Identities(self._accounting, self._catalogue.cost))
        return AccountingStage(Identities.restore(self._accounting, snapshot, self._catalogue.cost))

    def twins(self, snapshot: bytes | None) -> AccountingStage[Posting]:
        if snapshot is None:
            return AccountingStage(Twins(self._accounting, self._catalogue.cost))
        return AccountingStage(Twins.restore(self._accounting, snapshot, self._catalogue.cost))

    def rules(self, snapshot: bytes | None) -> RulesStage:
        return self._rules_of(Level.TEAM, snapshot)

    def tenant_rules(self, snapshot: bytes | None) -> RulesStage:
        return self._rules_of(Level.TENANT, snapshot)

    def _rules_of(self, level: Level, snapshot: bytes | None) -> RulesStage:
        if snapshot is None:
            shard = RuleShard(self._rules, self._catalogue, level)
            return RulesStage(shard, WaitingRoom(self._wait_s), ToolRoom(), self._now)
        state = _rules_decoder.decode(snapshot)
        tools = ToolRoom()
        tools.load(state.tools)
        return RulesStage(
            RuleShard.restore(self._rules, self._catalogue, state.rules, level),
            WaitingRoom.restore(self._wait_s, state.waiting),
            tools,
            self._now,
        )

    def _now(self) -> RuleSet:
        return self._rules

    def after_decode(self, decoded: Decoded) -> list[Keyed]:
        """Facts to their ledgers, metrics and what covers them to their services, memory samples to their rules."""
        by_trace = _Groups[SpanFacts]()
        for span in decoded.spans:
            by_trace.add(f"t{trace_shard(span.trace_id, self._shards)}", span)
        by_service = _Groups[Metering]()
        metering: list[Metering] = [*self._witness.of(decoded.spans), *decoded.points]
        for item in metering:
            by_service.add(f"m{meter_shard(item.tenant, item.service, self._shards)}", item)
        by_entity = _Groups[MemorySample]()
        for sample in decoded.samples:
            by_entity.add(f"r{entity_shard(sample.tenant, sample.project, sample.entity, self._shards)}", sample)
        now_ns, since_ns = decoded.now_ns, decoded.since_ns
        routed: list[Keyed] = [(key, Batch(now_ns, spans, since_ns)) for key, spans in by_trace.items()]
        routed += [(key, Batch(now_ns, items, since_ns)) for key, items in by_service.items()]
        routed += [(key, Evidence(decoded.now_ns, samples=samples)) for key, samples in by_entity.items()]
        told = Deltas(accounting=decoded.rejected, tallies=decoded.tallies, heartbeats=decoded.heartbeats)
        if not told.empty:
            routed.append((STORE_KEY, told))
        return routed

    def after_ledger(self, settled: Iterable[Settled]) -> list[Keyed]:
        """Postings to twins where another trace may repeat them, to identity where they name a response."""
        return self._route(settled, pair=True, identify=True)

    def after_twins(self, settled: Iterable[Settled]) -> list[Keyed]:
        return self._route(settled, pair=False, identify=True)

    def after_identity(self, settled: Iterable[Settled]) -> list[Keyed]:
        """Everything onto the books."""
        return self._route(settled, pair=False, identify=False)

    def _route(self, settled: Iterable[Settled], *, pair: bool, identify: bool) -> list[Keyed]:
        now_ns = 0
        since = set[int]()
        deltas = Deltas()
        onward = _Groups[Posting]()
        final: list[Posting] = []
        tools = _Groups[ToolUse]()
        for change in settled:
            now_ns = max(now_ns, change.now_ns)
            deltas.account(change.accounting)
            if change.since_ns:
                since.add(change.since_ns)
            deltas.seen += [(change.now_ns, facts) for facts in change.seen]
            for use in change.tools:
                tools.add(f"r{rule_shard(use.tenant, use.project, use.team, self._shards)}", use)
            for posting in change.postings:
                key = self._next(posting, pair=pair, identify=identify)
                if key is None:
                    final.append(posting)
                else:
                    onward.add(key, posting)
        deltas.post(final)
        evidence = _Groups[Posting]()
        beyond_teams = self._rules.has(Level.TENANT)
        for posting in final:
            call = posting.call
            evidence.add(f"r{rule_shard(call.tenant, call.project, call.dimensions.team, self._shards)}", posting)
            if beyond_teams:
                evidence.add(f"g{tenant_shard(call.tenant, self._shards)}", posting)
        oldest_ns = min(since, default=0)
        routed: list[Keyed] = [(key, Batch(now_ns, postings, oldest_ns)) for key, postings in onward.items()]
        routed += [(key, Evidence(now_ns, postings, [], tools.pop(key, []))) for key, postings in evidence.items()]
        routed += [(key, Evidence(now_ns, tools=uses)) for key, uses in tools.items()]
        if not deltas.empty:
            deltas.since = since
            routed.append((STORE_KEY, deltas))
        return routed

    def _next(self, posting: Posting, *, pair: bool, identify: bool) -> str | None:
        call = posting.call
        if pair and may_have_twin(call):
            return f"w{twin_shard(call, self._shards)}"
        if identify and call.response_id:
            return f"i{identity_shard(call.tenant, call.response_id, self._shards)}"
        return None


class _Groups(dict[str, list[T]]):
    """Things by the shard that they go to."""

    def add(self, key: str, item: T) -> None:
        self.setdefault(key, []).append(item)
