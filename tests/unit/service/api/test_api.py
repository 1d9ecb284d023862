import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import Engine

from tests.support.calls import NOON, a_call, an_insight, posted
from tests.support.spans import TRACE, facts_of_span
from tokensense_otel.core.call import NO_TOKENS, UNKNOWN_COST
from tokensense_otel.core.errors import ConfigError
from tokensense_otel.core.insight import Status, to_dict
from tokensense_otel.core.tally import Tallies, Tally, What
from tokensense_otel.core.usage import Accounting, Usage, usage_key
from tokensense_otel.dataflow.accounting import AccountingConfig
from tokensense_otel.dataflow.explain.keep import to_kept
from tokensense_otel.service.api.app import Sources, make_app, store_check
from tokensense_otel.service.api.config import ApiConfig
from tokensense_otel.service.api.explainer import explainer
from tokensense_otel.service.api.server import ApiServer
from tokensense_otel.store.config import ExplainConfig
from tokensense_otel.store.database import open_database, writing
from tokensense_otel.store.rollups import RollupWriter

HOUR_NS = 3_600_000_000_000


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """A store with two calls at noon, one of another team an hour later, and the three insights of an episode."""
    engine = open_database("sqlite", data_dir=tmp_path)
    writer = RollupWriter(engine, "p0", None, lambda: NOON, ExplainConfig())
    usage: dict[Any, Usage] = {}
    later = a_call(end_ns=NOON + HOUR_NS, dimensions=a_call().dimensions.__class__(team="search"))
    for posting in posted(a_call(), a_call(), later):
        usage.setdefault(usage_key(posting), Usage()).post(posting)
    insights = [an_insight(status) for status in (Status.FIRING, Status.UPDATE, Status.RESOLVED)]
    tallies = Tallies({Tally("default", "cart", What.CORRECTION, "tokens_negative"): 2})
    for call in (a_call(dialect="litellm"), a_call(dialect="litellm", notes=("told",)), a_call(dialect="litellm")):
        tallies.post(1, call)
    kept = [to_kept(facts_of_span(1, response_id="models/r-1"), NOON)]
    writer.write(usage, {"default": Accounting(spans=3, calls=3)}, insights, tallies, kept)
    yield engine
    engine.dispose()


def ask(engine: Engine, *paths: str, checks: dict[str, Any] | None = None) -> list[httpx2.Response]:
    """Serve the API on a free port and ask it over a real connection."""

    async def main() -> list[httpx2.Response]:
        checking = checks or {"store": store_check(engine)}
        explain = explainer(engine, AccountingConfig())
        sources = Sources(engine, lambda: NOON + HOUR_NS, checking, None, explain)
        server = ApiServer(ApiConfig(endpoint="127.0.0.1:0"), make_app(sources))
        await server.start()
        try:
            async with httpx2.AsyncClient(base_url=f"http://{server.endpoint}", trust_env=False) as client:
                return [await client.get(path) for path in paths]
        finally:
            await server.stop()

    return asyncio.run(main())


def test_usage_is_the_rows_of_replay(engine: Engine) -> None:
    """`/api/v1/usage` gives a row a group, with the fields and the money format of the contract."""
    (answer,) = ask(engine, "/api/v1/usage")
    assert answer.status_code == 200
    assert [row["team"] for row in answer.json()["usage"]] == ["checkout", "search"]
    assert answer.json()["usage"][0] == {
        "tenant": "default",
        "provider": "openai",
        "model": "gpt-4o-2024-08-06",
        "operation": "chat",
        "team": "checkout",
        "calls": 2,
        "errors": 0,
        "input_tokens": 2000,
        "output_tokens": 100,
        "cache_read_tokens": 0,
        "cache_write_tokens": None,
        "reasoning_tokens": None,
        "cost_usd": "0.02",
        "cost_high_usd": "0.02",
        "unpriced_calls": 0,
        "unknown_usage_calls": 0,
        "unpriced_tokens": 0,
        "reported_calls": 0,
        "reported_cost_usd": None,
        "disputed_calls": 0,
    }


def test_usage_is_filtered_by_time_and_grouped(engine: Engine) -> None:
    """`since` and `until` choose hours, `group_by` the columns: relative times count from now (13:00 here)."""
    answers = ask(
        engine,
        "/api/v1/usage?group_by=team&until=2026-01-01T13:00:00Z",
        "/api/v1/usage?group_by=team&since=2026-01-01T13:00:00Z",
        "/api/v1/usage?group_by=team&since=59m",
        "/api/v1/usage?group_by=model&since=1h",
    )
    rows = [[tuple(row.values())[:2] for row in answer.json()["usage"]] for answer in answers]
    # 59 minutes before 13:00 lies in the hour of noon, which is kept whole.
    assert rows == [
        [("checkout", 2)],
        [("search", 1)],
        [("checkout", 2), ("search", 1)],
        [("gpt-4o-2024-08-06", 3)],
    ]


