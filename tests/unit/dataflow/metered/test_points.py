"""Which metrics tell of calls, and what their points say."""

import math
from typing import Any

import pytest

from tests.support.books import SALT
from tests.support.calls import NOON, SECOND
from tests.support.sources import DELTA, a_counter, a_histogram, a_metrics_request, metered
from tokensense_otel.core.call import Source
from tokensense_otel.core.tally import Tallies
from tokensense_otel.dataflow.facts import Measure
from tokensense_otel.dataflow.normalise import NormaliseConfig, Normaliser
from tokensense_otel.dataflow.normalise.metered import MeterNormaliser

START = NOON - 60 * SECOND
KEYS = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o"}
TIMES: Any = {"start_ns": START, "time_ns": NOON}


def usage(kind: str, **changes: Any) -> Any:
    fields: dict[str, Any] = {"count": 3, "total": 3603.0} | TIMES | changes
    return a_histogram("gen_ai.client.token.usage", KEYS | {"gen_ai.token.type": kind}, **fields)


def measured(*metrics: Any) -> list[tuple[Measure, int, int]]:
    return [(point.measure, point.choice, point.value) for point in metered(*metrics)]


def test_token_usage_tells_tokens_and_calls() -> None:
    """The sum is tokens of its type; how often something was recorded is a number of calls, a second choice."""
    assert measured(usage("input"), usage("output", total=93.0)) == [
        (Measure.INPUT, 0, 3603),
        (Measure.CALLS, 1, 3),
        (Measure.OUTPUT, 0, 93),
        (Measure.CALLS, 2, 3),
    ]


@pytest.mark.parametrize(("kind", "measure"), [("reasoning", Measure.REASONING), ("cache_read", Measure.CACHE_READ)])
def test_parts_count_no_calls(kind: str, measure: Measure) -> None:
    """Further types are parts of the two, and their recordings are no calls."""
    assert measured(usage(kind)) == [(measure, 0, 3603)]


@pytest.mark.parametrize("kind", ["total", "tool", ""])
def test_totals_and_unknown_types_are_passed_over(kind: str) -> None:
    """A total repeats the others; what has no known type says nothing."""
    assert measured(usage(kind)) == []


def test_durations_are_calls() -> None:
    """How often a duration was recorded is the first choice for the number of calls; those with an error failed."""
    metric = a_histogram("gen_ai.client.operation.duration", KEYS | {"error.type": "429"}, count=2, total=0.1, **TIMES)
    (point,) = metered(metric)
    assert (point.measure, point.choice, point.value) == (Measure.CALLS, 0, 2)
    assert (point.call.error_type, point.call.source, point.call.count) == ("429", Source.METER, 0)


def test_the_successors_are_read() -> None:
    """Counters by class, and histograms of single operations as a second choice."""
    names = ("usage.input_tokens", "usage.output_tokens", "usage.cache_read.input_tokens")
    counters = [a_counter(f"gen_ai.client.inference.{name}", KEYS, value=7, **TIMES) for name in names]
    histogram = a_histogram("gen_ai.client.inference.operation.input_tokens", KEYS, count=2, total=7.0, **TIMES)
    assert measured(*counters, histogram) == [
        (Measure.INPUT, 0, 7),
        (Measure.OUTPUT, 0, 7),
        (Measure.CACHE_READ, 0, 7),
        (Measure.INPUT, 1, 7),
        (Measure.CALLS, 1, 2),
    ]


@pytest.mark.parametrize(
    ("name", "keys", "measure"),
    [
        ("claude_code.token.usage", {"type": "cacheCreation", "model": "claude-opus-4-1"}, Measure.CACHE_WRITE),
        ("codex.turn.token_usage", {"token_type": "cached_input", "model": "gpt-5"}, Measure.CACHE_READ),
        ("gemini_cli.token.usage", {"type": "thought", "model": "gemini-2.5-pro"}, Measure.REASONING),
    ],
)
def test_agents_metrics_are_read(name: str, keys: dict[str, str], measure: Measure) -> None:
    """Each under its own words; a model may go by its bare name."""
    (point,) = metered(a_counter(name, keys, value=9.0, temporality=DELTA, **TIMES))
    assert (point.measure, point.value, point.delta, point.call.request_model) == (measure, 9, True, keys["model"])


