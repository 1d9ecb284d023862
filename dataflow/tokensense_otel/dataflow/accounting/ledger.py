"""The ledger: one shard of the traces that are being accounted, and the postings that keep the books right.

After every `ingest` the sum of all postings equals the settlement of all spans seen. Whenever a span changes what its
trace comes to, exactly the earlier posting is reversed and the corrected one made. Time is log time, passed in.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable

import msgspec

from tokensense_otel.core.call import Call, Cost, Posting
from tokensense_otel.dataflow.accounting.changes import Changes
from tokensense_otel.dataflow.accounting.config import AccountingConfig
from tokensense_otel.dataflow.accounting.open_trace import (
    CALL,
    HAD_CALLS,
    OpenTrace,
    RestingTrace,
    Sums,
    trace_marker,
)
from tokensense_otel.dataflow.accounting.packing import Packer, PackerState
from tokensense_otel.dataflow.accounting.recent import RecentIds, RecentState, recent_key
from tokensense_otel.dataflow.accounting.sameness import order
from tokensense_otel.dataflow.accounting.trace import settle
from tokensense_otel.dataflow.facts import Kind, SpanFacts
from tokensense_otel.dataflow.snapshots import check_version

VERSION = 3
_SECOND = 1_000_000_000
_QUIET_NS = 2 * _SECOND
"""After so long without a span a trace is packed. Most of those that get more later get it within this time."""
_MAX_TOUCHED = 4_096
_NOTHING = Sums()
_replace = msgspec.structs.replace

Price = Callable[[Call], Cost]
TraceKey = tuple[str, bytes]


class _State(msgspec.Struct, array_like=True):
    version: int
    traces: list[msgspec.Raw]
    recent: RecentState
    packer: PackerState


_encoder = msgspec.msgpack.Encoder()
_state_decoder = msgspec.msgpack.Decoder(_State)


class Ledger:
    """One shard by trace id. `price` says what a call costs; it is asked once for every set of priced facts.

    State is bounded by the configuration: facts of open traces, and 8 bytes for every span of those that were closed.
    """

    def __init__(self, config: AccountingConfig, price: Price) -> None:
        self._config = config
        self._price = price
        self._idle_ns = round(config.trace_idle_s * _SECOND)
        self._open: OrderedDict[TraceKey, OpenTrace | RestingTrace] = OrderedDict()
        self._awake: dict[TraceKey, OpenTrace] = {}
        """Those of them that are at work, or were until the snapshot before."""
        self._touched: deque[tuple[TraceKey, int]] = deque(maxlen=_MAX_TOUCHED)
        """What was accounted lately and when, the oldest first."""
        self._spans = 0
        self._packer = Packer()
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
        self._pack_quiet(now_ns)
        changes.trim()
        return changes

    def advance(self, now_ns: int) -> Changes:
        """Close the traces that were idle long enough. What they came to is already on the books."""
        while self._open:
            key, oldest = next(iter(self._open.items()))
            if now_ns - oldest.last_ns < self._idle_ns:
                break
            self._close(key, now_ns)
        self._recent.expire(now_ns)
        return Changes()

    def next_wake(self) -> int | None:
        """When `advance` has something to do, in Unix nanoseconds."""
        if not self._open:
            return None
        return next(iter(self._open.values())).last_ns + self._idle_ns

    @property
    def open_spans(self) -> int:
        """Spans of which the facts are kept."""
        return self._spans

    def snapshot(self) -> bytes:
        """The state as bytes. A trace that did not change since the snapshot before is from then on kept as bytes."""
        if self._packer.wants_samples:
            self._packer.learn(held.encoded() for held in self._awake.values())
        for key, held in list(self._awake.items()):
            quiet = held.resting is not None
            rest = held.rest(self._packer)
            if quiet and self._packer.ready:
                self._open[key] = rest
                del self._awake[key]
        resting = [held.rest(self._packer) for held in self._open.values()]
        self._packer.keep(rest.dictionary for rest in resting)
        traces = [rest.raw for rest in resting]
        return _encoder.encode(_State(VERSION, traces, self._recent.state(), self._packer.state()))

    @classmethod
    def restore(cls, config: AccountingConfig, price: Price, snapshot: bytes) -> "Ledger":
        """The ledger that gave this snapshot.

        Raises:
            ValueError: when the snapshot is of another version.
        """
        check_version(snapshot, VERSION, "a ledger")
        state = _state_decoder.decode(snapshot)
        ledger = cls(config, price)
        ledger._packer = Packer(state.packer)
        for raw in state.traces:
            key, rest = RestingTrace.restore(raw)
            ledger._open[key] = rest
            ledger._spans += rest.count
        ledger._recent.load(state.recent)
        return ledger

    def _pack_quiet(self, now_ns: int) -> None:
        """Pack bit by bit what has been quiet for a moment, so that a snapshot finds little left to pack."""
        touched, before_ns = self._touched, now_ns - _QUIET_NS
        while touched and touched[0][1] <= before_ns:
            key, last_ns = touched.popleft()
            held = self._awake.get(key)
            if held is not None and held.last_ns == last_ns and self._packer.ready:
                held.rest(self._packer)

    def _account(self, key: TraceKey, spans: list[SpanFacts], now_ns: int, changes: Changes) -> None:
        held, was_open = self._held(key, now_ns)
        was_genai = held.has_genai
        before = held.sums() if was_open else _NOTHING
        fresh: list[SpanFacts] = []
        resent = records = 0
        changed: set[bytes] = set()
        for facts in spans:
            is_record = facts.call is not None and facts.is_record
            records += is_record
            span_id = facts.span_id
            if was_open and (
                held.reports(facts) if span_id in held.spans else self._recent and self._was_closed(facts)
            ):
                resent += not is_record
                continue
            if span_id in changed and held.reports(facts):
                resent += not is_record
                continue
            changed.add(span_id)
            fresh.append(facts)
            if held.admit(facts):
                self._spans += 1
            else:
                resent += not is_record
        if held.spans:
            held.last_ns = now_ns
            held.resting = None
            self._open[key] = self._awake[key] = held
            self._open.move_to_end(key)
            self._touched.append((key, now_ns))
        if changed and held.has_genai:
            changes.seen += fresh
            if not was_genai:
                changes.seen += [facts for span_id, facts in held.spans.items() if span_id not in changed]
            for span_ids in held.touched(changed):
                self._settle(held, span_ids, changes)
            if held.tools is not None:
                changes.tools += held.tool_uses(changed)
        after = held.sums()
        sums = changes.of(key[0])
        sums.spans += len(spans) - records
        sums.calls += after.calls - before.calls
        sums.duplicates += after.duplicates - before.duplicates + resent
        sums.wrappers += after.wrappers - before.wrappers
        sums.not_genai += after.not_genai - before.not_genai
        sums.records += after.records - before.records
        if len(held.spans) > self._config.max_trace_spans:
            self._close(key, now_ns)

    def _held(self, key: TraceKey, now_ns: int) -> tuple[OpenTrace, bool]:
        """A trace at work, and whether anything of it may have come before."""
        found = self._open.get(key)
        if found is not None:
            return found.wake(self._packer) if isinstance(found, RestingTrace) else found, True
        tenant, trace_id = key
        held = OpenTrace(tenant, trace_id, now_ns)
        if not self._recent:
            return held, False
        marker = trace_marker(tenant, trace_id)
        if recent_key(marker) not in self._recent:
            return held, False
        held.had_calls = recent_key(marker, HAD_CALLS) in self._recent
        return held, True

    def _was_closed(self, facts: SpanFacts) -> bool:
        """Whether it was accounted before its trace was closed, or the call of which it tells again."""
        marker = trace_marker(facts.tenant, facts.trace_id)
        if recent_key(marker, facts.span_id) in self._recent or recent_key(marker, facts.span_id, CALL) in self._recent:
            return True
        return facts.kind is Kind.EVENT and recent_key(marker, facts.parent_id, CALL) in self._recent

    def _settle(self, held: OpenTrace, span_ids: set[bytes], changes: Changes) -> None:
        """Post the difference between what these spans came to before and what they come to now."""
        spans = held.spans if len(span_ids) == len(held.spans) else {each: held.spans[each] for each in span_ids}
        calls = settle(spans, had_calls=held.had_calls)
        gone: list[Call] = []
        come: list[Call] = []
        for span_id in span_ids:
            call, was = calls.get(span_id), held.posted.get(span_id)
            if was is not None:
                if call is not None:
                    call = _replace(call, cost=was.cost)
                    if call == was:
                        continue
                gone.append(held.strike(span_id))
            if call is not None:
                if was is None or _priced_facts(was) != _priced_facts(call):
                    call = _replace(call, cost=self._price(call))
                held.enter(span_id, call)
                come.append(call)
        changes.postings += [Posting(-1, call) for call in sorted(gone, key=order)]
        changes.postings += [Posting(1, call) for call in (sorted(come, key=order) if len(come) > 1 else come)]

    def _make_room(self, now_ns: int) -> None:
        while self._spans > self._config.max_open_spans and self._open:
            self._close(next(iter(self._open)), now_ns)

    def _close(self, key: TraceKey, now_ns: int) -> None:
        """Forget a trace but for the ids of its spans."""
        held = self._open.pop(key)
        self._awake.pop(key, None)
        self._spans -= held.count
        self._recent.add_all(held.remembered(), now_ns)


def _priced_facts(call: Call) -> tuple[object, ...]:
    """Everything that a price may depend on."""
    return (
        call.tokens,
        call.provider,
        call.request_model,
        call.response_model,
        call.full_model,
        call.service_tier,
        call.operation,
        call.start_ns,
        call.end_ns,
        call.tenant,
        call.project,
        call.dimensions.service,
        call.error_type,
        call.first_token_ns,
    )
