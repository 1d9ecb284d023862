"""Log records about spans: which of them stand for a call of which no span came."""

from collections.abc import Iterable, Mapping
from typing import Final

from tokensense_otel.core.call import NO_TOKENS, Call, Tokens
from tokensense_otel.dataflow.accounting.sameness import witness
from tokensense_otel.dataflow.facts import Kind, SpanFacts

_TELL_OF_CALLS: Final = frozenset({Kind.CALL, Kind.CANDIDATE, Kind.DETAIL})


def tells_of_call(event: SpanFacts, spans: Mapping[bytes, SpanFacts]) -> bool:
    """Whether the span that an event is about has come and is a call, or tells of one."""
    target = spans.get(event.parent_id)
    return target is not None and target.kind in _TELL_OF_CALLS


def lone_events(events: Iterable[SpanFacts], spans: Mapping[bytes, SpanFacts]) -> list[list[Call]]:
    """The calls that nothing but events tells of, each as all that is told of it, the best first.

    Where the span that they are about came and is no call, they were written in its context by calls without a span
    of their own; then only usage proves that there was one.
    """
    by_target: dict[bytes, list[Call]] = {}
    for event in events:
        if event.call is None or tells_of_call(event, spans):
            continue
        if event.call.tokens.known or event.parent_id not in spans:
            by_target.setdefault(event.parent_id, []).append(event.call)
    return [told for calls in by_target.values() for told in _apart(calls)]


def _apart(calls: list[Call]) -> list[list[Call]]:
    """Records about one span, by call. Usage tells calls apart; those without any add to the best of the others."""
    told: dict[tuple[str, Tokens], list[Call]] = {}
    for call in sorted(calls, key=witness):
        key = (call.response_id, call.tokens) if call.tokens.known else next(iter(told), ("", NO_TOKENS))
        told.setdefault(key, []).append(call)
    return list(told.values())
