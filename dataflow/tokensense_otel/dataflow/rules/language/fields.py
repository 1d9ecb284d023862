"""What a rule can group calls by and filter them with."""

import re
from collections.abc import Callable, Mapping
from fnmatch import translate
from typing import Any, Final

from tokensense_otel.core.call import UNATTRIBUTED, Call

Wanted = str | bool | tuple[str, ...]
"""One value, or any of several; `*` and `?` stand for any characters."""

DIMENSIONS: Final = ("team", "feature", "environment", "service", "user", "session", "agent")

FIELDS: Final[dict[str, Callable[[Call], str]]] = {
    "team": lambda call: call.dimensions.team or UNATTRIBUTED,
    "feature": lambda call: call.dimensions.feature or UNATTRIBUTED,
    "environment": lambda call: call.dimensions.environment or UNATTRIBUTED,
    "service": lambda call: call.dimensions.service or UNATTRIBUTED,
    "user": lambda call: call.dimensions.user or UNATTRIBUTED,
    "session": lambda call: call.dimensions.session or UNATTRIBUTED,
    "agent": lambda call: call.dimensions.agent or UNATTRIBUTED,
    "provider": lambda call: call.provider,
    "model": lambda call: call.response_model or call.request_model,
    "operation": lambda call: call.operation,
    "outcome": lambda call: "error" if call.error_type else "ok",
    "error_type": lambda call: call.error_type,
    "finish_reason": lambda call: call.finish_reason,
    "service_tier": lambda call: call.service_tier,
    "streaming": lambda call: "true" if call.streaming else "false",
    "dialect": lambda call: call.dialect,
    "prompt_hash": lambda call: call.prompt_hash,
    "prefix_hash": lambda call: call.prefix_hash,
}

Test = Callable[[Call], bool]


def tests(where: Mapping[str, Wanted], unless: Mapping[str, Wanted]) -> tuple[Test, ...]:
    """What a call has to pass, each on its own."""
    return (
        *(_test(FIELDS[name], _values(wanted), True) for name, wanted in where.items()),
        *(_test(FIELDS[name], _values(wanted), False) for name, wanted in unless.items()),
    )


def _values(wanted: Wanted) -> tuple[str, ...]:
    if isinstance(wanted, bool):
        return ("true" if wanted else "false",)
    return (wanted,) if isinstance(wanted, str) else wanted


def _test(read: Callable[[Call], str], values: tuple[str, ...], passes: bool) -> Test:
    patterns = [value for value in values if "*" in value or "?" in value]
    exact = frozenset(values).difference(patterns)
    if not patterns:
        return (lambda call: read(call) in exact) if passes else (lambda call: read(call) not in exact)
    matches: Any = re.compile("|".join(translate(pattern) for pattern in patterns)).match

    def test(call: Call) -> bool:
        value = read(call)
        return (value in exact or matches(value) is not None) is passes

    return test
