"""The generator: a seed's traffic is always the same, readable, and as its truth says."""

from collections import Counter
from itertools import pairwise
from pathlib import Path
from random import Random

import msgspec
import pytest

from benchmarks.incidents import steady
from benchmarks.incidents.calls import Made, Source
from benchmarks.incidents.generate import RULES, TRUTH, generate
from benchmarks.incidents.labels import DAY_NS, HOUR_NS, Incident, NearMiss, Truth
from benchmarks.incidents.lanes import Change, Lane, Shape, count, nightly, office
from benchmarks.incidents.lanes import steady as at_all_hours
from benchmarks.incidents.plan import START_NS, Plan
from tokensense_otel.core.call import Call, CostKind, Tokens
from tokensense_otel.core.usage import Accounting
from tokensense_otel.dataflow.pricing import Catalogue
from tokensense_otel.dataflow.runner import InProcessRunner
from tokensense_otel.service.config import Settings
from tokensense_otel.service.replay.read import Reader
from tokensense_otel.service.replay.replay import SALT, with_rules

_PLAIN = Shape()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A week of four teams."""
    folder = tmp_path_factory.mktemp("incidents")
    generate(folder, 5, teams=4, weeks=1)
    return folder


def a_lane(shape: Shape = _PLAIN) -> Lane:
    """A hundred calls an hour, give or take what Poisson does."""
    return Lane("ads", "ads-rank", "rank", at_all_hours(), 2_400.0, shape, noisy=False)


def made_in(lane: Lane, hours: int, seed: int = 1) -> list[Made]:
    source = Source(lane, seed)
    return [made for hour in range(hours) for made in source.hour(hour, START_NS)]


def test_what_is_written_is_accounted_call_by_call(written: Path) -> None:
    """Every span of an afternoon is read and accounted: each call once, each tool as no call, nothing refused."""
    files = sorted(written.glob("*.traces.pb.gz"))[2:3]
    refused: list[str] = []
    settings = with_rules(Settings(), written / RULES)
    runner = InProcessRunner(
        settings.dataflow,
        rules=settings.rule_set,
        normalise=settings.normalise,
        salt=SALT,
        catalogue=Catalogue.load(),
        quarantine=lambda entry: refused.append(entry.signal.value),
    )
    reader = Reader(lambda where, why: refused.append(f"{where} {why}"), 1 << 26)
    runner.feed(reader.entries(files))
    total = Accounting()
    for each in runner.finish().accounting.values():
        total.add(each)
    calls = list(runner.calls())
    assert refused == []
    assert total.calls == len(calls) > 500
    assert (total.duplicates, total.rejected, total.not_genai) == (0, 0, 0)
    assert total.spans == total.calls + total.wrappers
    assert len({call.dimensions.team for call in calls}) > 4


def test_a_seed_gives_the_same_bytes(written: Path, tmp_path: Path) -> None:
    """Two runs of one seed write the same files; another seed writes others."""
    generate(tmp_path / "again", 5, teams=4, weeks=1)
    names = sorted(path.name for path in written.iterdir())
    assert names == sorted(path.name for path in (tmp_path / "again").iterdir())
    assert all((written / name).read_bytes() == (tmp_path / "again" / name).read_bytes() for name in names)
    truth = Truth.read(written / TRUTH)
    assert truth.seed == 5
    assert made_in(a_lane(), 1, seed=1)[0].trace != made_in(a_lane(), 1, seed=2)[0].trace


def test_the_truth_has_incidents_and_near_misses_within_its_time(written: Path) -> None:
    """Each label is about a stretch within the recording, and no two incidents of a rule share scope and time."""
    truth = Truth.read(written / TRUTH)
    labels: list[Incident | NearMiss] = [*truth.incidents, *truth.near_misses]
    assert all(truth.start_ns <= each.from_ns < each.to_ns for each in labels)
    assert all(each.from_ns < truth.end_ns for each in labels)
    keys = Counter((each.rule, tuple(each.scope.items()), each.from_ns) for each in truth.incidents)
    assert set(keys.values()) == {1}
    assert {each.rule for each in truth.incidents} >= {"MODEL_MISUSE", "CACHE_WASTE", "RAM_OVER_PROVISION", "BUDGET"}


def test_a_lane_draws_what_its_volume_says() -> None:
    """2,400 calls a day at all hours are about 2,400 in 24 hours: within five standard deviations."""
    assert len(made_in(a_lane(), 24)) == pytest.approx(2_400, abs=5 * 2_400**0.5)


def test_a_change_holds_from_its_begin_until_its_end() -> None:
    """Calls are tripled from half past six on and all is as before from seven on; the rest is the shape's."""
    change = Change(6.5, 7.0, volume=3.0, shape={"output": 9_000, "spread": 0.0})
    calls = made_in(a_lane().changed(change), 24)
    long = [made for made in calls if made.output == 9_000]
    assert len(long) == pytest.approx(150, abs=62)
    assert all(START_NS + 6.5 * HOUR_NS <= made.end_ns < START_NS + 7 * HOUR_NS for made in long)


