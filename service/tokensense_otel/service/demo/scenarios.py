"""Who calls which model, how and when: the demo's traffic as plain data, the same for the same seed.

Each service but the healthy ones is wrong in one way that one rule knows, and in no other, so that an insight can be
told from the others by its rule alone. Amounts lie clearly past the rules' default thresholds, never on them.
"""

from dataclasses import dataclass
from random import Random
from typing import Final, Literal

Transport = Literal["grpc", "http"]

HISTORY_DAYS: Final = 7
HISTORY_CALLS_A_DAY: Final = 30


@dataclass(frozen=True)
class Service:
    """A simulated service. `rule` is what is wrong with it, empty for a healthy one; `why` says it for people."""

    name: str
    team: str
    transport: Transport
    why: str
    rule: str = ""


@dataclass(frozen=True, kw_only=True)
class PlannedCall:
    """One model call. Sent at `at`, a fraction (0…1) of the sending time.

    It ends as it is sent, or, where `days_ago` > 0, at `second` of that earlier UTC day. Tokens are as in the
    OpenTelemetry GenAI conventions: `input_tokens` includes `cached_tokens`.
    """

    service: str
    at: float
    provider: str
    model: str
    response_id: str
    input_tokens: int
    output_tokens: int
    seconds: float
    feature: str = ""
    operation: str = "chat"
    cached_tokens: int = 0
    prompt: str = ""
    streaming: bool = False
    error: str = ""
    days_ago: int = 0
    second: float = 0.0


@dataclass(frozen=True)
class MemoryReading:
    """One invocation's highest memory, `minutes_ago` before it is sent; both amounts in bytes."""

    service: str
    at: float
    minutes_ago: float
    used: int
    allocated: int


@dataclass(frozen=True)
class Plan:
    services: tuple[Service, ...]
    calls: tuple[PlannedCall, ...]
    readings: tuple[MemoryReading, ...]

    @property
    def expected_rules(self) -> frozenset[str]:
        return frozenset(service.rule for service in self.services if service.rule)


SERVICES: Final = (
    Service("checkout-assistant", "checkout", "http", "asks gpt-4o for a yes or a no", "MODEL_MISUSE"),
    Service("contract-review", "legal", "grpc", "tags clauses in three words with claude-opus", "MODEL_DOWNGRADE"),
    Service("support-rag", "support", "http", "pastes whole manuals into each prompt", "LONG_PROMPTS"),
    Service("policy-bot", "support", "grpc", "buys the same prompt again and again, uncached", "CACHE_WASTE"),
    Service("lead-scorer", "growth", "http", "does five days' work in one", "SPIKE"),
    Service("invoice-parser", "platform", "grpc", "a function at a fifth of its memory", "RAM_OVER_PROVISION"),
    Service("code-review", "platform", "grpc", "streams, caches, is rate-limited now and then, and is fine"),
    Service("product-search", "platform", "http", "embeds and ranks, and is fine"),
)

POLICY_PROMPT: Final = (
    "You answer questions about the travel policy. Trips above 500 USD need approval by a manager; trains are "
    "preferred below four hours; hotels are booked through the portal. Question: may I book a hotel myself?"
)

_MIB: Final = 1024 * 1024
_PROVIDER_IDS: Final = {"openai": "chatcmpl", "anthropic": "msg", "gcp.gemini": "gem"}


def plan(seed: int = 7) -> Plan:
    """The whole traffic, in sending order. The same seed gives the same plan."""
    random = Random(seed)
    calls = [
        *_checkout(random),
        *_contracts(random),
        *_support(random),
        *_policy(random),
        *_leads(random),
        *_invoices(random),
        *_code_review(random),
        *_search(random),
    ]
    return Plan(SERVICES, tuple(sorted(calls, key=lambda call: call.at)), tuple(_memory(random)))


def _spread(count: int, begin: float, end: float) -> list[float]:
    """`count` moments from `begin` up to but not including `end`, evenly."""
    return [begin + (end - begin) * index / count for index in range(count)]


def _id(random: Random, provider: str) -> str:
    return f"{_PROVIDER_IDS[provider]}-{random.getrandbits(96):024x}"


def _checkout(random: Random) -> list[PlannedCall]:
    # The 20th call, which fires the rule, is sent early: the first insight comes within seconds.
    moments = _spread(26, 0.0, 0.1) + _spread(14, 0.1, 0.9)
    return [
        PlannedCall(
            service="checkout-assistant",
            at=at,
            feature="address-check",
            provider="openai",
            model="gpt-4o",
            response_id=_id(random, "openai"),
            input_tokens=random.randint(250, 450),
            output_tokens=random.randint(1, 5),
            seconds=random.uniform(0.3, 0.9),
        )
        for at in moments
    ]


