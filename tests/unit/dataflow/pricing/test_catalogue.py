"""What calls cost, worked out by hand from the listed prices (USD for a million tokens, genai-prices 0.2.3)."""

import pytest

from tests.unit.dataflow.pricing.calls import call, ns
from tokensense_otel.core.call import CostKind, Tokens
from tokensense_otel.core.money import usd_text
from tokensense_otel.dataflow.pricing import Catalogue
from tokensense_otel.dataflow.pricing import catalogue as module


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return Catalogue.load()


def test_a_plain_call_costs_its_tokens(catalogue: Catalogue) -> None:
    """Input and output are charged at the model's prices, and the cost names the prices it rests on."""
    cost = catalogue.cost(call("gpt-4o", Tokens(1_000, 100, 0)))

    # 1,000 × 2.50 / 10⁶ + 100 × 10 / 10⁶
    assert (cost.kind, usd_text(cost.low), cost.high) == (CostKind.KNOWN, "0.0035", cost.low)
    assert (cost.price_id, cost.catalogue, cost.reason) == ("openai/gpt-4o", catalogue.version, "")


def test_cached_input_is_charged_once_at_its_own_price(catalogue: Catalogue) -> None:
    """Cache reads are part of the input, so only the rest of it is charged at the full price."""
    cost = catalogue.cost(call("gpt-4o", Tokens(1_000, 0, cache_read=600)))

    # 400 × 2.50 + 600 × 1.25
    assert usd_text(cost.low) == "0.00175"
    assert cost.kind is CostKind.KNOWN


@pytest.mark.parametrize(
    ("long", "kind", "low", "high"),
    [
        # 1,000 plain × 3, 100 read × 0.30, 400 written × 3.75 (5 minutes) or × 6 (1 hour), 10 out × 15
        (0, CostKind.KNOWN, "0.00468", "0.00468"),
        (400, CostKind.KNOWN, "0.00558", "0.00558"),
        (100, CostKind.KNOWN, "0.004905", "0.004905"),
        (None, CostKind.ESTIMATED, "0.00468", "0.00558"),
    ],
)
def test_cache_writes_cost_by_their_lifetime(
    catalogue: Catalogue, long: int | None, kind: CostKind, low: str, high: str
) -> None:
    """A cache write is charged for its lifetime; where that was not reported, the cost lies between the two."""
    tokens = Tokens(1_500, 10, cache_read=100, cache_write=400, cache_write_1h=long)
    cost = catalogue.cost(call("claude-sonnet-4-5", tokens, provider="anthropic"))

    assert (cost.kind, usd_text(cost.low), usd_text(cost.high)) == (kind, low, high)
    assert ("lifetime" in cost.reason) == (long is None)


@pytest.mark.parametrize(
    ("tokens", "expected", "price_id"),
    [
        (200_000, "0.615", "anthropic/claude-sonnet-4-5"),  # 200,000 × 3 + 1,000 × 15
        (200_001, "1.222506", "anthropic/claude-sonnet-4-5#over-200000"),  # 200,001 × 6 + 1,000 × 22.50
    ],
)
def test_a_long_context_reprices_the_whole_call(
    catalogue: Catalogue, tokens: int, expected: str, price_id: str
) -> None:
    """One token above the limit, every token of the call is charged at the long-context price."""
    cost = catalogue.cost(call("claude-sonnet-4-5", Tokens(tokens, 1_000), provider="anthropic"))

    assert (usd_text(cost.low), cost.price_id) == (expected, price_id)


def test_cached_tokens_count_towards_the_context_limit(catalogue: Catalogue) -> None:
    """A call is long by all of its input, cached tokens included."""
    cost = catalogue.cost(call("claude-sonnet-4-5", Tokens(200_001, 0, cache_read=200_000), provider="anthropic"))

    assert usd_text(cost.low) == "0.120006"  # 1 × 6 + 200,000 × 0.60


