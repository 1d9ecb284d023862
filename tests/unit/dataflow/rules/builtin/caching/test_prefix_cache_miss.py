"""PREFIX_CACHE_MISS: each of its three causes on both sides of what it compares, and what must stay silent."""

from typing import Any

import pytest

from tests.unit.dataflow.rules.traffic import DAY, HOUR, MINUTE, NOON, SECOND, Shard, a_call, observed, only, statuses
from tokensense_otel.core.call import Call, Tokens
from tokensense_otel.core.insight import Insight, Severity, Status

SONNET: dict[str, Any] = {"provider": "anthropic", "request_model": "claude-sonnet-4-5"}


def misses(**options: Any) -> Shard:
    return Shard(only("PREFIX_CACHE_MISS", **options))


def prompts(
    count: int, tokens: Tokens, *, start: int = NOON, step: int = 30 * SECOND, first: int = 1, **changes: Any
) -> list[Call]:
    """Different prompts of the feature `answers`, all with one beginning."""
    plain: dict[str, Any] = {"feature": "answers", "prefix_hash": "begin", "tokens": tokens}
    return [
        a_call(first + number, start + number * step, **(plain | {"prompt_hash": f"p{first + number}"} | changes))
        for number in range(count)
    ]


def days_before(shard: Shard, tokens: Tokens, days: int = 3, a_day: int = 240, **changes: Any) -> None:
    """Two days and more of traffic around the clock, up to noon: ten an hour."""
    count = days * a_day
    step = days * DAY // count
    assert shard.post(prompts(count, tokens, start=NOON - days * DAY, step=step, first=100_000, **changes)) == []


def causes(told: list[Insight]) -> list[str]:
    return [observed(insight)["cause"] for insight in told if insight.status is Status.FIRING]


