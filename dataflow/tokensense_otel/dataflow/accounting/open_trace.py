"""A trace that is being accounted: its reports, what they came to, and its data for a snapshot."""

from typing import NamedTuple

import msgspec

from tokensense_otel.core.call import Call, Source
from tokensense_otel.core.usage import Accounting
from tokensense_otel.dataflow.accounting.components import Components
from tokensense_otel.dataflow.accounting.merge import complete, over
from tokensense_otel.dataflow.accounting.packing import Packer
from tokensense_otel.dataflow.accounting.recent import recent_id
from tokensense_otel.dataflow.accounting.sameness import witness
from tokensense_otel.dataflow.accounting.tool_uses import ToolUses
from tokensense_otel.dataflow.facts import Kind, SpanFacts, ToolUse


class TraceState(msgspec.Struct, array_like=True):
    """An open trace. `posted` are its calls on the books, with their cost."""

    tenant: str
    trace_id: bytes
    had_calls: bool = False
    spans: list[SpanFacts] = []
    """All distinct reports; more than one of a span where it was exported with different attributes."""
    posted: list[Call] = []


class _Rest(msgspec.Struct, array_like=True, gc=False):
    """How an open trace is written to a snapshot. `packed` is its `TraceState`."""

    tenant: str
    trace_id: bytes
    last_ns: int
    count: int
    dictionary: int
    packed: bytes
    remembered: bytes
    """What is remembered of it when it is closed, ids of 8 bytes, so that it need not be unpacked for that."""


class RestingTrace(msgspec.Struct, gc=False):
    """How an open trace waits once nothing happens to it any more: as the bytes that every snapshot repeats."""

    last_ns: int
    count: int
    """How many spans it has."""
    dictionary: int
    """With which it is packed."""
    raw: msgspec.Raw

    def rest(self, packer: Packer) -> "RestingTrace":  # noqa: ARG002 - as `OpenTrace`, which has to be packed
        return self

    def wake(self, packer: Packer) -> "OpenTrace":
        rest = _rest_decoder.decode(self.raw)
        return OpenTrace.of(_decoder.decode(packer.unpack(rest.dictionary, rest.packed)), rest.last_ns)

    def remembered(self) -> bytes:
        """As `OpenTrace.remembered`."""
        return _rest_decoder.decode(self.raw).remembered

    @classmethod
    def restore(cls, raw: msgspec.Raw) -> tuple[tuple[str, bytes], "RestingTrace"]:
        """A trace of a snapshot, with its tenant and its id."""
        rest = _rest_decoder.decode(raw)
        return (rest.tenant, rest.trace_id), cls(rest.last_ns, rest.count, rest.dictionary, raw.copy())


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(TraceState)
_rest_decoder = msgspec.msgpack.Decoder(_Rest)


class Sums(NamedTuple):
    """What the spans of a trace became; as in `core.usage.Accounting`."""

    calls: int = 0
    duplicates: int = 0
    wrappers: int = 0
    not_genai: int = 0
    records: int = 0