def test_a_lane_that_is_only_there_for_a_time_is_silent_before_and_after() -> None:
    """No call ends before the begin or from the end on."""
    ends = [made.end_ns for made in made_in(a_lane().only(3.25, 5.5), 24)]
    assert ends
    assert min(ends) >= START_NS + 3.25 * HOUR_NS
    assert max(ends) < START_NS + 5.5 * HOUR_NS


def test_failed_first_attempts_use_tokens_and_share_the_prompt() -> None:
    """Where every request is sent again, each success has a failed call of the same prompt before it, with usage."""
    calls = made_in(a_lane(Shape(retried=1.0, prompts=0, failing=0.0)), 1)
    failed = Counter(made.prompt for made in calls if made.error)
    assert all(made.input is not None for made in calls)
    assert all(failed[made.prompt] in (1, 2) for made in calls if not made.error)


def test_weeks_are_shares_of_a_weekday() -> None:
    """The hours of a Tuesday add up to one, whatever the zone; weekends are what they were told to be."""
    week = office(0, weekend=0.5)
    assert sum(week[24:48]) == pytest.approx(1)
    assert sum(office(-8)[24:48]) == pytest.approx(1)
    assert sum(week[120:144]) == pytest.approx(0.5)
    assert [hour for hour, weight in enumerate(nightly(3, days=(1,))) if weight] == [27]


@pytest.mark.parametrize("mean", [0.0, 3.0, 200.0])
def test_counts_have_the_mean_that_was_asked_for(mean: float) -> None:
    """The average of 2,000 draws is within five standard errors."""
    random = Random(1)
    drawn = sum(count(random, mean) for _ in range(2_000)) / 2_000
    assert drawn == pytest.approx(mean, abs=5 * (mean / 2_000) ** 0.5 + 0.51 * (mean > 60))


def test_budgets_are_crossed_when_the_sum_reaches_the_percentage() -> None:
    """Three calls of 40 USD against 100: 50 % with the second, 80 % with it as well, 100 % with the third."""
    plan = Plan(1, teams=1, weeks=1)
    plan.labels.clear()
    at = [START_NS + hour * HOUR_NS for hour in (1, 2, 3)]
    spent = {name: [(each, 40_000_000_000) for each in at] for name in ("low", "mid", "high")}
    rules = steady.budgets(plan, spent)
    # 0.7 × 120 = 84: 50 % is 42 (second call), 80 % is 67.2 (second), 100 % is 84 (third).
    amounts = {each["name"]: each["amount_usd"] for each in rules["budgets"]}
    assert amounts == {"budget-low": 84.0, "budget-mid": 134.4, "budget-high": 360.0}
    low = {
        label.scope["threshold"]: label.from_ns
        for label in plan.labels
        if isinstance(label, Incident) and label.scope["budget"] == "budget-low"
    }
    assert low == {"50%": at[1], "80%": at[1], "100%": at[2]}
    high = [label.kind for label in plan.labels if label.scope["budget"] == "budget-high"]
    assert high == [*(f"week without {percent} percent" for percent in (50, 80, 100)), "pace"]


def test_what_a_token_of_the_budgeted_model_costs_is_what_the_list_says() -> None:
    """The generator's own two prices are those of the catalogue."""
    call = Call(trace_id=bytes(16), span_id=bytes(8), start_ns=START_NS, end_ns=START_NS, tokens=Tokens(1_000, 100))
    call = msgspec.structs.replace(call, provider="openai", request_model=steady.BUDGET_MODEL["model"])
    cost = Catalogue.load().cost(call)
    assert cost.kind is CostKind.KNOWN
    assert cost.low == 1_000 * steady.INPUT_NANOS + 100 * steady.OUTPUT_NANOS


def test_a_function_that_peaks_never_looks_small() -> None:
    """It peaks with its first reading and then at least twice a day."""
    plan = Plan(5, teams=1, weeks=1)
    readings = [each for each in steady.memory(plan) if each[0] == "fn-peak"]
    peaks = [time_ns for _, time_ns, used, allocated in readings if allocated and used > 0.7 * allocated]
    gaps = [after - before for before, after in pairwise(peaks)]
    assert peaks[0] == START_NS
    assert max(gaps) < DAY_NS / 2