class TestNever:
    """Beginnings repeat and nothing is cached."""

    def test_it_fires_at_the_fiftieth_repeat(self) -> None:
        """Fifty-six calls in half an hour are fifty repeats within five minutes; the one before fires nothing."""
        shard = misses()
        # ten calls in each five minutes, of which nine repeat: the fiftieth repeat is the sixth of the sixth ones
        assert shard.post(prompts(55, Tokens(3_000, 10, 0))) == []

        (insight,) = shard.post(prompts(1, Tokens(3_000, 10, 0), start=NOON + 55 * 30 * SECOND, first=56))
        assert (insight.severity, insight.status) == (Severity.MEDIUM, Status.FIRING)
        assert insight.scope == {"team": "checkout", "model": "gpt-4o", "feature": "answers"}
        seen = observed(insight)
        assert (seen["cause"], seen["calls"], seen["repeated_beginnings"], seen["hit_rate"]) == ("never", 56, 50, 0.0)
        # each repeat could have read 1,024 tokens for 1.25 less a million
        assert insight.evidence["lost_in_window_usd"] == "0.064"
        assert insight.estimated_monthly_savings_usd == "0.064"

    @pytest.mark.parametrize("cached", [None, 31], ids=["not reported", "one per cent cached"])
    def test_what_is_not_reported_is_not_zero(self, cached: int | None) -> None:
        """Calls that do not say what was cached never fire it, nor do calls of which one per cent was."""
        assert misses().post(prompts(200, Tokens(3_000, 10, cached), step=10 * SECOND)) == []

    def test_a_trace_of_caching_does_not_silence_it(self) -> None:
        """Below one per cent of the tokens the cache counts as never used."""
        assert causes(misses().post(prompts(200, Tokens(3_000, 10, 29), step=10 * SECOND))) == ["never"]

    @pytest.mark.parametrize(("length", "fires"), [(1_023, False), (1_024, True)])
    def test_the_prompt_has_to_be_long_enough_for_the_cache(self, length: int, fires: bool) -> None:
        """OpenAI caches from 1,024 tokens on; a shorter prompt is nobody's fault."""
        assert bool(misses().post(prompts(200, Tokens(length, 10, 0), step=10 * SECOND))) == fires

    @pytest.mark.parametrize(
        ("provider", "model"),
        [("anthropic", "claude-haiku-4-5"), ("openai", "gpt-4"), ("groq", "llama-3.3-70b-versatile")],
    )
    def test_caches_that_need_more_than_the_hash_covers_are_not_judged(self, provider: str, model: str) -> None:
        """Haiku 4.5 needs 4,096 tokens, others have no cache that we know of: equal beginnings prove nothing there."""
        sent = prompts(200, Tokens(9_000, 10, 0), step=10 * SECOND, provider=provider, request_model=model)
        assert misses().post(sent) == []

    def test_longer_hashes_can_be_told_to_be_longer(self) -> None:
        """Who sends hashes of 4,096 tokens says so, and Haiku 4.5 is judged."""
        sent = prompts(
            200, Tokens(9_000, 10, 0), step=10 * SECOND, provider="anthropic", request_model="claude-haiku-4-5"
        )
        told = misses(prefix_tokens=4_096).post(sent)
        assert causes(told) == ["never"]
        assert "cache_control" in told[0].suggested_fix

    @pytest.mark.parametrize(
        "changes",
        [
            {"step": 6 * MINUTE},
            {"prefix_hash": ""},
            {"prompt_hash": "same"},
            {"error_type": "429"},
            {"operation": "embeddings"},
        ],
        ids=["too far apart", "no hash", "whole prompts repeat", "failed", "embeddings"],
    )
    def test_what_no_prompt_cache_could_serve_is_silent(self, changes: dict[str, Any]) -> None:
        """Prompts further apart than the cache lives, without hashes, equal as a whole (CACHE_WASTE's), failed or no
        text."""
        step = changes.get("step", 10 * SECOND)
        rest = {name: value for name, value in changes.items() if name != "step"}
        assert misses().post(prompts(400, Tokens(3_000, 10, 0), step=step, **rest)) == []

    def test_different_beginnings_do_not_add_up(self) -> None:
        """A beginning of its own for each prompt repeats nothing."""
        sent = [
            call
            for number in range(200)
            for call in prompts(
                1, Tokens(3_000, 10, 0), start=NOON + number * SECOND, first=number, prefix_hash=f"b{number}"
            )
        ]
        assert misses().post(sent) == []

    def test_features_are_kept_apart(self) -> None:
        """Forty-nine repeats in each of two features are none too many in either."""
        shard = misses()
        for feature in ("a", "b"):
            assert shard.post(prompts(50, Tokens(3_000, 10, 0), step=SECOND, feature=feature)) == []

    def test_reversals_take_repeats_out(self) -> None:
        """Fifty calls that were taken back leave no repeat of theirs behind."""
        shard = misses()
        wrong = prompts(30, Tokens(3_000, 10, 0), step=SECOND, first=500)
        shard.post(wrong)
        shard.reverse(wrong)

        assert shard.post(prompts(50, Tokens(3_000, 10, 0), step=SECOND)) == []
        assert causes(shard.post(prompts(1, Tokens(3_000, 10, 0), start=NOON + MINUTE, first=90))) == ["never"]

    def test_it_is_over_when_the_cache_serves(self) -> None:
        """Cached prompts end it, an hour after the last of those before have left the window."""
        shard = misses()
        assert statuses(shard.post(prompts(100, Tokens(3_000, 10, 0), step=10 * SECOND))) == [Status.FIRING]
        told = shard.post(prompts(400, Tokens(3_000, 10, 2_048), start=NOON + HOUR, step=30 * SECOND, first=1_000))
        assert statuses(told) == [Status.RESOLVED]


