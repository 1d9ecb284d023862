"""When two reports are about one call, and whose word counts.

A response id alone does not prove it: stub servers and caches give one id to many calls. So the times have to meet and
the models have to agree, and one instrumentation reports a call twice only in so many words.
"""

from collections.abc import Callable, Iterable
from typing import Final

from tokensense_otel.core.call import Call, Source
from tokensense_otel.dataflow.normalise.dialects import (
    is_native,
    listens,
    loses_thoughts,
    lost_on_stream,
    polls,
    records_first,
)
from tokensense_otel.dataflow.normalise.usage import reported

SLACK_NS: Final = 2_000_000_000
"""How far apart two reports of one response may lie: a wrapper that ends before its stream, clocks of two processes."""
TWIN_SLACK_NS: Final = 150_000_000
"""By how much two reports of one call may differ at either end: a framework starts earlier, and its first call long."""
TWIN_GAP_NS: Final = 10_000_000
"""How far apart two reports of one stream may lie: a framework's span may end when the stream begins."""
REPEAT_SLACK_NS: Final = 10_000_000
"""By how much two reports of one call by one instrumentation may differ. A stub may give one id to every call."""
_OVERLAP: Final = 0.9

Same = Callable[[Call, Call], bool]


def overlap_ns(one: Call, two: Call) -> int:
    """For how long both were under way; negative for the gap between them."""
    return min(one.end_ns, two.end_ns) - max(one.start_ns, two.start_ns)


def during(call: Call, around: Call) -> bool:
    """Whether a call may have been made within a wrapper, by their times."""
    return around.start_ns - TWIN_SLACK_NS <= call.start_ns and call.end_ns <= around.end_ns + TWIN_SLACK_NS


def models_agree(one: Call, two: Call) -> bool:
    """Whether both may be about one model: `gpt-4o` and `gpt-4o-2024-08-06` may, and so may an unnamed one."""
    if one.request_model == two.request_model != "":
        return True
    return names_agree((one.request_model, one.response_model), (two.request_model, two.response_model))


def names_agree(names: tuple[str, str], others: tuple[str, str]) -> bool:
    """Whether two pairs of a requested and an answering model may be about one call; an unnamed model agrees."""
    some, more = [name for name in names if name], [other for other in others if other]
    if not some or not more:
        return True
    return any(name.startswith(other) or other.startswith(name) for name in some for other in more)


def size(call: Call) -> tuple[int | None, int | None]:
    """Input and output by which reports of one call are known; without the reasoning that not all of them tell."""
    tokens = call.tokens
    if tokens.output is not None and tokens.reasoning and loses_thoughts(call.dialect):
        return tokens.input, tokens.output - tokens.reasoning
    return tokens.input, tokens.output


def same_family(one: Call, two: Call) -> bool:
    """Whether both generate, or both do the same other thing: an embedding within a chat is a call of its own."""
    return one.operation == two.operation or (one.operation in _GENERATE and two.operation in _GENERATE)


_GENERATE: Final = frozenset({"chat", "generate_content", "text_completion"})


def _mostly_together(one: Call, two: Call) -> bool:
    longest = max(one.end_ns - one.start_ns, two.end_ns - two.start_ns)
    return overlap_ns(one, two) >= _OVERLAP * longest


def _same_reporter(one: Call, two: Call) -> bool:
    """Whether one instrumentation made both reports, both as spans or both as log records."""
    return one.scope == two.scope and one.source is two.source


def same_response(one: Call, two: Call) -> bool:
    """Two reports with one response id: is it one call?"""
    if _same_reporter(one, two):
        apart = max(abs(one.start_ns - two.start_ns), abs(one.end_ns - two.end_ns))
        together = apart <= REPEAT_SLACK_NS or polls(one.dialect)
        return together and one.tokens == two.tokens and models_agree(one, two)
    return overlap_ns(one, two) >= -SLACK_NS and models_agree(one, two)