def test_series_of_the_same_calls_are_one_meter() -> None:
    """Types, and attributes that say nothing of calls, make series; another model or process makes a meter."""
    inputs, _ = metered(usage("input"))
    outputs, _ = metered(usage("output"))
    other, _ = metered(a_histogram("gen_ai.client.token.usage", KEYS | {"gen_ai.token.type": "input",
        "gen_ai.request.model": "o3"}, count=1, total=1.0, **TIMES))  # fmt: skip
    process, _ = metered(usage("input"), resource={"service.instance.id": "2"})
    assert inputs.meter == outputs.meter
    assert inputs.series != outputs.series
    assert len({inputs.meter, other.meter, process.meter}) == 3


COUNTER = "gen_ai.client.inference.usage.input_tokens"
DURATION = "gen_ai.client.operation.duration"


@pytest.mark.parametrize(
    "metric",
    [
        a_counter(COUNTER, KEYS, value=7, monotonic=False, **TIMES),
        a_counter(COUNTER, KEYS, value=7, flags=1, **TIMES),
        a_counter(COUNTER, KEYS, value=7, start_ns=0, time_ns=0),
        a_histogram(DURATION, KEYS, count=0, total=0.0, flags=1, **TIMES),
        a_histogram(DURATION, KEYS | {"gen_ai.operation.name": "invoke_agent"}, count=1, total=1.0, **TIMES),
        a_histogram("gen_ai.server.request.duration", KEYS, count=1, total=1.0, **TIMES),
    ],
    ids=["may fall", "no value", "no time", "no recording", "agent", "server"],
)
def test_other_points_leave_no_trace(metric: Any) -> None:
    """What is no count of calls or their tokens is passed over."""
    assert metered(metric) == []


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (math.nan, "tokens_not_finite"),
        (math.inf, "tokens_not_finite"),
        (-1, "tokens_negative"),
        (1.5, "tokens_fractional"),
        (2.0**62, "tokens_too_many"),
    ],
)
def test_values_that_cannot_be_are_counted(value: float, reason: str) -> None:
    """They are left out, with the reason."""
    tallies = Tallies()
    metric = a_counter("gen_ai.client.inference.usage.input_tokens", KEYS, value=value, **TIMES)
    normaliser = MeterNormaliser(Normaliser(NormaliseConfig(), SALT))
    assert normaliser.points(a_metrics_request(metric), tenant="default", project="", tallies=tallies) == []
    assert [tally.name for tally in tallies] == [reason]


def test_whose_they_are_is_of_the_point_then_of_the_resource() -> None:
    """The point's attributes name dimensions before those of its resource."""
    metric = usage("input")
    metric.histogram.data_points[0].attributes.add(key="user.id").value.string_value = "u"
    first = metered(metric, resource={"team": "search", "service.name": "api", "user.id": "nobody"})[0]
    where = first.call.dimensions
    assert (where.team, where.service, where.user, first.service) == ("search", "api", "u", "api")


@pytest.mark.parametrize(("apart_ns", "moments"), [(100_000_000, 1), (100_000_001, 2)])
def test_what_is_collected_together_is_of_one_moment(apart_ns: int, moments: int) -> None:
    """SDKs that give each metric of an export a time of its own, up to 100 ms apart, mean one interval."""
    early: Any = {"start_ns": START, "time_ns": NOON - apart_ns}
    points = metered(
        a_counter("gen_ai.client.inference.usage.input_tokens", KEYS, value=7, **early),
        a_counter("gen_ai.client.inference.usage.output_tokens", KEYS, value=7, **TIMES),
    )
    assert len({point.time_ns for point in points}) == moments


def test_gemini_cli_counts_a_failure_twice() -> None:
    """Once with the type of the error and once without; the first is the call."""
    name, keys = "gemini_cli.api.request.count", {"model": "gemini-2.5-pro"}
    points = metered(
        a_counter(name, keys | {"status_code": 200}, value=3, **TIMES),
        a_counter(name, keys | {"status_code": 400, "error_type": "ApiError"}, value=1, **TIMES),
        a_counter(name, keys | {"status_code": 400}, value=1, **TIMES),
    )
    told = [(point.measure, point.value, point.call.error_type) for point in points]
    assert told == [(Measure.CALLS, 3, ""), (Measure.CALLS, 1, "ApiError")]


@pytest.mark.parametrize(("scope", "points"), [("openai.v1", 2), ("crewai.instrumentation", 0)])
def test_running_totals_of_crewai_are_passed_over(scope: str, points: int) -> None:
    """OpenLLMetry records for each task what the crew used so far; what its calls used is told by their SDK."""
    assert len(metered(usage("input"), scope=f"opentelemetry.instrumentation.{scope}")) == points
