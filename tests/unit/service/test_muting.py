"""Silences, acknowledgements and the proof of a finding, from the command line and over HTTP."""

import asyncio
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import structlog
from sqlalchemy import Engine

from tests.support.calls import NOON, SECOND, an_insight
from tokensense_otel.core.insight import Status
from tokensense_otel.dataflow.accounting import AccountingConfig
from tokensense_otel.service import main, muting
from tokensense_otel.service.api.app import Sources, make_app
from tokensense_otel.service.api.config import ApiConfig
from tokensense_otel.service.api.explainer import explainer
from tokensense_otel.service.api.server import ApiServer
from tokensense_otel.service.muting import Asked
from tokensense_otel.store.database import open_database, writing
from tokensense_otel.store.insights import record_insight
from tokensense_otel.store.mutes import Mutes
from tokensense_otel.store.outbox import Outbox

FIRING, OVER = an_insight(evidence={"calls_today": 400, "moved": {"volume_usd": "3.2"}, "days": [100, 90]}), "ep_9"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """An open finding with an update, delivered to the console's lane, and one that is over."""
    engine = open_database("sqlite", data_dir=tmp_path / "tokensense-data")
    outbox = Outbox(engine, lambda: NOON)
    outbox.register(["console"])
    past = [an_insight(status, episode=OVER, scope={"team": "search"}) for status in (Status.FIRING, Status.RESOLVED)]
    told = [FIRING, an_insight(Status.UPDATE), *past]
    with writing(engine).begin() as connection:
        for insight in told:
            record_insight(connection, insight, NOON)
    outbox.enqueue(["console"])
    yield engine
    engine.dispose()


Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def tokensense(
    tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Command]:
    """Runs a command beside the store: (exit code, standard output, standard error)."""
    assert engine
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["tokensense", *arguments])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main.run()
        out, err = capfd.readouterr()
        return int(ended.value.code or 0), out, err

    yield run
    structlog.reset_defaults()


