"""What keeps an insight from being told: a silence, an acknowledgement, a maintenance window. Who, why, until when.

A silence is about insights that match, an acknowledgement about one episode. Both gate firings and updates only: the
end of a finding that somebody was told of is always told. Matchers are those of Prometheus' Alertmanager.
"""

import re
from collections.abc import Iterable
from enum import StrEnum
from functools import lru_cache
from typing import Final, Literal

import msgspec

from tokensense_otel.core.insight import Insight

MOST_CHARS: Final = 500
"""Of a matcher's value, a name or a reason."""

Operator = Literal["=", "!=", "=~", "!~"]

_MATCHER: Final = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_.-]*)\s*(=~|!~|!=|=)\s*(.*?)\s*", re.DOTALL)


class Matcher(msgspec.Struct, frozen=True, array_like=True):
    """`team=payments`, `rule!=SPIKE`, `model=~gpt-4.*`: regular expressions match the whole value.

    Names are `rule`, `severity`, `tenant`, `project`, `episode`, and what an insight's scope has (`team`, `model` …).
    One that an insight lacks has the empty value.
    """

    name: str
    operator: Operator
    value: str

    def holds(self, insight: Insight) -> bool:
        found = label(insight, self.name)
        if self.operator in ("=", "!="):
            return (found == self.value) is (self.operator == "=")
        return (_pattern(self.value).fullmatch(found) is not None) is (self.operator == "=~")

    def __str__(self) -> str:
        return f"{self.name}{self.operator}{self.value}"


class MuteKind(StrEnum):
    SILENCE = "silence"
    ACKNOWLEDGEMENT = "acknowledgement"


class Mute(msgspec.Struct, frozen=True, kw_only=True):
    """A silence or an acknowledgement. Times are Unix nanoseconds, [from, to); all matchers have to hold."""

    id: str
    kind: MuteKind
    matchers: tuple[Matcher, ...]
    starts_ns: int
    ends_ns: int
    by: str
    reason: str
    created_ns: int

    def covers(self, insight: Insight, now_ns: int) -> bool:
        return self.starts_ns <= now_ns < self.ends_ns and matches(self.matchers, insight)


def matches(matchers: Iterable[Matcher], insight: Insight) -> bool:
    """Whether all of them hold; true where there are none."""
    return all(matcher.holds(insight) for matcher in matchers)


def label(insight: Insight, name: str) -> str:
    """What a matcher's name stands for in an insight."""
    match name:
        case "rule" | "tenant" | "project":
            return str(getattr(insight, name))
        case "severity":
            return insight.severity.value
        case "episode":
            return insight.episode_id
        case _:
            return insight.scope.get(name, "")


def parse_matcher(text: str) -> Matcher:
    """A matcher as people write it.

    >>> str(parse_matcher('team =~ "pay.*"'))
    'team=~pay.*'

    Raises:
        ValueError: with what to write instead.
    """
    found = _MATCHER.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no matcher; write name=value, name!=value, name=~pattern or name!~pattern")
    name, operator, value = found[1], found[2], found[3]
    if len(value) >= 2 and value[0] == value[-1] == '"':
        value = value[1:-1]
    if len(value) > MOST_CHARS:
        raise ValueError(f"the value of {name} is longer than {MOST_CHARS} characters; write a shorter one")
    if operator in ("=~", "!~"):
        try:
            _pattern(value)
        except re.error as error:
            raise ValueError(f"{value!r} is no regular expression ({error}); escape what is meant literally") from None
    return msgspec.convert((name, operator, value), Matcher)


@lru_cache(maxsize=1024)
def _pattern(value: str) -> re.Pattern[str]:
    return re.compile(value, re.DOTALL)
