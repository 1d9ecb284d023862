"""`collector-config.yaml`, read without a Collector: what it keeps, what it deletes, what it leaves alone.

OTTL's patterns are Go's (RE2); those used here mean the same to Python's `re`.
"""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tokensense_otel.dataflow.memory.metrics import METRICS
from tokensense_otel.dataflow.normalise import prompt
from tokensense_otel.dataflow.normalise.aliases import FIELDS, KEYS
from tokensense_otel.dataflow.normalise.config import AttributionConfig
from tokensense_otel.dataflow.normalise.dialects import DIALECTS, MARKERS

ROOT = Path(__file__).parents[2]
CONFIG: dict[str, Any] = yaml.safe_load((ROOT / "collector-config.yaml").read_text())
KEEP = CONFIG["processors"]["filter/tokensense"]
STATEMENTS: list[str] = [
    statement
    for group in CONFIG["processors"]["transform/tokensense"]["trace_statements"]
    for statement in group["statements"]
]

CONTENT = (ROOT / "tests" / "testdata" / "content_keys.txt").read_text().split()
"""Where dialects put text, from their own sources; one of each shape."""


def unquoted(pattern: str) -> str:
    """A pattern as OTTL reads it inside its double quotes."""
    return pattern.replace(r"\"", '"').replace("\\\\", "\\")


def patterns(function: str) -> list[str]:
    """The patterns that a function is called with on span attributes or the prompt."""
    found = (re.match(rf'{function}\(\s*[^,]+,\s*"(.*)"\)$', statement) for statement in STATEMENTS)
    return [unquoted(match.group(1)) for match in found if match]


def is_deleted(key: str) -> bool:
    return any(re.search(pattern, key) for pattern in patterns("delete_matching_keys"))


def is_hashed(key: str) -> bool:
    return any(re.search(pattern, key) for pattern in patterns("keep_matching_keys") if "exception" not in pattern)


def comes_to_us(*keys: str, scope: str = "some.library") -> bool:
    """Whether a span with these attributes passes the filter, whose condition says what to drop."""
    (condition,) = KEEP["trace_conditions"]
    match = re.fullmatch(
        r'not IsMatch\(String\(Keys\(span\.attributes\)\), "(.*)"\) and not IsMatch\(scope\.name, "(.*)"\)', condition
    )
    assert match, condition
    listed = "[" + ",".join(f'"{key}"' for key in keys) + "]"
    return bool(re.search(unquoted(match.group(1)), listed) or re.search(unquoted(match.group(2)), scope))


def test_the_patterns_are_found() -> None:
    """The readers in this file see every pattern, so that no other test passes on nothing."""
    assert len(patterns("delete_matching_keys")) == 5
    assert len(patterns("keep_matching_keys")) == 2


OF_ANY_SPAN = {"error.type", "server.address", *FIELDS["resends"]}


@pytest.mark.parametrize("key", sorted(MARKERS | KEYS.keys() - OF_ANY_SPAN))
def test_a_span_of_any_known_dialect_comes_to_us(key: str) -> None:
    """Every attribute by which the normaliser knows a GenAI span is enough to keep it."""
    assert comes_to_us("http.route", key)


PLAINLY_NAMED = [dialect for dialect in DIALECTS if any("." not in key for key in dialect.more)]


@pytest.mark.parametrize("scope", [scope for dialect in PLAINLY_NAMED for scope in dialect.scopes])
def test_a_dialect_with_plain_names_is_known_by_its_scope(scope: str) -> None:
    """Coding agents name their attributes `model` or `input_tokens`: their scopes keep them."""
    assert comes_to_us("model", "input_tokens", scope=scope.rstrip("*"))


@pytest.mark.parametrize("key", ["tokensense.team", "tokensense.project", "team", "feature"])
def test_a_span_that_only_names_an_owner_comes_to_us(key: str) -> None:
    """A root span that says whose the calls are is kept for the calls beneath it."""
    assert comes_to_us(key)


@pytest.mark.parametrize(
    "keys", [(), ("http.route", "url.path"), ("db.system",), ("rpc.system", "team_size"), ("email.to",)]
)
def test_other_spans_stay_away(keys: tuple[str, ...]) -> None:
    """Spans of no GenAI dialect are dropped from our branch."""
    assert not comes_to_us(*keys)