def test_a_silence_is_added_listed_and_ended(tokensense: Command) -> None:
    """Its matchers, who, why and until when are shown; once ended it is listed with --all only."""
    code, out, _ = tokensense(
        "silences", "add", "team=checkout", "rule=~SPIKE|BUDGET", "--until", "2h", "--reason", "migration",
        "--by", "ada", "--format", "json",
    )  # fmt: skip
    made = json.loads(out)
    assert (code, made["matchers"], made["by"], made["reason"], made["state"]) == (
        0, ["team=checkout", "rule=~SPIKE|BUDGET"], "ada", "migration", "in force",
    )  # fmt: skip
    assert made["id"] in tokensense("silences", "list")[1]
    assert json.loads(tokensense("silences", "end", made["id"], "--format", "json")[1])["state"] == "ended"
    assert json.loads(tokensense("silences", "list", "--format", "json")[1]) == {"silences": []}
    [past] = json.loads(tokensense("silences", "list", "--all", "--format", "json")[1])["silences"]
    assert past["id"] == made["id"]
    assert tokensense("silences", "end", made["id"])[0] == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["silences", "add", "team", "--until", "2h", "--reason", "x"], "--matchers: 'team' is no matcher"),
        (["silences", "add", "team=a", "--until", "soon", "--reason", "x"], "--until: 'soon' is not a time"),
        (["silences", "add", "team=a", "--until", "2020-01-01", "--reason", "x"], "--until: 2020-01-01 is over before"),
        (["silences", "add", "team=a", "--until", "2h", "--reason", " "], "--reason: say in up to 500 characters why"),
        (["silences", "add", "team!=a", "--until", "2h", "--reason", "x"], "--matchers: these leave out nothing"),
        (["silences", "add", "team=~.*", "--until", "2h", "--reason", "x"], "--matchers: these leave out nothing"),
        (
            ["silences", "add", "team=a", "--until", "2h", "--reason", "x", "--starts", "3h"],
            "--until: 2h is over before",
        ),
        (["insights", "ack", "in_none", "--reason", "x"], "there is no insight or episode 'in_none'"),
        (["insights", "ack", OVER, "--reason", "x"], "--episode: it was resolved"),
        (["insights", "show", "in_none"], "there is no insight or episode 'in_none'"),
        (["silences", "end", "sil_none"], "'sil_none' is not in force"),
    ],
)
def test_a_wrong_request_is_one_line_that_says_what_to_write(
    tokensense: Command, arguments: list[str], said: str
) -> None:
    """Exit 2, one line on standard error, nothing on standard output, nothing on record."""
    code, out, err = tokensense(*arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert said in err


def test_an_acknowledgement_takes_either_id(tokensense: Command) -> None:
    """The id of the insight or of its episode; the proof then shows who knows, why and until when."""
    by = ("--by", "ada", "--reason", "known", "--until", "1d", "--format", "json")
    first = json.loads(tokensense("insights", "ack", FIRING.id, *by)[1])
    second = json.loads(tokensense("insights", "ack", FIRING.episode_id, *by)[1])
    assert first["matchers"] == second["matchers"] == ["episode=ep_1"]
    proof = json.loads(tokensense("insights", "show", FIRING.id, "--format", "json")[1])
    assert [(mute["kind"], mute["by"]) for mute in proof["mutes"]] == 2 * [("acknowledgement", "ada")]


def test_the_proof_has_the_numbers_the_life_and_the_deliveries(tokensense: Command) -> None:
    """`insights show` prints every number of the evidence, each transition, and what each exporter has of it."""
    text = tokensense("insights", "show", FIRING.id)[1]
    words = [line.split() for line in text.splitlines()]
    for line in (["calls_today", "400"], ["volume_usd", "3.2"], ["days", "100,", "90"], ["Do:", "Look"]):
        assert any(found[: len(line)] == line for found in words), line
    proof = json.loads(tokensense("insights", "show", FIRING.episode_id, "--format", "json")[1])
    assert [each["status"] for each in proof["life"]] == ["firing", "update"]
    assert proof["insight"]["status"] == "update"
    assert [(each["exporter"], each["status"], each["state"]) for each in proof["deliveries"]] == [
        ("console", "firing", "pending"),
        ("console", "update", "pending"),
    ]


def serve(engine: Engine, talk: Callable[[httpx2.AsyncClient], Any]) -> Any:
    async def main_() -> Any:
        sources = Sources(engine, lambda: NOON, {}, None, explainer(engine, AccountingConfig()))
        server = ApiServer(ApiConfig(endpoint="127.0.0.1:0"), make_app(sources))
        await server.start()
        try:
            async with httpx2.AsyncClient(base_url=f"http://{server.endpoint}", trust_env=False) as client:
                return await talk(client)
        finally:
            await server.stop()

    return asyncio.run(main_())


ASKED = {"by": "ada", "reason": "migration", "until": "2h"}


def test_the_api_silences_acknowledges_and_ends(engine: Engine) -> None:
    """POST makes, GET lists, DELETE ends; a second DELETE finds nothing."""

    async def talk(client: httpx2.AsyncClient) -> None:
        made = await client.post("/api/v1/silences", json={**ASKED, "matchers": ["team=checkout"]})
        assert (made.status_code, made.json()["ends_at"]) == (201, "2026-01-01T14:00:00Z")
        acknowledged = await client.post(f"/api/v1/insights/{FIRING.id}/acknowledge", json=ASKED)
        assert (acknowledged.status_code, acknowledged.json()["matchers"]) == (201, ["episode=ep_1"])
        shown = (await client.get(f"/api/v1/insights/{FIRING.id}")).json()
        assert {mute["id"] for mute in shown["mutes"]} == {made.json()["id"], acknowledged.json()["id"]}
        assert [(await client.delete(f"/api/v1/silences/{made.json()['id']}")).status_code for _ in range(2)] == [
            200,
            404,
        ]
        listed = (await client.get("/api/v1/silences")).json()["silences"]
        assert [mute["id"] for mute in listed] == [acknowledged.json()["id"]]
        assert len((await client.get("/api/v1/silences?all=true")).json()["silences"]) == 2

    serve(engine, talk)


@pytest.mark.parametrize(
    ("path", "sent", "status", "said"),
    [
        ("/api/v1/silences", {"json": ASKED}, 400, "matchers: write one to 20"),
        ("/api/v1/silences", {"json": {**ASKED, "matchers": ["team=a"], "untill": "2h"}}, 400, "untill"),
        ("/api/v1/silences", {"content": b"[]", "headers": {"content-type": "application/json"}}, 400, "`object`"),
        ("/api/v1/silences", {"content": b"{}", "headers": {"content-type": "text/plain"}}, 415, "application/json"),
        ("/api/v1/silences", {"json": {**ASKED, "reason": 20_000 * "x"}}, 413, "16384 bytes"),
        ("/api/v1/silences", {"json": ASKED, "headers": {"origin": "https://evil.test"}}, 403, "another origin"),
        ("/api/v1/insights/in_none/acknowledge", {"json": ASKED}, 404, "no insight or episode"),
        (f"/api/v1/insights/{OVER}/acknowledge", {"json": ASKED}, 400, "resolved"),
    ],
)
def test_the_api_refuses_what_is_wrong_and_what_a_foreign_page_sends(
    engine: Engine, path: str, sent: dict[str, Any], status: int, said: str
) -> None:
    """Problem details say what to write; a browser's page of another origin can change nothing."""

    async def talk(client: httpx2.AsyncClient) -> httpx2.Response:
        return await client.post(path, **sent)

    answer = serve(engine, talk)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert said in answer.json()["detail"]
    assert Mutes(engine).listing() == []


def test_a_silence_may_begin_later(engine: Engine) -> None:
    """One that is to come is listed as such and holds nothing yet."""
    later = Asked(by="ada", reason="x", starts="1h", until="2h", matchers=("team=a",))
    made = muting.silence(engine, later, NOON)
    assert muting.to_document(made, NOON)["state"] == "to come"
    assert Mutes(engine).active(NOON) == []
    assert [mute.id for mute in Mutes(engine).active(NOON + 3600 * SECOND)] == [made.id]