@pytest.mark.parametrize(
    ("moment", "expected", "price_id"),
    [
        ("2025-06-09T23:59:59", "0.05", "openai/o3"),  # 1,000 × 10 + 1,000 × 40
        ("2025-06-10T00:00:00", "0.01", "openai/o3@2025-06-10"),  # 1,000 × 2 + 1,000 × 8
    ],
)
def test_a_call_costs_what_its_day_says(catalogue: Catalogue, moment: str, expected: str, price_id: str) -> None:
    """A price change applies from its UTC day on, and calls before it keep the old price."""
    cost = catalogue.cost(call("o3", Tokens(1_000, 1_000), end_ns=ns(moment)))

    assert (usd_text(cost.low), cost.price_id) == (expected, price_id)


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2026-09-01T00:59:59", "0.00264"),  # 1,000 × 0.66 + 1,000 × 1.98
        ("2026-09-01T01:00:00", "0.00528"),  # 1,000 × 1.32 + 1,000 × 3.96
        ("2026-09-01T03:59:59", "0.00528"),
        ("2026-09-01T04:00:00", "0.00264"),
    ],
)
def test_a_call_costs_what_its_hour_says(catalogue: Catalogue, moment: str, expected: str) -> None:
    """Peak-hour prices apply from their first second to before their last."""
    cost = catalogue.cost(call("deepseek-v4-pro", Tokens(1_000, 1_000), provider="deepseek", end_ns=ns(moment)))

    assert usd_text(cost.low) == expected


@pytest.mark.parametrize(
    ("tier", "kind", "low", "high"),
    [
        ("", CostKind.KNOWN, "0.0125", "0.0125"),
        ("default", CostKind.KNOWN, "0.0125", "0.0125"),
        ("auto", CostKind.KNOWN, "0.0125", "0.0125"),
        ("batch", CostKind.KNOWN, "0.00625", "0.00625"),
        ("priority", CostKind.KNOWN, "0.02125", "0.02125"),
        ("scale", CostKind.ESTIMATED, "0.0125", "0.0125"),
    ],
)
def test_the_service_tier_chooses_the_price(
    catalogue: Catalogue, tier: str, kind: CostKind, low: str, high: str
) -> None:
    """Batch, flex and priority calls cost their own price; a tier without one is an estimate that says so."""
    cost = catalogue.cost(call("gpt-4o", Tokens(1_000, 1_000), tier=tier))

    # standard 2.50/10, batch 1.25/5, priority 4.25/17
    assert (cost.kind, usd_text(cost.low), usd_text(cost.high)) == (kind, low, high)
    assert ("scale" in cost.reason) == (tier == "scale")


@pytest.mark.parametrize(
    ("moment", "kind", "low", "high"),
    [
        ("2026-10-13T23:59:59", CostKind.ESTIMATED, "0.00625", "0.0125"),
        ("2026-10-14T00:00:00", CostKind.KNOWN, "0.00625", "0.00625"),
    ],
)
def test_a_tier_price_before_its_first_listed_day_is_an_estimate(
    catalogue: Catalogue, moment: str, kind: CostKind, low: str, high: str
) -> None:
    """Where the list knows a tier's price only from a later day on, the cost lies between standard and that price."""
    cost = catalogue.cost(call("gpt-4o", Tokens(1_000, 1_000), tier="batch", end_ns=ns(moment)))

    assert (cost.kind, usd_text(cost.low), usd_text(cost.high)) == (kind, low, high)


@pytest.mark.parametrize(
    ("provider", "model", "reason"),
    [
        ("openai", "my-finetune", "model 'my-finetune' of openai has no listed price"),
        ("ollama", "gpt-4o", "provider 'ollama' has no listed prices"),
        ("openai", "", "no model was named"),
        ("openai", "whisper-1", "model 'whisper-1' is not priced by tokens"),
        ("", "house-model", "model 'house-model' has no listed price and no provider was named"),
    ],
)
def test_an_unlisted_model_has_no_cost(catalogue: Catalogue, provider: str, model: str, reason: str) -> None:
    """What has no listed price is unknown with the reason, not free."""
    cost = catalogue.cost(call(model, Tokens(1_000, 100), provider=provider))

    assert (cost.kind, cost.reason) == (CostKind.UNKNOWN, reason)


def test_a_call_without_usage_has_no_cost(catalogue: Catalogue) -> None:
    """A listed model without reported usage is unknown, failed or not."""
    for error in ("", "timeout"):
        cost = catalogue.cost(call("gpt-4o", Tokens(), error=error))
        assert (cost.kind, cost.reason) == (CostKind.UNKNOWN, "usage was not reported")


def test_a_failed_call_that_used_tokens_is_charged(catalogue: Catalogue) -> None:
    """A failure after tokens were used costs what they cost."""
    assert usd_text(catalogue.cost(call("gpt-4o", Tokens(1_000, 100), error="timeout")).low) == "0.0035"