@pytest.mark.parametrize(
    "key", sorted({*CONTENT, *prompt._WHOLE, *(key for _, keys in prompt._INDEXED for key in keys)})
)
def test_text_is_deleted(key: str) -> None:
    """Every attribute that holds text, the normaliser's own list of prompts included, is deleted on the way."""
    assert is_deleted(key)


@pytest.mark.parametrize(
    "key", sorted({*prompt._WHOLE, *(f"{prefix}0.embedding.text" for prefix, _ in prompt._INDEXED[2:])})
)
def test_a_prompt_is_hashed_before_it_is_deleted(key: str) -> None:
    """Whatever the normaliser would hash itself is fingerprinted first."""
    assert is_hashed(key)


ATTRIBUTION = {key for keys in AttributionConfig().model_dump().values() for key in keys}


TOOLS = {key for key in FIELDS["tools"] if is_deleted(key)}


def test_that_tools_were_offered_stays() -> None:
    """What they are is text and goes; each attribute that would say it is asked for before it does."""
    [statement] = [each for each in STATEMENTS if each.startswith('set(span.attributes["tokensense.tools"], true)')]
    first_deletion = next(at for at, each in enumerate(STATEMENTS) if each.startswith("delete_matching_keys"))
    assert STATEMENTS.index(statement) < first_deletion
    assert {key for key in TOOLS if f'span.attributes["{key}"] != nil' in statement} == TOOLS


@pytest.mark.parametrize(
    "key", sorted((KEYS.keys() | ATTRIBUTION | {prompt.PROMPT_HASH, prompt.PREFIX_HASH}) - {
        "gen_ai.completion.0.finish_reason",  # no rule reads it, and it lies among the answer's text
        "gen_ai.prompt.name",  # likewise among the prompt's
        "langfuse.observation.prompt.name",
    } - TOOLS)
)  # fmt: skip
def test_what_is_counted_and_whose_it_is_stays(key: str) -> None:
    """No number, model, id or owner that the normaliser reads is deleted with the text."""
    assert not is_deleted(key)


def test_events_keep_nothing_but_an_error_type() -> None:
    """Of a span's events no text gets through, whatever the attribute is called."""
    assert STATEMENTS[-1] == 'keep_matching_keys(spanevent.attributes, "^exception\\\\.type$")'


@pytest.mark.parametrize("name", sorted(METRICS))
def test_a_memory_metric_comes_to_us(name: str) -> None:
    """Every metric that RAM_OVER_PROVISION can read passes; the condition says what to drop."""
    assert re.search(metric_pattern(), name)


@pytest.mark.parametrize("name", ["http.server.duration", "gen_ai.server.request.duration", "process.memory.usage"])
def test_other_metrics_stay_away(name: str) -> None:
    """Metrics that no rule reads are dropped from our branch."""
    assert not re.search(metric_pattern(), name)


def metric_pattern() -> str:
    (condition,) = KEEP["metric_conditions"]
    match = re.fullmatch(r'not IsMatch\(metric\.name, "(.*)"\)', condition)
    assert match, condition
    return unquoted(match.group(1))


def test_nothing_is_taken_from_the_existing_backend() -> None:
    """Each signal has an untouched pipeline, and ours neither batches outside the queue nor samples."""
    pipelines = CONFIG["service"]["pipelines"]
    for signal in ("traces", "metrics", "logs"):
        existing = pipelines[f"{signal}/existing"]
        assert existing["receivers"] == ["otlp"]
        assert existing["processors"] == ["memory_limiter", "batch"]
    for signal in ("traces", "metrics"):
        assert pipelines[f"{signal}/tokensense"]["exporters"] == ["otlp_grpc/tokensense"]
        assert "batch" not in pipelines[f"{signal}/tokensense"]["processors"]


def test_our_exporter_retries_for_ever_from_a_queue_on_disk() -> None:
    """Delivery to us survives an outage and a restart of the Collector, and never holds up the other branch."""
    exporter = CONFIG["exporters"]["otlp_grpc/tokensense"]
    assert exporter["retry_on_failure"]["max_elapsed_time"] == "0s"
    queue = exporter["sending_queue"]
    assert queue["storage"] in CONFIG["service"]["extensions"]
    assert queue["block_on_overflow"] is False
