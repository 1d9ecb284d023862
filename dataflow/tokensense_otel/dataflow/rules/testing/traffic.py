"""Calls to try rules on: plain ones, and a few days of traffic that has something for every rule."""

import random
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final

import msgspec

from tokensense_otel.core.call import Call, Dimensions, Tokens
from tokensense_otel.dataflow.pricing import Catalogue

SECOND: Final = 1_000_000_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
START: Final = int(datetime(2026, 11, 2, tzinfo=UTC).timestamp()) * SECOND
"""A Monday's midnight."""

CATALOGUE: Final = Catalogue.load()
_MODELS: Final = (
    ("openai", "gpt-4o"),
    ("openai", "gpt-4o-mini"),
    ("anthropic", "claude-opus-4-1"),
    ("anthropic", "claude-sonnet-4-5"),
    ("ollama", "somebody-s-own-model"),
)


def a_call(number: int, end_ns: int = START, **changes: Any) -> Call:
    """A successful call that took a second: gpt-4o, 1,000 tokens in, 50 out, priced. `team` and the other dimensions
    are taken by their names."""
    where = {name: changes.pop(name) for name in Dimensions.__struct_fields__ if name in changes}
    plain: dict[str, Any] = {
        "start_ns": end_ns - SECOND,
        "provider": "openai",
        "request_model": "gpt-4o",
        "tokens": Tokens(1_000, 50),
    }
    call = Call(
        trace_id=number.to_bytes(16, "big"),
        span_id=number.to_bytes(8, "big"),
        end_ns=end_ns,
        dimensions=Dimensions(**{"team": "checkout", **where}),
        **plain | changes,
    )
    return msgspec.structs.replace(call, cost=CATALOGUE.cost(call))


def calls(count: int, *, start: int = START, step: int = SECOND, first: int = 1, **changes: Any) -> list[Call]:
    """`count` equal calls, `step` apart."""
    return [a_call(first + index, start + index * step, **changes) for index in range(count)]


@cache
def busy(seed: int = 1, days: int = 12) -> tuple[Call, ...]:
    """Two teams, five models, quiet days and then a busy one: short answers and long prompts, repeats, failures that
    are tried again, answers cut off, reasoning, models without a price, calls of nobody. In the order of their ends.

    From a seed, so that a failure can be looked at again.
    """
    chance = random.Random(seed)
    made: list[Call] = []
    for day in range(days):
        for _ in range(40 if day < days - 1 else 400):
            made.append(_some_call(chance, len(made) + 1, START + day * DAY + chance.randrange(8 * HOUR, 20 * HOUR)))
    return tuple(sorted(made, key=lambda call: (call.end_ns, call.span_id)))


def _some_call(chance: random.Random, number: int, end_ns: int) -> Call:
    provider, model = chance.choice(_MODELS)
    size = chance.choice((200, 3_000, 12_000))
    output = chance.choice((3, 40, 900))
    failed = chance.random() < 0.15
    told = chance.random() < 0.95
    tokens = Tokens(
        size,
        output,
        cache_read=chance.choice((None, 0, size // 2)),
        cache_write=chance.choice((None, 0, size // 4)),
        reasoning=chance.choice((None, 0, output // 2)),
    )
    return a_call(
        number,
        end_ns,
        team=chance.choice(("checkout", "search", "")),
        feature=chance.choice(("titles", "")),
        service="shop",
        user=f"user-{chance.randrange(30)}",
        session=f"session-{chance.randrange(8)}",
        provider=provider,
        request_model=model,
        tokens=tokens if told and not failed else Tokens(),
        error_type="500" if failed else "",
        finish_reason="" if failed else chance.choice(("stop", "length", "")),
        prompt_hash=f"prompt-{chance.randrange(6)}" if chance.random() < 0.7 else "",
        prefix_hash=f"prefix-{chance.randrange(3)}",
        start_ns=end_ns - chance.randrange(SECOND // 2, 30 * SECOND),
        first_token_ns=chance.choice((None, SECOND // 4)),
        streaming=chance.random() < 0.5,
    )
