"""The demo's plan is wrong in exactly the ways it says, by the rules' definitions written out here once more."""

from collections import defaultdict

from tokensense_otel.service.demo.scenarios import HISTORY_DAYS, POLICY_PROMPT, SERVICES, PlannedCall, plan

SERVICE = {service.name: service for service in SERVICES}
PREMIUM = {"gpt-4o", "claude-opus-4-5", "claude-sonnet-4-5"}
FLAGSHIP = {"claude-opus-4-5"}


def recent(calls: tuple[PlannedCall, ...]) -> list[PlannedCall]:
    """The calls that 24-hour windows see."""
    return [call for call in calls if not call.days_ago]


def grouped(calls: list[PlannedCall], *fields: str) -> dict[tuple[str, ...], list[PlannedCall]]:
    groups: dict[tuple[str, ...], list[PlannedCall]] = defaultdict(list)
    for call in calls:
        values = {
            "team": SERVICE[call.service].team,
            "model": call.model,
            "feature": call.feature,
            "prompt": call.prompt,
        }
        groups[tuple(values[field] for field in fields)].append(call)
    return groups


def mean_output(calls: list[PlannedCall]) -> float:
    return sum(call.output_tokens for call in calls) / len(calls)


def test_one_seed_is_one_plan() -> None:
    """The same seed gives the same plan, another seed another one."""
    assert plan(1) == plan(1) != plan(2)


def test_every_rule_of_the_product_has_its_culprit() -> None:
    """The six rules are each broken by one service, and healthy services are among them."""
    assert plan().expected_rules == {
        "MODEL_MISUSE",
        "MODEL_DOWNGRADE",
        "LONG_PROMPTS",
        "CACHE_WASTE",
        "SPIKE",
        "RAM_OVER_PROVISION",
    }
    assert [service.rule for service in SERVICES].count("") >= 2
    assert len({service.team for service in SERVICES}) == 5
    assert {service.transport for service in SERVICES} == {"grpc", "http"}


def test_only_checkout_wastes_a_premium_model() -> None:
    """MODEL_MISUSE: a premium model, at least 20 good calls, under 100 output tokens on average: one team and model."""
    good = [call for call in recent(plan().calls) if not call.error and call.model in PREMIUM]
    found = {
        key for key, calls in grouped(good, "team", "model").items() if len(calls) >= 20 and mean_output(calls) < 100
    }
    assert found == {("checkout", "gpt-4o")}


def test_the_legal_team_is_never_below_the_misuse_threshold_on_the_way() -> None:
    """Drafting comes before tagging, so at no moment does the team's average answer look short."""
    legal = [call for call in plan().calls if call.service == "contract-review"]
    assert all(mean_output(legal[: count + 1]) >= 100 for count in range(len(legal)))


def test_only_clause_tagging_wastes_a_flagship() -> None:
    """MODEL_DOWNGRADE: a flagship, at least 100 calls of one feature with under 100 output tokens each."""
    tiny = [call for call in recent(plan().calls) if call.model in FLAGSHIP and call.output_tokens < 100]
    found = {key for key, calls in grouped(tiny, "team", "feature", "model").items() if len(calls) >= 100}
    assert found == {("legal", "clause-tagging", "claude-opus-4-5")}


def test_only_support_sends_long_prompts() -> None:
    """LONG_PROMPTS: at least 20 calls over 2,000 input tokens on average, for one team and model."""
    found = {
        key
        for key, calls in grouped(recent(plan().calls), "team", "model").items()
        if len(calls) >= 20 and sum(call.input_tokens for call in calls) / len(calls) > 2000
    }
    assert found == {("support", "claude-sonnet-4-5")}


def test_only_the_policy_bot_repeats_itself() -> None:
    """CACHE_WASTE: one prompt at least 50 times, nothing cached."""
    found = {
        prompt
        for (prompt,), calls in grouped(recent(plan().calls), "prompt").items()
        if prompt and len(calls) >= 50 and not any(call.cached_tokens for call in calls)
    }
    assert found == {POLICY_PROMPT}


def test_only_the_lead_scorer_spikes() -> None:
    """SPIKE: over three times the mean of seven days' calls, and at least 100; nobody else has a history."""
    calls = plan().calls
    days: dict[str, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for call in calls:
        days[SERVICE[call.service].team][call.days_ago] += 1
    with_history = {team: counts for team, counts in days.items() if len(counts) > 1}
    assert list(with_history) == ["growth"]
    history = [with_history["growth"][day] for day in range(1, HISTORY_DAYS + 1)]
    assert history == [30] * 7
    assert with_history["growth"][0] == 150  # > 3 x 30, and >= 100


def test_the_function_uses_a_fifth_of_its_memory() -> None:
    """RAM_OVER_PROVISION: at least 20 readings over at least an hour, the highest under 40 % of what is allocated."""
    readings = plan().readings
    assert len(readings) == 25
    assert max(reading.minutes_ago for reading in readings) - min(r.minutes_ago for r in readings) == 120
    assert 0.17 < max(reading.used / reading.allocated for reading in readings) < 0.4


def test_a_plan_is_bounded_and_in_order() -> None:
    """Everything is sent within the sending time, in order, and response ids never repeat."""
    planned = plan()
    moments = [call.at for call in planned.calls]
    assert moments == sorted(moments)
    assert moments[0] >= 0
    assert moments[-1] < 1
    assert all(0 <= reading.at < 1 for reading in planned.readings)
    ids = [call.response_id for call in planned.calls if call.response_id]
    assert len(ids) == len(set(ids))
    assert len(planned.calls) < 1000
