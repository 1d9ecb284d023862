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
from tokensense_otel.dataflow.accounting.components import Components
from tokensense_otel.dataflow.accounting.config import AccountingConfig
from tokensense_otel.dataflow.accounting.merge import complete, over
from tokensense_otel.dataflow.accounting.recent import RecentIds, RecentState, recent_key
from tokensense_otel.dataflow.accounting.sameness import order, witness
from tokensense_otel.dataflow.accounting.trace import settle
from tokensense_otel.dataflow.facts import Kind, SpanFacts

VERSION = 1
_SECOND = 1_000_000_000
_HAD_CALLS = b"calls"

Price = Callable[[Call], Cost]
TraceKey = tuple[str, bytes]


class _Trace(msgspec.Struct, array_like=True):
    """An open trace. `posted` are its calls on the books, with their cost."""

    tenant: str
    trace_id: bytes
    last_ns: int
    had_calls: bool = False
    spans: list[SpanFacts] = []
    """All distinct reports; more than one of a span where it was exported with different attributes."""
    posted: list[Call] = []


class _State(msgspec.Struct, array_like=True):
    version: int
    traces: list[msgspec.Raw]
    recent: RecentState


_encoder = msgspec.msgpack.Encoder()
_state_decoder = msgspec.msgpack.Decoder(_State)
_trace_decoder = msgspec.msgpack.Decoder(_Trace)


class _Open:
    """A trace at work: its data, indexed, and its encoding for as long as that holds."""

    __slots__ = ("components", "encoded", "kinds", "posted", "settled", "spans", "stand_ins", "trace", "variants")

    def __init__(self, trace: _Trace) -> None:
        self.trace = trace
        self.encoded: msgspec.Raw | None = None
        self.spans: dict[bytes, SpanFacts] = {}
        self.variants: dict[bytes, list[SpanFacts]] = {}
        self.components: Components | None = None
        """None while there is but one span, as in most traces there is."""
        self.kinds = [0] * len(Kind)
        """How many spans there are of each kind."""
        self.posted: dict[bytes, Call] = {call.span_id: call for call in trace.posted}
        self.settled = {
            span_id: msgspec.structs.replace(call, cost=UNKNOWN_COST) for span_id, call in self.posted.items()
        }
        """The same calls without their cost, as settling gives them."""
        self.stand_ins: set[bytes] = set()
        """Those of them that are wrappers."""
        for facts in trace.spans:
            self.admit(facts)
        self.stand_ins = {span_id for span_id in self.settled if self.spans[span_id].kind is Kind.WRAPPER}

    def admit(self, facts: SpanFacts) -> bool:
        """Take a report in; False if it is of a span that is already there."""
        span_id = facts.span_id
        known = self.spans.get(span_id)
        if known is not None:
            variants = self.variants.setdefault(span_id, [known])
            if facts in variants or len(variants) >= _MAX_VARIANTS:
                return False
            variants.append(facts)
            facts = _one_of(variants)
            self.kinds[known.kind] -= 1
        self.kinds[facts.kind] += 1
        self.spans[span_id] = facts
        if self.components is not None:
            self.components.link(facts, self.spans)
        elif len(self.spans) > 1:
            self.components = Components()
            for present in self.spans.values():
                self.components.link(present, self.spans)
        return known is None

    def touched(self, span_ids: set[bytes]) -> list[list[bytes]]:
        """The spans to settle anew, in groups that do not matter to each other, after these changed."""
        return [list(self.spans)] if self.components is None else self.components.of(span_ids)

    def count(self, span_id: bytes, call: Call, posted: Call) -> None:
        """A span is this call."""
        self.settled[span_id] = call
        self.posted[span_id] = posted
        if self.spans[span_id].kind is Kind.WRAPPER:
            self.stand_ins.add(span_id)

    def discount(self, span_id: bytes) -> Call:
        """A span is no call, or no longer the one that it was. Returns what was posted."""
        del self.settled[span_id]
        self.stand_ins.discard(span_id)
        return self.posted.pop(span_id)

    def outcome(self) -> Accounting:
        """What the spans became."""
        kinds = self.kinds
        reports = kinds[Kind.CALL] + kinds[Kind.CANDIDATE] + kinds[Kind.DETAIL]
        stand_ins = len(self.stand_ins)
        return Accounting(
            calls=len(self.settled),
            duplicates=reports - (len(self.settled) - stand_ins),
            wrappers=kinds[Kind.WRAPPER] + kinds[Kind.TOOL] - stand_ins,
            not_genai=kinds[Kind.OTHER],
        )

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
        before = held.outcome()
        resent = 0
        changed: set[bytes] = set()
        for facts in spans:
            if held.reports(facts) or (was_open and facts.span_id not in held.spans and self._was_closed(facts)):
                resent += 1
                continue
            changed.add(facts.span_id)
            if held.admit(facts):
                self._spans += 1
            else:
                resent += 1
        if held.spans:
            held.trace.last_ns = now_ns
            held.encoded = None
            self._open[key] = held
            self._open.move_to_end(key)
        if changed and held.kinds[Kind.OTHER] < len(held.spans):
            for span_ids in held.touched(changed):
                self._settle(held, span_ids, changes)
        after = held.outcome()
        changes.account(
            tenant,
            Accounting(
                spans=len(spans),
                calls=after.calls - before.calls,
                duplicates=after.duplicates - before.duplicates + resent,
                wrappers=after.wrappers - before.wrappers,
                not_genai=after.not_genai - before.not_genai,
            ),
        )
        if len(held.spans) > self._config.max_trace_spans:
            self._close(key, now_ns)

    def _was_closed(self, facts: SpanFacts) -> bool:
        return recent_key(facts.trace_id + facts.tenant.encode(), facts.span_id) in self._recent

    def _settle(self, held: _Open, span_ids: list[bytes], changes: Changes) -> None:
        """Post the difference between what these spans came to before and what they come to now."""
        spans = {span_id: held.spans[span_id] for span_id in span_ids}
        calls = settle(spans, had_calls=held.trace.had_calls)
        gone: list[Call] = []
        come: list[Call] = []
        for span_id in span_ids:
            call, old = calls.get(span_id), held.settled.get(span_id)
            if call == old:
                continue
            cost: Cost | None = None
            if old is not None:
                was = held.discount(span_id)
                gone.append(was)
                cost = was.cost if call is not None and _priced_facts(old) == _priced_facts(call) else None
            if call is not None:
                new = msgspec.structs.replace(call, cost=cost or self._price(call))
                held.count(span_id, call, new)
                come.append(new)
        changes.postings += [Posting(-1, call) for call in sorted(gone, key=order)]
        changes.postings += [Posting(1, call) for call in sorted(come, key=order)]

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