def test_insights_are_the_wire_object(engine: Engine) -> None:
    """`/api/v1/insights` gives the same objects as webhooks, oldest first, filtered and limited to the newest."""
    every, firing, newest, other = ask(
        engine,
        "/api/v1/insights",
        "/api/v1/insights?status=firing",
        "/api/v1/insights?limit=1",
        "/api/v1/insights?rule=MODEL_MISUSE",
    )
    assert [insight["status"] for insight in every.json()["insights"]] == ["firing", "update", "resolved"]
    assert firing.json()["insights"] == [to_dict(an_insight())]
    assert [insight["status"] for insight in newest.json()["insights"]] == ["resolved"]
    assert other.json() == {"insights": []}


def test_accounting_is_what_stands_behind_the_sums(engine: Engine) -> None:
    """Totals, corrections and dialects of everything; what is unattributed and unpriced in the hours asked for."""
    every, later, nobody = ask(
        engine,
        "/api/v1/accounting",
        "/api/v1/accounting?since=2026-01-01T13:00:00Z",
        "/api/v1/accounting?tenant=nobody",
    )
    document = every.json()
    assert document["accounting"] == {
        "spans": 3, "calls": 3, "duplicates": 0, "wrappers": 0, "not_genai": 0, "rejected": 0, "records": 0,
        "metered": 0,
    }  # fmt: skip
    assert document["corrections"] == [
        {
            "tenant": "default",
            "service": "cart",
            "reason": "tokens_negative",
            "count": 2,
            "meaning": "a token count is negative; unknown",
        }
    ]
    assert document["dialects"] == [{"dialect": "litellm", "calls": 3, "inferred_calls": 1}]
    assert document["unpriced"] == document["unknown_usage"] == document["usage_gaps"] == []
    # The two calls at noon name a feature and a service; the one at 13:00 names its team only.
    shares = {row["dimension"]: (row["calls"], row["share"]) for row in document["unattributed"]}
    assert shares == {"team": (0, 0.0), "feature": (1, 0.3333), "service": (1, 0.3333), "environment": (3, 1.0)}
    assert {row["dimension"]: row["calls"] for row in later.json()["unattributed"]}["service"] == 1
    assert later.json()["accounting"] == document["accounting"]
    assert nobody.json()["accounting"]["spans"] == 0
    assert nobody.json()["unattributed"][0]["share"] is None


def test_calls_that_cannot_be_priced_are_listed(tmp_path: Path) -> None:
    """By model where no price is known, and by service where no usage was reported."""
    engine = open_database("sqlite", data_dir=tmp_path)
    usage: dict[Any, Usage] = {}
    unpriced = a_call(cost=UNKNOWN_COST, response_model="new-model")
    for posting in posted(unpriced, unpriced, a_call(cost=UNKNOWN_COST, tokens=NO_TOKENS)):
        usage.setdefault(usage_key(posting), Usage()).post(posting)
    RollupWriter(engine, "p0", None, lambda: NOON).write(usage, {}, [])
    (answer,) = ask(engine, "/api/v1/accounting")
    assert answer.json()["unpriced"] == [{"provider": "openai", "model": "new-model", "calls": 2}]
    assert answer.json()["unknown_usage"] == [
        {"provider": "openai", "model": "gpt-4o-2024-08-06", "service": "cart", "calls": 1}
    ]
    engine.dispose()


def test_metrics_show_the_books(engine: Engine) -> None:
    """What became of spans is a gauge by tenant and outcome, corrections a counter by reason."""
    (answer,) = ask(engine, "/metrics")
    lines = answer.text.splitlines()
    assert 'tokensense_accounting_spans{outcome="calls",tenant="default"} 3.0' in lines
    assert 'tokensense_corrections_total{reason="tokens_negative",service="cart",tenant="default"} 2.0' in lines


def test_metrics_of_the_processes_show_though_the_store_is_gone(tmp_path: Path) -> None:
    """A store that cannot be read costs its own metrics only."""
    engine = open_database("sqlite", data_dir=tmp_path)
    with writing(engine).begin() as connection:
        connection.exec_driver_sql("DROP TABLE accounting")
    (answer,) = ask(engine, "/metrics")
    assert answer.status_code == 200
    assert "tokensense_accounting_spans" not in answer.text
    assert "tokensense_" in answer.text
    engine.dispose()


