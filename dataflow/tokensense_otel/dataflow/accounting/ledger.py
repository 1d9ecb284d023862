"""The ledger: one shard of the traces that are being accounted, and the postings that keep the books right.

After every `ingest` the sum of all postings equals the settlement of all spans seen. Whenever a span changes what its
trace comes to, exactly the earlier posting is reversed and the corrected one made. Time is log time, passed in.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable

import msgspec

from tokensense_otel.core.call import UNKNOWN_COST, Call, Cost, Posting
from tokensense_otel.core.usage import Accounting
from tokensense_otel.dataflow.accounting.changes import Changes
from tokensense_otel.dataflow.accounting.config import AccountingConfig
from tokensense_otel.dataflow.accounting.merge import complete, over
from tokensense_otel.dataflow.accounting.recent import RecentIds, RecentState, recent_key
from tokensense_otel.dataflow.accounting.sameness import witness
from tokensense_otel.dataflow.accounting.trace import settle
from tokensense_otel.dataflow.facts import Kind, SpanFacts

VERSION = 1
_SECOND = 1_000_000_000
_HAD_CALLS = b"calls"

Price = Callable[[Call], Cost]
TraceKey = tuple[str, bytes]


class _Trace(msgspec.Struct, array_like=True):
    """An open trace. `posted` are its calls on the books with their cost; `seen` what its spans were counted as."""

    tenant: str
    trace_id: bytes
    last_ns: int
    had_calls: bool = False
    spans: list[SpanFacts] = []
    """All distinct reports; more than one of a span where it was exported with different attributes."""
    posted: list[Call] = []
    seen: tuple[int, int, int, int] = (0, 0, 0, 0)
    """Calls, duplicates, wrappers, spans that are not GenAI."""


class _State(msgspec.Struct, array_like=True):
    version: int
    traces: list[msgspec.Raw]
    recent: RecentState


_encoder = msgspec.msgpack.Encoder()
_state_decoder = msgspec.msgpack.Decoder(_State)
_trace_decoder = msgspec.msgpack.Decoder(_Trace)


class _Open:
    """A trace at work: its data, indexed, and its encoding for as long as that holds."""

    __slots__ = ("encoded", "genai", "posted", "spans", "trace", "variants")

    def __init__(self, trace: _Trace) -> None:
        self.trace = trace
        self.encoded: msgspec.Raw | None = None
        self.spans: dict[bytes, SpanFacts] = {}
        self.variants: dict[bytes, list[SpanFacts]] = {}
        self.posted: dict[bytes, Call] = {call.span_id: call for call in trace.posted}
        self.genai = False
        for facts in trace.spans:
            self.admit(facts)

    def admit(self, facts: SpanFacts) -> bool:
        """Take a report in; False if it is of a span that is already there."""
        known = self.spans.get(facts.span_id)
        self.genai = self.genai or facts.kind is not Kind.OTHER
        if known is None:
            self.spans[facts.span_id] = facts
            return True
        variants = self.variants.setdefault(facts.span_id, [known])
        if facts not in variants and len(variants) < _MAX_VARIANTS:
            variants.append(facts)
            self.spans[facts.span_id] = _one_of(variants)
        return False

    def reports(self, facts: SpanFacts) -> bool:
        """Whether exactly this report is already there."""
        variants = self.variants.get(facts.span_id)
        return facts in variants if variants else self.spans.get(facts.span_id) == facts

    def encode(self) -> msgspec.Raw:
        if self.encoded is None:
            self.trace.spans = [facts for span_id, facts in self.spans.items() if span_id not in self.variants] + [
                facts for variants in self.variants.values() for facts in variants
            ]
            self.trace.posted = list(self.posted.values())
            self.encoded = msgspec.Raw(_encoder.encode(self.trace))
        return self.encoded


_MAX_VARIANTS = 4


def _one_of(variants: list[SpanFacts]) -> SpanFacts:
    """One span out of different reports of it, whatever order they came in: the best, completed by the others."""
    best, *others = sorted(variants, key=_rank)
    for other in others:
        call = best.call
        if call is not None and other.call is not None:
            call = complete(call, other.call, tokens=True)
        best = msgspec.structs.replace(
            best,
            own=over(best.own, other.own),
            resource=over(best.resource, other.resource),
            project=best.project or other.project,
            call=call,
        )
    return best


def _rank(facts: SpanFacts) -> tuple[int, object, bytes]:
    preferred = (Kind.CALL, Kind.CANDIDATE, Kind.WRAPPER, Kind.DETAIL, Kind.TOOL, Kind.OTHER)
    # Of two reports with the same call only their whole content can tell in which order to take them.
    return preferred.index(facts.kind), witness(facts.call) if facts.call else (), _encoder.encode(facts)


class Ledger:
    """One shard by trace id. `price` says what a call costs; it is asked once for every set of priced facts.

    State is bounded by the configuration: facts of open traces, and 8 bytes for every span of those that were closed.
    """

    def __init__(self, config: AccountingConfig, price: Price) -> None:
        self._config = config
        self._price = price
        self._idle_ns = round(config.trace_idle_s * _SECOND)
        self._open: OrderedDict[TraceKey, _Open] = OrderedDict()
        self._spans = 0
        self._recent = RecentIds(round(config.resend_window_s * _SECOND), config.max_resend_ids)

    def ingest(self, spans: Iterable[SpanFacts], now_ns: int) -> Changes:
        """Account spans that were received at `now_ns`."""
        changes = Changes()
        by_trace: dict[TraceKey, list[SpanFacts]] = {}
        for facts in spans:
            by_trace.setdefault((facts.tenant, facts.trace_id), []).append(facts)
        for key, facts_of_trace in by_trace.items():
            self._account(key, facts_of_trace, now_ns, changes)
        self._make_room(now_ns)
        return changes

    def advance(self, now_ns: int) -> Changes:
        """Close the traces that were idle long enough. What they came to is already on the books."""
        while self._open:
            key, oldest = next(iter(self._open.items()))
            if now_ns - oldest.trace.last_ns < self._idle_ns:
                break
            self._close(key, now_ns)
        self._recent.expire(now_ns)
        return Changes()

    def next_wake(self) -> int | None:
        """When `advance` has something to do, in Unix nanoseconds."""
        if not self._open:
            return None
        return next(iter(self._open.values())).trace.last_ns + self._idle_ns

    @property
    def open_spans(self) -> int:
        """Spans of which the facts are kept."""
        return self._spans

    def snapshot(self) -> bytes:
        """The state as bytes. Traces that did not change since the last snapshot are not encoded again."""
        return _encoder.encode(_State(VERSION, [held.encode() for held in self._open.values()], self._recent.state()))

    @classmethod
    def restore(cls, config: AccountingConfig, price: Price, snapshot: bytes) -> "Ledger":
        """The ledger that gave this snapshot.

        Raises:
            ValueError: when the snapshot is of another version.
        """
        state = _state_decoder.decode(snapshot)
        if state.version != VERSION:
            raise ValueError(f"a ledger snapshot of version {state.version}; this version reads {VERSION}")
        ledger = cls(config, price)
        for raw in state.traces:
            held = _Open(_trace_decoder.decode(raw))
            ledger._open[held.trace.tenant, held.trace.trace_id] = held
            ledger._spans += len(held.spans)
        ledger._recent.load(state.recent)
        return ledger

    def _account(self, key: TraceKey, spans: list[SpanFacts], now_ns: int, changes: Changes) -> None:
        tenant, trace_id = key
        held = self._open.get(key)
        was_open = held is not None
        if held is None:
            held = _Open(_Trace(tenant, trace_id, now_ns))
            marker = trace_id + tenant.encode()
            if recent_key(marker) in self._recent:
                held.trace.had_calls = recent_key(marker, _HAD_CALLS) in self._recent
                was_open = True
        resent = 0
        changed = False
        for facts in spans:
            if held.reports(facts) or (was_open and facts.span_id not in held.spans and self._was_closed(facts)):
                resent += 1
                continue
            changed = True
            if held.admit(facts):
                self._spans += 1
            else:
                resent += 1
        if held.spans:
            held.trace.last_ns = now_ns
            held.encoded = None
            self._open[key] = held
            self._open.move_to_end(key)
        change = Accounting(spans=len(spans), duplicates=resent)
        if changed:
            self._settle(held, change, changes)
        changes.account(tenant, change)
        if len(held.spans) > self._config.max_trace_spans:
            self._close(key, now_ns)

    def _was_closed(self, facts: SpanFacts) -> bool:
        return recent_key(facts.trace_id + facts.tenant.encode(), facts.span_id) in self._recent

    def _settle(self, held: _Open, change: Accounting, changes: Changes) -> None:
        """Post the difference between what the trace came to before and what it comes to now."""
        if held.genai:
            settlement = settle(held.spans, had_calls=held.trace.had_calls)
            calls = settlement.calls
            now = (len(calls), settlement.duplicates, settlement.wrappers, settlement.not_genai)
        else:
            calls = {}
            now = (0, 0, 0, len(held.spans))
        before = held.trace.seen
        held.trace.seen = now
        change.calls += now[0] - before[0]
        change.duplicates += now[1] - before[1]
        change.wrappers += now[2] - before[2]
        change.not_genai += now[3] - before[3]
        posted = held.posted
        reversed_ids = sorted(posted.keys() - calls.keys()) if posted else []
        made: list[Posting] = []
        for span_id in sorted(calls):
            call = calls[span_id]
            old = posted.get(span_id)
            if old is None:
                new = msgspec.structs.replace(call, cost=self._price(call))
            else:
                plain = msgspec.structs.replace(old, cost=UNKNOWN_COST)
                if plain == call:
                    continue
                cost = old.cost if _priced_facts(plain) == _priced_facts(call) else self._price(call)
                new = msgspec.structs.replace(call, cost=cost)
                changes.postings.append(Posting(-1, old))
            posted[span_id] = new
            made.append(Posting(1, new))
        changes.postings += [Posting(-1, posted.pop(span_id)) for span_id in reversed_ids]
        changes.postings += made

    def _make_room(self, now_ns: int) -> None:
        while self._spans > self._config.max_open_spans and self._open:
            self._close(next(iter(self._open)), now_ns)

    def _close(self, key: TraceKey, now_ns: int) -> None:
        """Forget a trace but for the ids of its spans."""
        held = self._open.pop(key)
        self._spans -= len(held.spans)
        marker = held.trace.trace_id + held.trace.tenant.encode()
        self._recent.add(recent_key(marker), now_ns)
        if held.posted or held.trace.had_calls:
            self._recent.add(recent_key(marker, _HAD_CALLS), now_ns)
        for span_id in held.spans:
            self._recent.add(recent_key(marker, span_id), now_ns)


def _priced_facts(call: Call) -> tuple[object, ...]:
    """Everything that a price may depend on."""
    return (
        call.tokens,
        call.provider,
        call.request_model,
        call.response_model,
        call.service_tier,
        call.operation,
        call.start_ns,
        call.end_ns,
        call.tenant,
        call.project,
        call.error_type,
        call.first_token_ns,
    )