def _contracts(random: Random) -> list[PlannedCall]:
    # Drafting earns its model, and keeps the team's average answer long: only the tagging is wrong.
    drafting = [("drafting", at, random.randint(1200, 1800)) for at in _spread(30, 0.0, 0.25)]
    tagging = [("clause-tagging", at, random.randint(8, 40)) for at in _spread(120, 0.35, 0.8)]
    return [
        PlannedCall(
            service="contract-review",
            at=at,
            feature=feature,
            provider="anthropic",
            model="claude-opus-4-5",
            response_id=_id(random, "anthropic"),
            input_tokens=random.randint(600, 1200),
            output_tokens=output,
            seconds=random.uniform(1.0, 8.0),
        )
        for feature, at, output in drafting + tagging
    ]


def _support(random: Random) -> list[PlannedCall]:
    return [
        PlannedCall(
            service="support-rag",
            at=at,
            feature="answers",
            provider="anthropic",
            model="claude-sonnet-4-5",
            response_id=_id(random, "anthropic"),
            input_tokens=random.randint(9_000, 14_000),
            output_tokens=random.randint(250, 500),
            seconds=random.uniform(2.0, 6.0),
            streaming=True,
        )
        for at in _spread(32, 0.45, 0.65)
    ]


def _policy(random: Random) -> list[PlannedCall]:
    return [
        PlannedCall(
            service="policy-bot",
            at=at,
            feature="travel-policy",
            provider="openai",
            model="gpt-4.1-mini",
            response_id=_id(random, "openai"),
            input_tokens=1_850,
            output_tokens=random.randint(120, 220),
            seconds=random.uniform(0.8, 2.0),
            prompt=POLICY_PROMPT,
        )
        for at in _spread(64, 0.2, 0.45)
    ]


def _leads(random: Random) -> list[PlannedCall]:
    past = _spread(HISTORY_DAYS * HISTORY_CALLS_A_DAY, 0.0, 0.05)
    history = [(at, 1 + index % HISTORY_DAYS) for index, at in enumerate(past)]
    today = [(at, 0) for at in _spread(5 * HISTORY_CALLS_A_DAY, 0.08, 0.3)]
    return [
        PlannedCall(
            service="lead-scorer",
            at=at,
            feature="scoring",
            provider="openai",
            model="gpt-4o-mini",
            response_id=_id(random, "openai"),
            input_tokens=random.randint(400, 900),
            output_tokens=random.randint(150, 300),
            seconds=random.uniform(0.5, 2.0),
            days_ago=days_ago,
            second=random.uniform(8 * 3600, 18 * 3600),
        )
        for at, days_ago in history + today
    ]


def _invoices(random: Random) -> list[PlannedCall]:
    return [
        PlannedCall(
            service="invoice-parser",
            at=at,
            feature="invoices",
            provider="gcp.gemini",
            model="gemini-2.5-flash",
            response_id=_id(random, "gcp.gemini"),
            input_tokens=random.randint(900, 1_500),
            output_tokens=random.randint(200, 350),
            seconds=random.uniform(1.0, 3.0),
        )
        for at in _spread(24, 0.05, 0.85)
    ]


def _code_review(random: Random) -> list[PlannedCall]:
    calls = []
    for index, at in enumerate(_spread(40, 0.02, 0.9)):
        limited = index % 10 == 9
        calls.append(
            PlannedCall(
                service="code-review",
                at=at,
                feature="pull-requests",
                provider="anthropic",
                model="claude-sonnet-4-5",
                response_id="" if limited else _id(random, "anthropic"),
                input_tokens=0 if limited else random.randint(1_500, 1_900),
                output_tokens=0 if limited else random.randint(500, 900),
                cached_tokens=0 if limited else 1_200,
                seconds=0.2 if limited else random.uniform(3.0, 9.0),
                streaming=True,
                error="rate_limit_error" if limited else "",
            )
        )
    return calls


def _search(random: Random) -> list[PlannedCall]:
    calls = []
    for index, at in enumerate(_spread(60, 0.02, 0.9)):
        ranking = index % 3 == 2
        calls.append(
            PlannedCall(
                service="product-search",
                at=at,
                feature="ranking" if ranking else "indexing",
                provider="gcp.gemini" if ranking else "openai",
                model="gemini-2.5-flash-lite" if ranking else "text-embedding-3-small",
                response_id=_id(random, "gcp.gemini") if ranking else "",
                operation="chat" if ranking else "embeddings",
                input_tokens=random.randint(200, 1_200),
                output_tokens=random.randint(120, 200) if ranking else 0,
                seconds=random.uniform(0.1, 1.0),
            )
        )
    return calls


def _memory(random: Random) -> list[MemoryReading]:
    """Two hours of invocations of one function: 25 readings, five minutes apart, at 18 to 22 % of 1 GiB."""
    return [
        MemoryReading(
            service="invoice-parser",
            at=0.84 + 0.002 * index,
            minutes_ago=5.0 * (24 - index),
            used=random.randint(184, 225) * _MIB,
            allocated=1024 * _MIB,
        )
        for index in range(25)
    ]