class TestFell:
    """The hit rate is far below that of the days before."""

    # 80 % of 5,000 tokens were cached for three days.
    BEFORE = Tokens(5_000, 10, 4_000)

    def test_a_deploy_that_breaks_the_prefix_is_found_and_named(self) -> None:
        """Within half an hour it fires, and says since when and with which version."""
        shard = misses()
        days_before(shard, self.BEFORE, version="1.0")
        told = shard.post(
            prompts(60, Tokens(5_000, 10, 0), start=NOON + MINUTE, version="1.1", prefix_hash="", prompt_hash="")
        )

        assert causes(told) == ["fell"]
        seen = observed(told[0])
        # At 12:30 the hour from 11:45 on has two calls from before noon and the 59 since: 2 × 4,000 of 61 × 5,000.
        # A quarter of an hour earlier five of the usual ten were still cached, which is not less than half.
        assert seen["recent"] == {"from": "2026-11-02T11:45:00Z", "calls": 61, "hit_rate": 0.026}
        assert (seen["baseline_hit_rate"], seen["since"]) == (0.8, "2026-11-02T12:00:00Z")
        assert seen["since_version"] == "1.1"
        assert [version["version"] for version in seen["versions"]] == ["1.0", "1.1"]
        assert "version 1.1" in told[0].summary

    def test_with_little_traffic_the_newest_thirty_calls_are_judged(self) -> None:
        """At six calls an hour, more than half of the newest thirty are uncached after two hours and a half."""
        shard = misses()
        days_before(shard, self.BEFORE, days=6, a_day=144, version="1.0")
        told = shard.post(
            prompts(60, Tokens(5_000, 10, 0), start=NOON + 5 * MINUTE, step=10 * MINUTE, version="1.1", prefix_hash="")
        )

        # 16 new and 14 old ones: 14 × 4,000 of 30 × 5,000; with one less it is 40 %, half of what it was
        assert causes(told) == ["fell"]
        assert observed(told[0])["recent"]["calls"] == 31
        assert (told[0].started_at, observed(told[0])["since_version"]) == ("2026-11-02T14:35:00Z", "1.1")

    def test_a_low_hit_rate_needs_more_calls(self) -> None:
        """A rate of 30 % varies more than one of 80 %: 234 calls are needed to see it halved, not thirty."""
        shard = misses(recent="15m")
        days_before(shard, Tokens(5_000, 10, 1_500), a_day=2_880)
        told = shard.post(prompts(300, Tokens(5_000, 10, 0), start=NOON, step=30 * SECOND, prefix_hash=""))

        # 25 × 0.7 / (0.3 × 0.5²) = 233.3
        assert causes(told) == ["fell"]
        assert observed(told[0])["recent"]["calls"] >= 234

    def test_after_a_long_incident_it_is_over_once(self) -> None:
        """When the cache works again after three days, the finding resolves and does not come back."""
        shard = misses()
        days_before(shard, self.BEFORE, days=7, a_day=144)
        bad = prompts(432, Tokens(5_000, 10, 0), start=NOON, step=10 * MINUTE, prefix_hash="")
        good = prompts(300, self.BEFORE, start=NOON + 3 * DAY, step=10 * MINUTE, first=2_000, prefix_hash="")
        told = shard.post([*bad, *good])

        kinds = [status for status in statuses(told) if status is not Status.UPDATE]
        assert kinds == [Status.FIRING, Status.RESOLVED]
        assert told[-1].resolved_at is not None
        assert "2026-11-05T14" <= told[-1].resolved_at <= "2026-11-05T18"

    @pytest.mark.parametrize("version", ["1.0", ""])
    def test_without_a_new_version_none_is_suspected(self, version: str) -> None:
        """The version that was there before, or none at all, is not to blame."""
        shard = misses()
        days_before(shard, self.BEFORE, version=version)
        told = shard.post(prompts(90, Tokens(5_000, 10, 0), start=NOON + MINUTE, version=version, prefix_hash=""))

        assert observed(told[0])["since_version"] is None
        assert "version" not in told[0].summary

    @pytest.mark.parametrize(("cached", "fires"), [(2_000, False), (1_900, True)])
    def test_it_has_to_fall_by_more_than_half(self, cached: int, fires: bool) -> None:
        """From 80 % to 40 % is not below half of it; 38 % is."""
        shard = misses()
        days_before(shard, self.BEFORE, a_day=2_880)
        # the same traffic goes on; at 13:00 nothing of the time before is left in the window
        later = prompts(130, Tokens(5_000, 10, cached), prefix_hash="")
        assert bool(causes(shard.post(later))) == fires

    def test_the_loss_is_what_the_old_hit_rate_would_have_spared(self) -> None:
        """Eighty per cent of the input at 1.25 less a million, for the calls since it fell."""
        shard = misses(min_drop=0.95)
        days_before(shard, self.BEFORE)
        # Between noon and two nothing is sent, so all of the newest thirty are from then on.
        told = shard.post(prompts(240, Tokens(5_000, 10, 0), start=NOON + 2 * HOUR, step=15 * SECOND, prefix_hash=""))

        assert causes(told) == ["fell"]
        fired = told[0]
        assert observed(fired)["recent"] == {"from": "2026-11-02T13:15:00Z", "calls": 30, "hit_rate": 0.0}
        # 30 × 5,000 × 0.8 × (2.50 − 1.25), by the million
        assert fired.evidence["lost_in_window_usd"] == "0.15"
        assert fired.estimated_monthly_savings_usd == "0.15"

    @pytest.mark.parametrize(
        ("before", "a_day"),
        [(Tokens(5_000, 10, 900), 240), (Tokens(5_000, 10), 240), (Tokens(5_000, 10, 4_000), 60)],
        ids=["18 % were cached", "nobody said what was cached", "too few calls"],
    )
    def test_without_a_baseline_nothing_fell(self, before: Tokens, a_day: int) -> None:
        """Too little cached, unknown, or too few calls before: there is nothing to compare with."""
        shard = misses()
        days_before(shard, before, a_day=a_day)
        assert shard.post(prompts(100, Tokens(5_000, 10, 0), start=NOON + HOUR, prefix_hash="")) == []

    def test_a_cold_start_that_recovers_is_silent(self) -> None:
        """After a deploy the first quarter of an hour misses, then the cache is warm again."""
        shard = misses()
        days_before(shard, self.BEFORE, a_day=2_880, version="1.0")
        cold = prompts(30, Tokens(5_000, 10, 0), start=NOON + MINUTE, version="1.1", prefix_hash="")
        warm = prompts(200, self.BEFORE, start=NOON + 16 * MINUTE, first=2_000, version="1.1", prefix_hash="")
        assert shard.post([*cold, *warm]) == []

    def test_a_rate_that_falls_every_night_is_silent_and_a_broken_day_is_not(self) -> None:
        """At night prompts are too far apart for the cache, as always; at ten in the morning the same rate is told."""
        shard = misses()
        night, number = Tokens(5_000, 10, 1_000), 0
        fired: list[tuple[int, int]] = []
        for day in range(5):
            midnight = NOON + day * DAY - 12 * HOUR
            for hour in range(24):
                busy = 8 <= hour < 20
                sent = prompts(
                    60 if busy else 12,
                    self.BEFORE if busy and day < 4 else night,
                    start=midnight + hour * HOUR,
                    step=MINUTE if busy else 5 * MINUTE,
                    first=number,
                    prefix_hash="",
                )
                number += len(sent)
                fired += [(day, hour) for _ in causes(shard.post(sent))]
        assert fired == [(4, 10)]

    def test_a_lull_is_silent(self) -> None:
        """With less than half of the usual traffic prompts may be too far apart for a cache: nothing is concluded."""
        shard = misses()
        days_before(shard, self.BEFORE, days=5, a_day=3_000)  # 125 an hour
        assert shard.post(prompts(240, Tokens(5_000, 10, 0), start=NOON + 2 * HOUR, step=MINUTE, prefix_hash="")) == []

    def test_new_long_prompts_beside_the_old_ones_are_silent(self) -> None:
        """As many tokens as before are cached, and much that cannot be comes on top: the cache works as it did."""
        shard = misses()
        days_before(shard, self.BEFORE, a_day=2_400)  # 100 an hour
        old = prompts(300, self.BEFORE, start=NOON + MINUTE, step=36 * SECOND, first=2_000, prefix_hash="")
        new = prompts(300, Tokens(30_000, 10, 0), start=NOON + MINUTE, step=36 * SECOND, first=5_000, prefix_hash="")
        assert shard.post(sorted([*old, *new], key=lambda call: call.end_ns)) == []


