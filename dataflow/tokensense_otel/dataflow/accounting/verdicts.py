"""Why a span counts or does not: a closed list of reasons, and what records them while a trace is settled.

Settling says nothing unless a recorder is passed, which only explanations do.
"""

from enum import StrEnum
from typing import Final

import msgspec

from tokensense_otel.dataflow.facts import Kind


class Reason(StrEnum):
    """The reasons that count a span come first."""

    CALL = "call"
    ATTEMPTS_FAILED = "attempts_failed"
    LONE_USAGE = "lone_usage"
    STAND_IN = "stand_in"
    EVENT_ALONE = "event_alone"
    CALLS_WITHIN = "calls_within"
    SAME_RESPONSE = "same_response"
    SAME_USAGE = "same_usage"
    RESPONSE_ELSEWHERE = "response_elsewhere"
    USAGE_ELSEWHERE = "usage_elsewhere"
    DETAIL = "detail"
    DETAIL_OF_NOTHING = "detail_of_nothing"
    EVENT = "event"
    EVENT_OF_NOTHING = "event_of_nothing"
    USAGE_WITHOUT_MODEL = "usage_without_model"
    USAGE_OVER_CALLS = "usage_over_calls"
    USAGE_WITHIN_CALL = "usage_within_call"
    USAGE_OVER_USAGE = "usage_over_usage"
    WRAPPER = "wrapper"
    WRAPPER_OVER_CALLS = "wrapper_over_calls"
    USAGE_LENT = "usage_lent"
    WRAPPER_WITHIN_CALL = "wrapper_within_call"
    WRAPPER_OVER_WRAPPER = "wrapper_over_wrapper"
    WRAPPER_AFTER_CALLS = "wrapper_after_calls"
    TOOL = "tool"
    NOT_GENAI = "not_genai"


PLAIN: Final = {Kind.OTHER: Reason.NOT_GENAI, Kind.TOOL: Reason.TOOL, Kind.WRAPPER: Reason.WRAPPER}
"""Kinds of spans that need no other reason."""

COUNTED: Final = frozenset(
    {Reason.CALL, Reason.ATTEMPTS_FAILED, Reason.LONE_USAGE, Reason.STAND_IN, Reason.EVENT_ALONE}
)

TEXT: Final[dict[Reason, str]] = {
    Reason.CALL: "it is a request to a model, and no better report of it is known",
    Reason.ATTEMPTS_FAILED: "every call within it failed; what succeeded in the end was reported by this span only",
    Reason.LONE_USAGE: "it names a model and its usage, and no call is around or within it",
    Reason.STAND_IN: "no call was reported within it, so its own usage stands in",
    Reason.EVENT_ALONE: "it is a log record of a call of which no span came",
    Reason.CALLS_WITHIN: "the calls within it count; this span tells of them again",
    Reason.SAME_RESPONSE: "it has the same response id, model and time as a better report of the same call",
    Reason.SAME_USAGE: "it has the same parent, usage, model and time as a better report of the same call",
    Reason.RESPONSE_ELSEWHERE: "a better report of the same response, at the same time, is elsewhere",
    Reason.USAGE_ELSEWHERE: "a better report with the same service, usage, model and time is elsewhere",
    Reason.DETAIL: "it is a second span about a call, to which it adds what it knows",
    Reason.DETAIL_OF_NOTHING: "it is a second span about a call that was not reported",
    Reason.EVENT: "it is a log record about a call, to which it adds what it knows",
    Reason.EVENT_OF_NOTHING: "it is a log record about a span that is no call, and reports no usage",
    Reason.USAGE_WITHOUT_MODEL: "it reports usage, but neither an operation nor a model",
    Reason.USAGE_OVER_CALLS: "it reports the usage of the calls within it, which count themselves",
    Reason.USAGE_WITHIN_CALL: "it reports usage within a call, which counts itself",
    Reason.USAGE_OVER_USAGE: "a span within it reports usage, and the innermost counts",
    Reason.WRAPPER: "it is an agent, chain or workflow without usage of its own that may be counted",
    Reason.WRAPPER_OVER_CALLS: "it sums up the calls within it, which count themselves",
    Reason.USAGE_LENT: "no call within it reported usage, so that the last of them has its",
    Reason.WRAPPER_WITHIN_CALL: "it lies within a call, which counts itself",
    Reason.WRAPPER_OVER_WRAPPER: "a wrapper within it reports usage, and the innermost counts",
    Reason.WRAPPER_AFTER_CALLS: "calls of this trace were counted before it was closed, so a wrapper cannot stand in",
    Reason.TOOL: "it is a tool, a retrieval or another step that is no request to a model",
    Reason.NOT_GENAI: "nothing on it says that it is about GenAI",
}
"""Each in words, about the span."""


class Verdict(msgspec.Struct, frozen=True):
    """What became of a span. `others` are the spans that the reason speaks of."""

    reason: Reason
    others: tuple[bytes, ...] = ()

    @property
    def counted(self) -> bool:
        return self.reason in COUNTED


class Verdicts:
    """Records the settlement of one trace. `told` are the further reports that went into a call, in their order."""

    def __init__(self) -> None:
        self.spans: dict[bytes, Verdict] = {}
        self.told: dict[bytes, tuple[bytes, ...]] = {}

    def say(self, span_id: bytes, reason: Reason, *others: bytes) -> None:
        """The last word on a span counts."""
        self.spans[span_id] = Verdict(reason, others)
