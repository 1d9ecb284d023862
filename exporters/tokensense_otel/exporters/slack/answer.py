"""What Slack says in the body of an answer.

An incoming webhook answers 200 `ok`; errors have a status and a word for a body, but proxies and the Web API put the
same words into a 200 (Slack, "Changes to incoming webhook errors" and "Handling errors").
"""

import msgspec

from tokensense_otel.core.errors import TokenSenseError
from tokensense_otel.exporters.errors import THROTTLE_S, EndpointDown, Reject, Retry, Throttle

_MESSAGE = frozenset(
    {"invalid_payload", "invalid_blocks", "invalid_blocks_format", "no_text", "too_many_attachments", "msg_too_long"}
)
_ENDPOINT = frozenset(
    {
        "account_inactive",
        "action_prohibited",
        "channel_is_archived",
        "channel_not_found",
        "invalid_auth",
        "invalid_token",
        "is_archived",
        "no_active_hooks",
        "no_service",
        "no_team",
        "not_in_channel",
        "posting_to_general_channel_denied",
        "team_disabled",
        "token_revoked",
    }
)
_PASSING = frozenset({"fatal_error", "internal_error", "rollup_error", "service_unavailable"})
_SLOWER = frozenset({"rate_limited", "ratelimited"})


class _Answer(msgspec.Struct):
    ok: bool = True
    error: str = ""
    retry_after: float | None = None


def error_in(body: bytes) -> TokenSenseError | None:
    """The error that a 2xx answer's body names, `None` where it names none (an unreadable body is no error)."""
    answer = _answer(body)
    word = answer.error
    if word in _SLOWER:
        return Throttle(f"Slack says {word}", after=THROTTLE_S if answer.retry_after is None else answer.retry_after)
    if word in _MESSAGE:
        return Reject(f"Slack says {word}")
    if word in _ENDPOINT:
        return EndpointDown(f"Slack says {word}")
    if word in _PASSING:
        return Retry(f"Slack says {word}")
    return Reject(f"Slack says {word or 'that it is not ok'}"[:300]) if not answer.ok else None


def _answer(body: bytes) -> _Answer:
    try:
        return msgspec.json.decode(body, type=_Answer)
    except msgspec.DecodeError:
        return _Answer(error=body.decode("utf-8", "replace").strip())
