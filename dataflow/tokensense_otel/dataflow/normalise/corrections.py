"""Why input was corrected or refused: a closed list, so that every case is counted and can be listed.

A correction never makes a number up: what is no token count becomes unknown, and a time that cannot be is replaced by
one that was observed.
"""

from enum import StrEnum
from typing import Final

from tokensense_otel.core.tally import Tallies, Tally, What


class Correction(StrEnum):
    TRACE_ID_INVALID = "trace_id_invalid"
    SPAN_ID_INVALID = "span_id_invalid"
    TIME_NOWHERE = "time_nowhere"
    TIME_MISSING = "time_missing"
    TIME_ABSURD = "time_absurd"
    TIME_REVERSED = "time_reversed"
    ATTRIBUTE_REPEATED = "attribute_repeated"
    VALUE_TOO_DEEP = "value_too_deep"
    NAME_TOO_LONG = "name_too_long"
    TOKENS_NEGATIVE = "tokens_negative"
    TOKENS_FRACTIONAL = "tokens_fractional"
    TOKENS_NOT_FINITE = "tokens_not_finite"
    TOKENS_TOO_MANY = "tokens_too_many"
    TOKENS_NO_NUMBER = "tokens_no_number"
    TOKENS_AS_TEXT = "tokens_as_text"
    TOKENS_IMPOSSIBLE = "tokens_impossible"
    DURATION_ABSURD = "duration_absurd"
    PAYLOAD_TOO_LARGE = "payload_too_large"
    PAYLOAD_UNREADABLE = "payload_unreadable"
    TEXT_NOT_UTF8 = "text_not_utf8"
    REQUEST_UNREADABLE = "request_unreadable"
    REQUEST_FAILED = "request_failed"


MEANING: Final[dict[Correction, str]] = {
    Correction.TRACE_ID_INVALID: "the trace id is not 16 bytes, or all zero; the span is refused",
    Correction.SPAN_ID_INVALID: "the span id is not 8 bytes, or all zero; the span is refused",
    Correction.TIME_NOWHERE: "neither the span nor its reception has a time; the span is refused",
    Correction.TIME_MISSING: "start or end is missing; the other one, else the time of reception, stands in",
    Correction.TIME_ABSURD: "start or end is before 2015 or a day after its reception; replaced in the same way",
    Correction.TIME_REVERSED: "the end is before the start; the call has no length",
    Correction.ATTRIBUTE_REPEATED: "an attribute is there twice; the last value counts",
    Correction.VALUE_TOO_DEEP: "an attribute is nested too deep; what is deeper is left out",
    Correction.NAME_TOO_LONG: "a model, response id or error type is longer than 256 characters; it is cut",
    Correction.TOKENS_NEGATIVE: "a token count is negative; unknown",
    Correction.TOKENS_FRACTIONAL: "a token count is no whole number; unknown",
    Correction.TOKENS_NOT_FINITE: "a token count is NaN or infinite; unknown",
    Correction.TOKENS_TOO_MANY: "a token count is above a trillion; unknown",
    Correction.TOKENS_NO_NUMBER: "a token count is text, true, or a structure that says no number; unknown",
    Correction.TOKENS_AS_TEXT: "a token count is a number in a string; read as the number",
    Correction.TOKENS_IMPOSSIBLE: "a class of tokens is larger than what it is part of; unknown",
    Correction.DURATION_ABSURD: "a time to first token is negative or longer than a day; unknown",
    Correction.PAYLOAD_TOO_LARGE: "JSON that may hold the usage is longer than is read",
    Correction.PAYLOAD_UNREADABLE: "JSON that may hold the usage is broken",
    Correction.TEXT_NOT_UTF8: "text in a request is not UTF-8; its bad bytes are replaced",
    Correction.REQUEST_UNREADABLE: "an entry of the log is no OTLP; kept in the quarantine folder",
    Correction.REQUEST_FAILED: "an entry of the log could not be taken apart; kept in the quarantine folder",
}
"""What each means, and what was done."""

Problems = list[Correction]
"""What had to be corrected on one span."""


def tally_problems(tallies: Tallies, problems: Problems, tenant: str, service: str) -> None:
    """Count what had to be corrected."""
    for problem in problems:
        tallies.count(Tally(tenant, service, What.CORRECTION, problem.value))