def same_twin(one: Call, two: Call) -> bool:
    """Two reports by different instrumentations, not both with a response id: one call?

    Their token counts have to be equal, or both failed and neither counts anything.
    """
    return (
        not _same_reporter(one, two)
        and not (one.response_id and two.response_id and one.response_id != two.response_id)
        and (_same_usage(one, two) or _heard_twice(one, two))
        and same_family(one, two)
        and (models_agree(one, two) or _record_corrects(one, two))
        and (_mostly_together(one, two) or _side_by_side(one, two) or _written_of(one, two))
    )


def _same_usage(one: Call, two: Call) -> bool:
    return (one.tokens.known or (one.failed and two.failed)) and size(one) == size(two)


def _heard_twice(one: Call, two: Call) -> bool:
    """Whether two listeners tell of a framework's call of which one of them did not hear the usage."""
    return (
        listens(one.dialect)
        and listens(two.dialect)
        and one.failed == two.failed
        and not (one.tokens.known and two.tokens.known)
    )


def _record_corrects(one: Call, two: Call) -> bool:
    """Whether an agent wrote both, to the last token alike, the span beside the model of another request.

    Claude Code 2.0 mixes up on its spans the requests that it makes at one time; its records have them right.
    """
    return (
        one.source is not two.source
        and one.dialect == two.dialect
        and records_first(one.dialect)
        and one.tokens.known
        and one.tokens == two.tokens
    )


def _side_by_side(one: Call, two: Call) -> bool:
    """Whether they overlap and begin and end hardly apart: calls of a few milliseconds have relative noise."""
    apart = max(abs(one.start_ns - two.start_ns), abs(one.end_ns - two.end_ns))
    gap = TWIN_GAP_NS if one.streaming or two.streaming else 0
    return apart <= TWIN_SLACK_NS and overlap_ns(one, two) > -gap


def _written_of(one: Call, two: Call) -> bool:
    """Whether one is a log record from the time of the other: a record may tell of the end of a call only."""
    return Source.RECORD in (one.source, two.source) and overlap_ns(one, two) >= -SLACK_NS


def order(call: Call) -> tuple[int, int, bytes, bytes]:
    """The order in which calls are compared: by time, and by id where that does not tell."""
    return (call.start_ns, call.end_ns, call.trace_id, call.span_id)


def clusters(calls: Iterable[Call], same: Same) -> list[list[Call]]:
    """Reports put together by call. Each joins the group of which every member is `same`, the longest overlap first.

    A function of the set of calls: they are taken in `order`, whatever order they come in.
    """
    groups: list[list[Call]] = []
    near: list[list[Call]] = []
    for call in sorted(calls, key=order):
        # Calls come by start, so a group that ended long before this one can take no later one either.
        near = [group for group in near if max(member.end_ns for member in group) >= call.start_ns - SLACK_NS]
        best: list[Call] | None = None
        longest = 0
        for group in near:
            if all(same(member, call) for member in group):
                together = max(overlap_ns(member, call) for member in group)
                if best is None or together > longest:
                    best, longest = group, together
        if best is None:
            groups.append([call])
            near.append(groups[-1])
        else:
            best.append(call)
    return groups


def doubtful(call: Call) -> frozenset[str]:
    """Token classes of which the call says zero although its emitter may just have lost them."""
    if not call.streaming:
        return frozenset()
    return frozenset(name for name in lost_on_stream(call.dialect) if getattr(call.tokens, name) == 0)


def witness(call: Call) -> tuple[bool, bool, bool, bool, int, tuple[int, int, bytes, bytes]]:
    """The best witness sorts first.

    With usage; a span rather than a log record, but for dialects that say otherwise; the provider's own SDK; without
    a zero that may be a loss; the richer report; the earlier; the smaller.
    """
    second = (call.source is Source.RECORD) is not records_first(call.dialect)
    doubt = bool(doubtful(call))
    return (not call.tokens.known, second, not is_native(call.dialect), doubt, -reported(call.tokens), order(call))


def best_of(group: list[Call]) -> Call:
    """The best witness of a group."""
    return group[0] if len(group) == 1 else min(group, key=witness)