class OpenTrace:
    """A trace at work: its data, indexed, and its encoding for as long as that holds.

    `last_ns` is when a span of it came last.
    """

    __slots__ = (
        "components",
        "had_calls",
        "kinds",
        "last_ns",
        "posted",
        "records",
        "resting",
        "spans",
        "tenant",
        "tools",
        "trace_id",
        "variants",
        "whole",
    )

    def __init__(self, tenant: str, trace_id: bytes, last_ns: int) -> None:
        self.tenant = tenant
        self.trace_id = trace_id
        self.had_calls = False
        self.last_ns = last_ns
        self.resting: RestingTrace | None = None
        self.spans: dict[bytes, SpanFacts] = {}
        self.variants: dict[bytes, list[SpanFacts]] = {}
        self.components: Components | None = None
        """None while there are but few spans, as in most traces."""
        self.whole = False
        """Whether it has components now and had none when it was settled last."""
        self.kinds = [0] * _KINDS
        """How many spans there are of each kind."""
        self.records = 0
        """How many of them are log records."""
        self.posted: dict[bytes, Call] = {}
        """Its calls on the books, with their cost."""
        self.tools: ToolUses | None = None
        """What was told of the tools that it used, if any."""

    @classmethod
    def of(cls, state: TraceState, last_ns: int) -> "OpenTrace":
        """The trace that has these data."""
        trace = cls(state.tenant, state.trace_id, last_ns)
        trace.had_calls = state.had_calls
        trace.posted = {call.span_id: call for call in state.posted}
        for facts in state.spans:
            trace.admit(facts)
        trace.whole = False
        if trace.tools is not None:
            trace.tools.tell_all()  # as was done before
        return trace

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
        if known is None and facts.call is not None and facts.call.source is _RECORD:
            self.records += 1
        self.spans[span_id] = facts
        if facts.tools and self.tools is None:
            self.tools = ToolUses(self.spans)
        if self.components is not None:
            self.components.link(facts)
        elif len(self.spans) > _FEW:
            self.components = Components(self.spans)
            self.whole = True
        return known is None

    def touched(self, span_ids: set[bytes]) -> list[set[bytes]]:
        """The spans to settle anew, in groups that do not matter to each other, after these changed.

        While there are few it is all of them, which is less work than to find out.
        """
        if self.components is None or self.whole:
            self.whole = False
            return [set(self.spans)]
        return self.components.touched(span_ids)

    def tool_uses(self, span_ids: set[bytes]) -> list[ToolUse]:
        """What is to be told of tools after these spans came; where one was reported anew, all is looked at again."""
        if self.tools is None:
            return []
        return self.tools.tell(span_ids) if span_ids.isdisjoint(self.variants) else self.tools.tell_all()

    def enter(self, span_id: bytes, call: Call) -> None:
        """A span is this call, with its cost."""
        self.posted[span_id] = call

    def strike(self, span_id: bytes) -> Call:
        """A span is no call, or no longer the one that it was. Returns what was posted."""
        return self.posted.pop(span_id)

    def sums(self) -> Sums:
        """What the spans became."""
        kinds, posted = self.kinds, self.posted
        stand_ins = records = 0
        if kinds[_WRAPPER]:
            stand_ins = sum(self.spans[span_id].kind is _WRAPPER for span_id in posted)
        if self.records:
            records = sum(call.source is _RECORD for call in posted.values())
        reports = kinds[_CALL] + kinds[_CANDIDATE] + kinds[_DETAIL] + kinds[_EVENT]
        calls = len(posted)
        return Sums(
            calls,
            (reports - self.records) - (calls - stand_ins - records),
            kinds[_WRAPPER] + kinds[_TOOL] - stand_ins,
            kinds[_OTHER],
            records,
        )

    def outcome(self) -> Accounting:
        """The same for the books."""
        return Accounting(**self.sums()._asdict(), spans=len(self.spans) - self.records)

    def reports(self, facts: SpanFacts) -> bool:
        """Whether exactly this report is already there."""
        known = self.spans.get(facts.span_id)
        if known is None:
            return False
        variants = self.variants.get(facts.span_id)
        return facts in variants if variants else known == facts

    @property
    def has_genai(self) -> bool:
        """Whether any of its spans is about GenAI."""
        return self.kinds[_OTHER] < len(self.spans)

    @property
    def count(self) -> int:
        """How many spans it has."""
        return len(self.spans)

    def encoded(self) -> bytes:
        """Its data as it is packed."""
        spans = [facts for span_id, facts in self.spans.items() if span_id not in self.variants]
        spans += [facts for variants in self.variants.values() for facts in variants]
        return _encoder.encode(
            TraceState(self.tenant, self.trace_id, self.had_calls, spans, list(self.posted.values()))
        )

    def rest(self, packer: Packer) -> RestingTrace:
        """The trace as bytes; the same object until something is admitted or accounted."""
        if self.resting is None:
            dictionary, packed = packer.pack(self.encoded())
            count = len(self.spans)
            rest = _Rest(self.tenant, self.trace_id, self.last_ns, count, dictionary, packed, self.remembered())
            self.resting = RestingTrace(self.last_ns, count, dictionary, msgspec.Raw(_encoder.encode(rest)))
        return self.resting

    def remembered(self) -> bytes:
        """The ids by which it is known, and that of each of its spans, when it is closed."""
        marker = trace_marker(self.tenant, self.trace_id)
        ids = [recent_id(marker)]
        if self.posted or self.had_calls:
            ids.append(recent_id(marker, HAD_CALLS))
        for span_id, facts in self.spans.items():
            ids.append(recent_id(marker, span_id, CALL) if facts.kind is _CALL else recent_id(marker, span_id))
            if facts.kind is _EVENT and span_id in self.posted and facts.parent_id not in self.spans:
                # The span of this call may still come; then it is the second report.
                ids.append(recent_id(marker, facts.parent_id, CALL))
        return b"".join(ids)


HAD_CALLS = b"calls"
CALL = b"call"


def trace_marker(tenant: str, trace_id: bytes) -> bytes:
    """What the ids of a trace and of its spans are made from, among `RecentIds`."""
    return trace_id + tenant.encode()


_OTHER, _CALL, _CANDIDATE, _WRAPPER, _TOOL, _DETAIL, _EVENT = Kind
_KINDS = len(Kind)
_RECORD = Source.RECORD
_MAX_VARIANTS = 4
_FEW = 16
"""Up to so many spans a trace is settled as a whole."""


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
            resource_project=best.resource_project or other.resource_project,
            call=call,
            tools=best.tools or other.tools,
        )
    return best


def _rank(facts: SpanFacts) -> tuple[int, object, bytes]:
    preferred = (Kind.CALL, Kind.CANDIDATE, Kind.WRAPPER, Kind.DETAIL, Kind.EVENT, Kind.TOOL, Kind.OTHER)
    # Of two reports with the same call only their whole content can tell in which order to take them.
    return preferred.index(facts.kind), witness(facts.call) if facts.call else (), _encoder.encode(facts)
