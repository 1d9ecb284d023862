"""A trace that is being accounted: its reports, what they came to, and its data for a snapshot."""

import msgspec

from tokensense_otel.core.call import UNKNOWN_COST, Call, Source
from tokensense_otel.core.usage import Accounting
from tokensense_otel.dataflow.accounting.components import Components
from tokensense_otel.dataflow.accounting.merge import complete, over
from tokensense_otel.dataflow.accounting.sameness import witness
from tokensense_otel.dataflow.facts import Kind, SpanFacts


class TraceState(msgspec.Struct, array_like=True):
    """An open trace. `posted` are its calls on the books, with their cost."""

    tenant: str
    trace_id: bytes
    had_calls: bool = False
    spans: list[SpanFacts] = []
    """All distinct reports; more than one of a span where it was exported with different attributes."""
    posted: list[Call] = []


class RestingTrace(msgspec.Struct, array_like=True):
    """An open trace as bytes: how it is written to a snapshot, and how it waits once nothing happens to it any more."""

    tenant: str
    trace_id: bytes
    last_ns: int
    count: int
    """How many spans it has."""
    encoded: msgspec.Raw

    def wake(self) -> "OpenTrace":
        return OpenTrace(_decoder.decode(self.encoded), self.last_ns)


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(TraceState)


class OpenTrace:
    """A trace at work: its data, indexed, and its encoding for as long as that holds.

    `last_ns` is when a span of it came last.
    """

    __slots__ = (
        "components",
        "kinds",
        "last_ns",
        "posted",
        "records",
        "resting",
        "settled",
        "spans",
        "stand_ins",
        "trace",
        "variants",
    )

    def __init__(self, trace: TraceState, last_ns: int) -> None:
        self.trace = trace
        self.last_ns = last_ns
        self.resting: RestingTrace | None = None
        self.spans: dict[bytes, SpanFacts] = {}
        self.variants: dict[bytes, list[SpanFacts]] = {}
        self.components: Components | None = None
        """None while there is but one span, as in most traces there is."""
        self.kinds = [0] * len(Kind)
        """How many spans there are of each kind."""
        self.records = 0
        """How many of them are log records."""
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
        self.records += known is None and facts.is_record
        self.spans[span_id] = facts
        if self.components is not None:
            self.components.link(facts)
        elif len(self.spans) > 1:
            self.components = Components(self.spans)
        return known is None

    def touched(self, span_ids: set[bytes]) -> list[set[bytes]]:
        """The spans to settle anew, in groups that do not matter to each other, after these changed."""
        return [set(self.spans)] if self.components is None else self.components.touched(span_ids)

    def enter(self, span_id: bytes, call: Call, posted: Call) -> None:
        """A span is this call."""
        self.settled[span_id] = call
        self.posted[span_id] = posted
        if self.spans[span_id].kind is Kind.WRAPPER:
            self.stand_ins.add(span_id)

    def strike(self, span_id: bytes) -> Call:
        """A span is no call, or no longer the one that it was. Returns what was posted."""
        del self.settled[span_id]
        self.stand_ins.discard(span_id)
        return self.posted.pop(span_id)

    def outcome(self) -> Accounting:
        """What the spans became."""
        kinds = self.kinds
        reports = kinds[Kind.CALL] + kinds[Kind.CANDIDATE] + kinds[Kind.DETAIL] + kinds[Kind.EVENT]
        stand_ins = len(self.stand_ins)
        records = sum(call.source is Source.RECORD for call in self.settled.values()) if self.records else 0
        return Accounting(
            calls=len(self.settled),
            duplicates=(reports - self.records) - (len(self.settled) - stand_ins - records),
            wrappers=kinds[Kind.WRAPPER] + kinds[Kind.TOOL] - stand_ins,
            not_genai=kinds[Kind.OTHER],
            records=records,
        )

    def reports(self, facts: SpanFacts) -> bool:
        """Whether exactly this report is already there."""
        variants = self.variants.get(facts.span_id)
        return facts in variants if variants else self.spans.get(facts.span_id) == facts

    @property
    def has_genai(self) -> bool:
        """Whether any of its spans is about GenAI."""
        return self.kinds[Kind.OTHER] < len(self.spans)

    @property
    def count(self) -> int:
        """How many spans it has."""
        return len(self.spans)

    def rest(self) -> RestingTrace:
        """The trace as bytes; the same object until something is admitted or accounted."""
        if self.resting is None:
            trace = self.trace
            trace.spans = [facts for span_id, facts in self.spans.items() if span_id not in self.variants]
            trace.spans += [facts for variants in self.variants.values() for facts in variants]
            trace.posted = list(self.posted.values())
            encoded = msgspec.Raw(_encoder.encode(trace))
            trace.spans, trace.posted = [], []
            self.resting = RestingTrace(trace.tenant, trace.trace_id, self.last_ns, len(self.spans), encoded)
        return self.resting


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
            resource_project=best.resource_project or other.resource_project,
            call=call,
        )
    return best


def _rank(facts: SpanFacts) -> tuple[int, object, bytes]:
    preferred = (Kind.CALL, Kind.CANDIDATE, Kind.WRAPPER, Kind.DETAIL, Kind.EVENT, Kind.TOOL, Kind.OTHER)
    # Of two reports with the same call only their whole content can tell in which order to take them.
    return preferred.index(facts.kind), witness(facts.call) if facts.call else (), _encoder.encode(facts)
