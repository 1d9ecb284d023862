"""One call out of several reports of it: the best witness's word, completed by what only the others know."""

from collections.abc import Iterable

import msgspec

from tokensense_otel.core.call import Call, Dimensions, Tokens
from tokensense_otel.dataflow.accounting.sameness import doubtful
from tokensense_otel.dataflow.facts import Kind, SpanFacts
from tokensense_otel.dataflow.normalise.dialects import overcounts_stream
from tokensense_otel.dataflow.normalise.usage import fill

_NAMES = (
    *("provider", "request_model", "response_model", "response_id", "finish_reason", "service_tier"),
    *("prompt_hash", "version"),
)


def over(own: Dimensions, other: Dimensions) -> Dimensions:
    """`own`, completed by `other`, dimension by dimension."""
    if other is own or other == _NOBODY or own == other:
        return own
    if own == _NOBODY:
        return other
    return Dimensions(
        own.team or other.team,
        own.feature or other.feature,
        own.environment or other.environment,
        own.service or other.service,
        own.user or other.user,
        own.session or other.session,
        own.agent or other.agent,
    )


_NOBODY = Dimensions()


def complete(call: Call, other: Call, *, tokens: bool) -> Call:
    """`call` with what only `other` says; its token counts too, if `tokens`. A failure stays what it was.

    Without `tokens` nothing changes that a price depends on, so that a call keeps its cost.
    """
    changes: dict[str, object] = {}
    for name in _NAMES:
        if not getattr(call, name):
            value = getattr(other, name)
            if value and (tokens or name not in _PRICED):
                changes[name] = value
                if name == "prompt_hash":
                    changes["prefix_hash"] = other.prefix_hash
    if call.first_token_ns is None and other.first_token_ns is not None:
        # Times to first token count from each report's own start.
        moved = other.start_ns + other.first_token_ns - call.start_ns
        changes["first_token_ns"] = max(moved, 0)
    if other.streaming and not call.streaming:
        changes["streaming"] = True
    if call.reported_cost is None and other.reported_cost is not None:
        changes["reported_cost"] = other.reported_cost
    if other.task & ~call.task:
        changes["task"] = call.task | other.task
    if other.max_output is not None and call.max_output is None:
        changes["max_output"] = other.max_output
    if other.attempt is not None and call.attempt is None:
        changes["attempt"] = other.attempt
    if tokens:
        if other.full_model and not call.full_model and other.model == (call.model or other.model):
            changes["full_model"] = other.full_model
        lent = other.tokens
        if doubts := doubtful(other):
            lent = msgspec.structs.replace(lent, **dict.fromkeys(doubts))
        filled = fill(_corrected(call, other), lent)
        if filled != call.tokens:
            changes["tokens"] = filled
            changes["notes"] = (*call.notes, f"usage completed from {other.dialect or 'another'} span")
    return msgspec.structs.replace(call, **changes) if changes else call


def with_model(facts: SpanFacts, ancestors: Iterable[SpanFacts]) -> Call | None:
    """Usage without an operation, if its span or the nearest span around it that lends one names a model."""
    call = facts.call
    if call is None or call.model:
        return call
    for above in ancestors:
        lent = above.call
        if above.kind is Kind.WRAPPER and lent is not None and not lent.tokens.known and lent.model:
            return complete(call, lent, tokens=True)
    return None


def _corrected(call: Call, other: Call) -> Tokens:
    """The call's tokens, but the other report's output where the call's own is known to be too high."""
    tokens = call.tokens
    if not (call.streaming or other.streaming) or not overcounts_stream(call.dialect, call.provider):
        return tokens
    if tokens.output is None or other.tokens.output is None or other.tokens.output >= tokens.output:
        return tokens
    return msgspec.structs.replace(tokens, output=other.tokens.output)


_PRICED = frozenset({"provider", "request_model", "response_model", "service_tier"})