def test_an_explanation_is_given_by_any_id(engine: Engine) -> None:
    """A response id with a slash in it too; what is unknown is a problem that says so."""
    by_trace, by_response, unknown = ask(
        engine,
        f"/api/v1/explain/{TRACE.hex()}",
        "/api/v1/explain/models/r-1?tenant=default",
        "/api/v1/explain/nothing",
    )
    assert by_trace.json()["what"] == "trace"
    assert by_response.json()["name"] == "models/r-1"
    assert by_response.json()["traces"] == by_trace.json()["traces"]
    assert by_response.json()["traces"][0]["spans"][0]["counted"]
    assert unknown.status_code == 404
    assert "nothing that is kept" in unknown.json()["detail"]


@pytest.mark.parametrize(
    ("path", "status", "detail"),
    [
        ("/api/v1/accounting?group_by=team", 400, "there is no filter 'group_by'"),
        ("/api/v1/explain/abcd?since=1h", 400, "there is no filter 'since'"),
        ("/api/v1/usage?group_by=teem", 400, "group_by: there is no dimension 'teem'; write team"),
        ("/api/v1/usage?since=x", 400, "since: 'x' is not a time"),
        ("/api/v1/usage?since=1h&since=2h", 400, "a filter is given twice; write it once"),
        ("/api/v1/insights?status=gone", 400, "status: 'gone' is not known"),
        ("/api/v1/nothing", 404, "there is nothing at /api/v1/nothing"),
        ("/", 404, "there is nothing at /"),
    ],
)
def test_a_wrong_question_is_a_json_problem(engine: Engine, path: str, status: int, detail: str) -> None:
    """What cannot be answered says why as RFC 9457 problem details."""
    (answer,) = ask(engine, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status
    assert answer.json()["detail"].startswith(detail)


def test_an_answer_that_cannot_be_made_is_a_json_problem(engine: Engine, capfd: pytest.CaptureFixture[str]) -> None:
    """A broken store gives 500 as a problem that tells nothing of the inside, and is logged."""
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE usage")
    (answer,) = ask(engine, "/api/v1/usage")
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    assert "no such table" not in answer.text
    assert "api_failed" in "".join(capfd.readouterr())


def test_readiness_is_what_the_checks_say(engine: Engine) -> None:
    """`/readyz` is 200 while every check is well and 503 with the reason when one is not; `/healthz` stays 200."""

    def broken() -> str:
        raise OSError("the disk is gone")

    checks = {"store": store_check(engine), "log": broken}
    health, ready = ask(engine, "/healthz", "/readyz", checks=checks)
    assert (health.status_code, ready.status_code) == (200, 503)
    assert ready.json() == {"status": "fail", "checks": {"store": "ok", "log": "OSError: the disk is gone"}}
    assert ask(engine, "/readyz")[0].json() == {"status": "ok", "checks": {"store": "ok"}}


def test_metrics_are_prometheus_text(engine: Engine) -> None:
    """`/metrics` answers in Prometheus's format."""
    (answer,) = ask(engine, "/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert "# TYPE tokensense_api_failed_total counter" in answer.text


def test_a_taken_port_is_one_line(engine: Engine) -> None:
    """An endpoint that cannot be had is a configuration error that says what to do; stop is safe all the same."""

    async def main() -> None:
        app = make_app(Sources(engine, lambda: NOON, {}, None, explainer(engine, AccountingConfig())))
        first = ApiServer(ApiConfig(endpoint="127.0.0.1:0"), app)
        await first.start()
        second = ApiServer(ApiConfig(endpoint=first.endpoint), app)
        try:
            with pytest.raises(ConfigError, match=r"^api\.endpoint: cannot listen on 127\.0\.0\.1:\d+ \(Address alre"):
                await second.start()
        finally:
            await second.stop()
            await first.stop()
            await first.stop()

    asyncio.run(main())


def test_the_api_stays_on_this_machine_unless_it_is_said_outright() -> None:
    """Other hosts than loopback are refused without `allow_unauthenticated_remote`."""
    assert ApiConfig(endpoint="[::1]:1").endpoint == "[::1]:1"
    assert ApiConfig(endpoint="0.0.0.0:1", allow_unauthenticated_remote=True).endpoint == "0.0.0.0:1"
    with pytest.raises(ValueError, match=r"asks nobody for a key; write endpoint: 127\.0\.0\.1:1, or say allow_unauth"):
        ApiConfig(endpoint="0.0.0.0:1")


def test_answers_are_plain_json(engine: Engine) -> None:
    """The body is JSON that any reader takes."""
    (answer,) = ask(engine, "/api/v1/insights")
    assert answer.headers["content-type"] == "application/json"
    assert json.loads(answer.text)["insights"][0]["id"] == an_insight().id