def test_missing_output_is_a_gap_only_where_output_is_made(catalogue: Catalogue) -> None:
    """An embedding's cost is known by its input; a chat without reported output costs at least its input."""
    embedding = catalogue.cost(call("text-embedding-3-small", Tokens(500), operation="embeddings"))
    chat = catalogue.cost(call("gpt-4o", Tokens(500)))

    assert (embedding.kind, usd_text(embedding.low)) == (CostKind.KNOWN, "0.00001")  # 500 × 0.02
    assert (chat.kind, usd_text(chat.low)) == (CostKind.ESTIMATED, "0.00125")  # 500 × 2.50
    assert "output tokens were not reported" in chat.reason


def test_missing_input_is_a_gap(catalogue: Catalogue) -> None:
    """Output alone bounds the cost from below."""
    cost = catalogue.cost(call("gpt-4o", Tokens(output=100)))

    assert (cost.kind, usd_text(cost.low)) == (CostKind.ESTIMATED, "0.001")
    assert "input tokens were not reported" in cost.reason


def test_cache_reads_without_a_listed_price_are_bounded(catalogue: Catalogue) -> None:
    """Cached tokens of a model without a cache price cost nothing at best and the input price at worst."""
    cost = catalogue.cost(call("gpt-4", Tokens(1_000, 0, cache_read=400)))

    # 600 × 30 … 1,000 × 30
    assert (cost.kind, usd_text(cost.low), usd_text(cost.high)) == (CostKind.ESTIMATED, "0.018", "0.03")


def test_cache_writes_without_a_listed_price_cost_the_input_price(catalogue: Catalogue) -> None:
    """A write that the list does not price is charged as input, and the estimate says so."""
    cost = catalogue.cost(call("gpt-4o", Tokens(1_000, 0, cache_write=400)))

    assert (cost.kind, usd_text(cost.low), usd_text(cost.high)) == (CostKind.ESTIMATED, "0.0025", "0.0025")


def test_more_cached_than_sent_is_bounded_by_both_readings(catalogue: Catalogue) -> None:
    """Where cached tokens exceed the input, the input was either wrong or counted without them."""
    cost = catalogue.cost(call("gpt-4o", Tokens(100, 0, cache_read=600)))

    # 600 × 1.25 … 600 × 1.25 + 100 × 2.50
    assert (cost.kind, usd_text(cost.low), usd_text(cost.high)) == (CostKind.ESTIMATED, "0.00075", "0.001")


@pytest.mark.parametrize(
    ("tokens", "possible"),
    [
        (Tokens(-5, 10), False),
        (Tokens(5, -10), False),
        (Tokens(5, 10, cache_read=-1), False),
        (Tokens(5, 10, audio_input=-1), False),
        (Tokens(100_000_000, 100_000_000), True),
        (Tokens(100_000_001, 10), False),
        (Tokens(10, 100_000_001), False),
        (Tokens(10, 10, cache_read=100_000_001), False),
    ],
)
def test_impossible_counts_have_no_cost(catalogue: Catalogue, tokens: Tokens, possible: bool) -> None:
    """Usage below zero or beyond a hundred million tokens a call is unknown rather than a phantom in the sums."""
    cost = catalogue.cost(call("gpt-4o", tokens))

    assert (cost.kind is CostKind.KNOWN) == possible
    assert possible or cost.reason == "usage is impossible"


def test_audio_has_its_own_price(catalogue: Catalogue) -> None:
    """Audio tokens, a part of input and output, are charged as audio where the model lists that."""
    cost = catalogue.cost(call("gpt-4o-realtime-preview", Tokens(1_000, 500, audio_input=400, audio_output=300)))

    # 600 × 5 + 400 × 40 + 200 × 20 + 300 × 80
    assert (cost.kind, usd_text(cost.low)) == (CostKind.KNOWN, "0.047")


def test_cached_audio_is_bounded_where_the_overlap_is_open(catalogue: Catalogue) -> None:
    """How much of the audio was cached is not reported, so the cost lies between all and none of it."""
    cost = catalogue.cost(call("gpt-4o-realtime-preview", Tokens(1_000, 0, cache_read=300, audio_input=400)))

    # none cached: 300 × 5 + 400 × 40 + 300 × 2.50; 300 of it cached: 600 × 5 + 100 × 40 + 300 × 2.50
    assert (cost.kind, usd_text(cost.low), usd_text(cost.high)) == (CostKind.ESTIMATED, "0.00775", "0.01825")


