"""A shard of the rules under test, and calls to feed it. Time starts at a Monday's midnight, UTC."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from tokensense_otel.core.call import Call, Dimensions, Posting, Tokens
from tokensense_otel.core.insight import Insight, Status
from tokensense_otel.dataflow.facts import MemorySample
from tokensense_otel.dataflow.pricing import Catalogue
from tokensense_otel.dataflow.rules import RuleSet, RuleShard
from tokensense_otel.dataflow.rules.config import RulesConfig
from tokensense_otel.dataflow.rules.registry import RULES

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
MIDNIGHT = int(datetime(2026, 11, 2, tzinfo=UTC).timestamp()) * SECOND
NOON = MIDNIGHT + 12 * HOUR

CATALOGUE = Catalogue.load()


def only(rule: str, **options: Any) -> RuleSet:
    """A rule set in which one rule is on."""
    off: dict[str, Any] = {name: {"enabled": name == rule} for name in RULES}
    off[rule] |= options
    return RuleSet(RulesConfig.model_validate(off))


def a_call(number: int, end_ns: int = NOON, **changes: Any) -> Call:
    """A successful call of team `checkout`: gpt-4o, 1,000 tokens in, 50 out, priced by the catalogue."""
    where = {"team": changes.pop("team", "checkout"), "feature": changes.pop("feature", "")}
    where["service"] = changes.pop("service", "")
    call = Call(
        trace_id=number.to_bytes(16, "big"),
        span_id=number.to_bytes(8, "big"),
        start_ns=end_ns - SECOND,
        end_ns=end_ns,
        provider="openai",
        request_model="gpt-4o",
        tokens=Tokens(1_000, 50),
        dimensions=Dimensions(**where),
    )
    call = msgspec.structs.replace(call, **changes)
    return msgspec.structs.replace(call, cost=CATALOGUE.cost(call))


def calls(count: int, *, start: int = NOON, step: int = SECOND, first: int = 1, **changes: Any) -> list[Call]:
    """`count` equal calls, `step` apart."""
    return [a_call(first + index, start + index * step, **changes) for index in range(count)]


def flagship(count: int, **changes: Any) -> list[Call]:
    """Calls of claude-opus-4-1 by the feature `titles`."""
    plain: dict[str, Any] = {"provider": "anthropic", "request_model": "claude-opus-4-1", "feature": "titles"}
    return calls(count, **plain | changes)


def a_sample(time_ns: int, **changes: Any) -> MemorySample:
    """A container with a limit of 1,000 bytes that uses 100."""
    sample = MemorySample(
        tenant="default",
        project="default",
        entity="container/web",
        scope=(("container", "web"),),
        time_ns=time_ns,
        used=100,
        limit=1_000,
        source="container.memory.working_set",
    )
    return msgspec.structs.replace(sample, **changes)


class Shard:
    """A `RuleShard` and everything it told. Log time is event time unless a test says otherwise."""

    def __init__(self, rules: RuleSet | None = None) -> None:
        self.rules = rules or RuleSet()
        self.shard = RuleShard(self.rules, CATALOGUE)
        self.told: list[Insight] = []

    def post(self, some: Iterable[Call], sign: int = 1, now_ns: int | None = None) -> list[Insight]:
        """Post calls one by one; what that told."""
        before = len(self.told)
        for call in some:
            self.told += self.shard.ingest([Posting(sign, call)], [], call.end_ns if now_ns is None else now_ns)
        return self.told[before:]

    def reverse(self, some: Iterable[Call], now_ns: int | None = None) -> list[Insight]:
        return self.post(some, -1, now_ns)

    def sample(self, some: Iterable[MemorySample]) -> list[Insight]:
        before = len(self.told)
        for each in some:
            self.told += self.shard.ingest([], [each], each.time_ns)
        return self.told[before:]

    def advance(self, now_ns: int) -> list[Insight]:
        """Let time pass as a caller with one timer does; what that told."""
        before = len(self.told)
        while (wake := self.shard.next_wake()) is not None and wake <= now_ns:
            self.told += self.shard.advance(wake)
        return self.told[before:]

    def crash(self) -> None:
        """Die and come back from the last snapshot, taken now."""
        self.shard = RuleShard.restore(self.rules, CATALOGUE, self.shard.snapshot())


def statuses(told: Iterable[Insight]) -> list[Status]:
    return [insight.status for insight in told]


def observed(insight: Insight) -> Mapping[str, Any]:
    found: Mapping[str, Any] = insight.evidence["observed"]
    return found