class TestUnread:
    """What was written to the cache is not read."""

    WRITE = Tokens(5_000, 10, 0, 4_000, 0)

    def test_writes_count_once_they_are_older_than_a_cache_can_live(self) -> None:
        """Two writes a minute fire at 13:00, when the thirty of the first quarter are an hour old."""
        shard = misses()
        assert shard.post(prompts(120, self.WRITE, prefix_hash="", **SONNET)) == []

        (insight,) = shard.post(prompts(1, self.WRITE, start=NOON + HOUR, first=121, prefix_hash="", **SONNET))
        assert observed(insight)["cause"] == "unread"
        assert "cache writes" in insight.title
        # 121 × 4,000 × (3.75 − 3.00), by the million: a written token costs a quarter more than a plain one
        assert insight.estimated_monthly_savings_usd == "0.363"
        assert insight.evidence["lost_in_window_usd"] == "0.363"

    @pytest.mark.parametrize(
        "model",
        [{}, {"provider": "anthropic", "request_model": "claude-sonnet-99"}],
        ids=["writes cost what input costs", "no price is known"],
    )
    def test_writes_without_a_surcharge_are_no_waste(self, model: dict[str, Any]) -> None:
        """Where writing costs no more than plain input, or nobody knows, nothing was paid for nothing."""
        assert misses().post(prompts(300, self.WRITE, prefix_hash="", **model)) == []

    def test_twenty_writes_are_needed(self) -> None:
        """Nineteen old ones fire nothing, twenty do."""
        for old, fires in ((19, False), (20, True)):
            shard = misses()
            shard.post(prompts(old, self.WRITE, prefix_hash="", **SONNET))
            late = prompts(1, self.WRITE, start=NOON + 2 * HOUR, first=500, prefix_hash="", **SONNET)
            assert bool(shard.post(late)) == fires

    @pytest.mark.parametrize(("read", "fires"), [(0, True), (150, True), (200, False), (4_000, False)])
    def test_what_is_read_again_is_no_waste(self, read: int, fires: bool) -> None:
        """Reads of less than a twentieth of what was written do not count as reading."""
        sent = prompts(600, Tokens(9_000, 10, read, 4_000, 0), prefix_hash="", **SONNET)
        assert bool(misses().post(sent)) == fires

    @pytest.mark.parametrize("later", [2 * MINUTE, 55 * MINUTE])
    def test_a_burst_of_writes_that_are_read_later_is_silent(self, later: int) -> None:
        """Documents written to the cache in one go and read within its lifetime are what a cache is for."""
        shard = misses()
        burst = prompts(60, self.WRITE, step=SECOND, prefix_hash="", **SONNET)
        reads = prompts(60, Tokens(5_000, 10, 4_000, 0, 0), start=NOON + later, first=100, prefix_hash="", **SONNET)
        more = prompts(60, Tokens(5_000, 10, 4_000, 0, 0), start=NOON + 2 * HOUR, first=300, prefix_hash="", **SONNET)
        assert shard.post([*burst, *reads, *more]) == []


