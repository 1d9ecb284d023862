"""What an HTTP answer means for a delivery: one table from status to outcome.

Sources: Standard Webhooks 1.0.0 (2xx only is success, 3xx is failure, 410 ends it), PagerDuty's Events API v2 and
Slack's incoming webhook pages for 400, 403, 404, 410 and 429; RFC 9110 section 10.2.3 for Retry-After.
"""

import math
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from tokensense_otel.core.errors import TokenSenseError
from tokensense_otel.exporters.errors import THROTTLE_S, EndpointDown, Reject, Retry, Throttle

MAX_AFTER_S = 3600.0
"""A Retry-After beyond an hour is taken as an hour: the endpoint is asked again rather than forgotten."""

_PASSING = frozenset({408, 425})
_ENDPOINT = {
    401: "the credentials were refused",
    402: "the endpoint asks for payment",
    403: "the credentials are not allowed to post here",
    404: "there is nothing at this URL",
    405: "this URL takes no POST",
    407: "a proxy in between asks for credentials",
    421: "this host does not serve this name",
    451: "the endpoint is blocked for legal reasons",
}


def outcome_of(status: int, headers: Mapping[str, str], excerpt: str, now_s: float) -> TokenSenseError | None:
    """The error to raise for this answer, `None` for success. `excerpt` is the start of the body, shown to users."""
    said = f"HTTP {status}" + (f": {excerpt}" if excerpt else "")
    if 200 <= status < 300:
        return None
    if 300 <= status < 400:
        return EndpointDown(f"HTTP {status}: redirects are not followed; configure the final URL")
    retry_after = headers.get("retry-after")
    if status == 429 or (status == 503 and retry_after is not None):
        return Throttle(said, after=retry_after_s(retry_after, now_s))
    if status >= 500 or status in _PASSING or status < 200:
        return Retry(said)
    if status == 410:
        return EndpointDown(f"{said}; gone for good, so it is not asked again before the next start", gone=True)
    if status in _ENDPOINT:
        return EndpointDown(f"{said}; {_ENDPOINT[status]}")
    return Reject(said)


def retry_after_s(value: str | None, now_s: float) -> float:
    """Seconds to wait, from a Retry-After in whole or broken seconds or as an HTTP-date; the default if unreadable."""
    if value is None:
        return THROTTLE_S
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - now_s
        except (ValueError, TypeError, OverflowError):
            return THROTTLE_S
    if math.isnan(seconds):
        return THROTTLE_S
    return min(max(seconds, 0.0), MAX_AFTER_S)
