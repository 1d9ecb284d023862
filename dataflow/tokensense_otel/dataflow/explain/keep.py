"""Facts of a span ↔ what the store keeps of them."""

import msgspec

from tokensense_otel.core.call import Call
from tokensense_otel.dataflow.facts import SpanFacts
from tokensense_otel.store.facts import KeptSpan

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(SpanFacts)


def to_kept(facts: SpanFacts, received_ns: int) -> KeptSpan:
    """What the store keeps of a span, and what it is found by."""
    call = facts.call
    return KeptSpan(
        facts.tenant,
        facts.trace_id,
        facts.span_id,
        call.response_id if call else "",
        usage_key(call) if call else "",
        call.end_ns if call else 0,
        received_ns,
        _encoder.encode(facts),
    )


def from_kept(span: KeptSpan) -> SpanFacts:
    """The inverse of `to_kept`.

    Raises:
        msgspec.ValidationError: when another version of TokenSense wrote it and this one cannot read it.
    """
    return _decoder.decode(span.body)


def usage_key(call: Call) -> str:
    """`input/output`: what two reports of one call agree on; empty where a call has no usage."""
    tokens = call.tokens
    return f"{tokens.input}/{tokens.output}" if tokens.known else ""