def test_state_survives_a_crash() -> None:
    """Killed and restored between any two calls it tells the same, whole."""
    sent = prompts(120, Tokens(3_000, 10, 0), step=10 * SECOND, version="1.0")
    whole, broken = misses(), misses()
    whole.post(sent)
    for call in sent:
        broken.post([call])
        broken.crash()
    assert broken.told == whole.told
    assert len(whole.told) >= 1


def test_without_a_price_for_cached_input_nobody_knows_the_loss() -> None:
    """Command R+ has no listed price for cached tokens: what the cache would have spared is unknown, not zero."""
    shard = misses()
    cohere: dict[str, Any] = {"provider": "cohere", "request_model": "command-r-plus"}
    days_before(shard, TestFell.BEFORE, **cohere)
    told = shard.post(prompts(90, Tokens(5_000, 10, 0), start=NOON + MINUTE, prefix_hash="", **cohere))
    assert causes(told) == ["fell"]
    assert told[0].estimated_monthly_savings_usd is None
    assert told[0].evidence["spend_30d_usd"] is not None


def test_unpriced_models_fire_without_dollars() -> None:
    """Where no price is known the loss is unknown, not zero."""
    sent = prompts(100, Tokens(3_000, 10, 0), step=10 * SECOND, provider="house", request_model="gpt-4o-house")
    (insight,) = misses().post(sent)
    assert insight.estimated_monthly_savings_usd is None
    assert insight.evidence["lost_in_window_usd"] is None
