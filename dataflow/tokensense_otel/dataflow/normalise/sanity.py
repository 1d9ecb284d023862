"""What cannot be true of a span, and what is taken instead: times, token counts, payloads."""

import math
from collections.abc import Mapping
from typing import Any, Final

from tokensense_otel.dataflow.normalise.attributes import MAX_COUNT, from_json, to_number
from tokensense_otel.dataflow.normalise.corrections import Correction, Problems

DAY_NS: Final = 86_400_000_000_000
EARLIEST_NS: Final = 1_420_070_400_000_000_000
"""2015-01-01T00:00:00Z: before there was a model to call over the network, or OpenTelemetry."""


def count_fault(value: Any) -> Correction:
    """Why a value is no token count."""
    if isinstance(value, float | str) and not isinstance(value, bool):
        try:
            number = float(value)
        except ValueError:
            return Correction.TOKENS_NO_NUMBER
        if not math.isfinite(number):
            return Correction.TOKENS_NOT_FINITE
    told = None if isinstance(value, bool) else to_number(value)
    if told is None:
        return Correction.TOKENS_NO_NUMBER
    if told < 0:
        return Correction.TOKENS_NEGATIVE
    return Correction.TOKENS_TOO_MANY if told > MAX_COUNT else Correction.TOKENS_FRACTIONAL


def sane_times(start_ns: int, end_ns: int, received_ns: int, problems: Problems) -> tuple[int, int]:
    """Start and end of a span, each replaced by the other, or by the time of reception, where it cannot be true.

    Recordings have no time of reception (0): what is absurd there is counted and stays as it is, since nothing better
    is known. No span ends before it starts.
    """
    latest_ns = received_ns + DAY_NS if received_ns else 1 << 64
    start_good, end_good = EARLIEST_NS <= start_ns <= latest_ns, EARLIEST_NS <= end_ns <= latest_ns
    if not (start_good and end_good):
        problems.append(Correction.TIME_ABSURD if start_ns and end_ns else Correction.TIME_MISSING)
        if start_good or end_good or received_ns:
            stand_in = start_ns if start_good else end_ns if end_good else received_ns
            start_ns, end_ns = (start_ns if start_good else stand_in), (end_ns if end_good else stand_in)
        else:
            start_ns, end_ns = start_ns or end_ns, end_ns or start_ns
    if end_ns < start_ns:
        problems.append(Correction.TIME_REVERSED)
        end_ns = start_ns
    return start_ns, end_ns


def payload_fault(attributes: Mapping[str, Any], key: str, max_bytes: int) -> Correction | None:
    """What is wrong with the JSON of an attribute; text that is no JSON at all is nothing wrong."""
    text = attributes.get(key)
    if not isinstance(text, str) or text[:1] not in ("{", "["):
        return None
    if len(text) > max_bytes:
        return Correction.PAYLOAD_TOO_LARGE
    return Correction.PAYLOAD_UNREADABLE if from_json(text, max_bytes) is None else None