def test_a_fee_for_each_request_is_added(catalogue: Catalogue) -> None:
    """A model with a price per request charges it on top of the tokens."""
    cost = catalogue.cost(call("sonar-pro", Tokens(1_000, 100), provider="perplexity"))

    # 1,000 × 3 + 100 × 15 + 14 / 1,000
    assert usd_text(cost.low) == "0.0185"


def test_reasoning_has_its_own_price_where_listed(catalogue: Catalogue) -> None:
    """Reasoning is output, unless the model lists a price of its own for it."""
    tokens = Tokens(0, 1_000, reasoning=400)

    assert usd_text(catalogue.cost(call("o3", tokens)).low) == "0.008"  # 1,000 × 8
    deep = catalogue.cost(call("sonar-deep-research", tokens, provider="perplexity"))
    assert usd_text(deep.low) == "0.006"  # 600 × 8 + 400 × 3


@pytest.mark.parametrize(
    ("provider", "model", "price_id"),
    [
        ("gcp.gemini", "models/gemini-2.5-pro", "google/gemini-2.5-pro"),
        ("gcp.vertex_ai", "publishers/google/models/gemini-2.5-pro", "google/gemini-2.5-pro"),
        ("gcp.vertex_ai", "claude-opus-4-1@20250805", "google/claude-4-opus"),
        (
            "aws.bedrock",
            "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "aws/regional.anthropic.claude-sonnet-4-5-20250929-v1:0",
        ),
        ("azure.ai.openai", "gpt-4o", "azure/gpt-4o"),
        ("x_ai", "grok-3", "x-ai/grok-3"),
        ("mistral_ai", "mistral-large-latest", "mistral/mistral-large"),
        ("litellm", "anthropic/claude-sonnet-4-5", "anthropic/claude-sonnet-4-5"),
        ("openai", "ft:gpt-4o-2024-08-06:org::id", "openai/ft:gpt-4o"),
    ],
)
def test_names_of_providers_and_models_are_understood(
    catalogue: Catalogue, provider: str, model: str, price_id: str
) -> None:
    """Prefixes, ARNs, versions and OpenTelemetry's provider names lead to the listed model."""
    cost = catalogue.cost(call(model, Tokens(10, 10), provider=provider))

    assert (cost.kind, cost.price_id) == (CostKind.KNOWN, price_id)


def test_a_provider_taken_from_the_model_is_an_estimate(catalogue: Catalogue) -> None:
    """Where nobody named the provider, the model's name tells, and the cost says that it was guessed."""
    cost = catalogue.cost(call("gpt-4o", Tokens(1_000, 100), provider=""))

    assert (cost.kind, usd_text(cost.low)) == (CostKind.ESTIMATED, "0.0035")
    assert "openai" in cost.reason


def test_the_response_model_decides_and_the_request_model_stands_in(catalogue: Catalogue) -> None:
    """What answered is charged; only where it is not listed is the asked model's price an estimate."""
    answered = catalogue.cost(call("gpt-4o", Tokens(1_000, 100), response_model="gpt-4o-mini"))
    hidden = catalogue.cost(call("gpt-4o", Tokens(1_000, 100), response_model="my-deployment"))

    assert (answered.kind, usd_text(answered.low)) == (CostKind.KNOWN, "0.00021")
    assert (hidden.kind, usd_text(hidden.low)) == (CostKind.ESTIMATED, "0.0035")
    assert "my-deployment" in hidden.reason


def test_a_single_token_has_a_cost(catalogue: Catalogue) -> None:
    """One nano-dollar is fine enough for one cached token of the cheapest model: 0.025 USD a million."""
    assert catalogue.cost(call("gpt-4.1-nano", Tokens(1, 0, cache_read=1))).low == 25


def test_the_same_tokens_on_another_model(catalogue: Catalogue) -> None:
    """`cost_as` prices what was used as if another model had answered."""
    expensive = call("gpt-4o", Tokens(1_000, 100), response_model="gpt-4o-2024-08-06")

    assert usd_text(catalogue.cost_as(expensive, "gpt-4o-mini").low) == "0.00021"


def test_unknown_models_do_not_pile_up(catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names from outside are remembered up to a limit, misses included."""
    monkeypatch.setattr(module, "MEMORY", 3)
    for number in range(10):
        catalogue.cost(call(f"stranger-{number}", Tokens(1, 1)))

    assert len(catalogue._plans) <= 3
    first = catalogue.cost(call("stranger-9", Tokens(1, 1)))
    assert first is catalogue.cost(call("stranger-9", Tokens(2, 2)))
