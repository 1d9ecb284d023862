"""The table from an HTTP answer to an outcome, over every status, and the forms of Retry-After."""

import pytest

from tokensense_otel.exporters import EndpointDown, Reject, Retry, Throttle
from tokensense_otel.exporters.http.outcome import outcome_of, retry_after_s

NOW = 1_767_268_800.0
"""2026-01-01T12:00:00Z."""

ENDPOINT = {*range(300, 400), 401, 402, 403, 404, 405, 407, 410, 421, 451}
RETRY = {*range(100, 200), 408, 425, *range(500, 600)}


@pytest.mark.parametrize("status", range(100, 600))
def test_every_status_has_one_outcome(status: int) -> None:
    """2xx succeeds, 429 throttles, what a person has to mend pauses, passing trouble is retried, the rest is bad."""
    error = outcome_of(status, {}, "", NOW)
    if 200 <= status < 300:
        assert error is None
    elif status == 429:
        assert type(error) is Throttle
    elif status in ENDPOINT:
        assert type(error) is EndpointDown
    elif status in RETRY:
        assert type(error) is Retry
    else:
        assert type(error) is Reject


def test_gone_is_the_only_one_that_ends_it() -> None:
    """410 stops the endpoint until the next start, 404 does not."""
    gone, missing = outcome_of(410, {}, "", NOW), outcome_of(404, {}, "", NOW)
    assert isinstance(gone, EndpointDown)
    assert gone.gone
    assert isinstance(missing, EndpointDown)
    assert not missing.gone


def test_unavailable_with_a_time_is_a_throttle() -> None:
    """503 with Retry-After holds the endpoint, 503 without and 500 with it are retries."""
    assert isinstance(outcome_of(503, {"retry-after": "7"}, "", NOW), Throttle)
    assert isinstance(outcome_of(503, {}, "", NOW), Retry)
    assert isinstance(outcome_of(500, {"retry-after": "7"}, "", NOW), Retry)


def test_the_answer_is_shown() -> None:
    """The start of the body is part of what the user reads."""
    assert str(outcome_of(400, {}, "invalid_blocks", NOW)) == "HTTP 400: invalid_blocks"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("3", 3.0),
        ("0.5", 0.5),
        (" 120 ", 120.0),
        ("0", 0.0),
        ("-1", 0.0),
        ("3600", 3600.0),
        ("3601", 3600.0),
        ("1e9", 3600.0),
        ("inf", 3600.0),
        ("nan", 30.0),
        ("soon", 30.0),
        ("", 30.0),
        (None, 30.0),
        ("Thu, 01 Jan 2026 12:00:45 GMT", 45.0),
        ("Thu, 01 Jan 2026 11:00:00 GMT", 0.0),
        ("Fri, 02 Jan 2026 12:00:00 GMT", 3600.0),
        ("Thu, 32 Jan 2026 12:00:00 GMT", 30.0),
        ("Thu, 01 Jan 99999 12:00:00 GMT", 30.0),
    ],
)
def test_every_form_of_retry_after(value: str | None, seconds: float) -> None:
    """Seconds whole or broken and HTTP-dates are read, capped at an hour; what cannot be read is half a minute."""
    assert retry_after_s(value, NOW) == seconds
