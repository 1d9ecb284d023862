"""A backtest counts findings, pages a week and dollars, each once, and claims nothing about a week it has not seen."""

from typing import Any

import msgspec
import pytest

from tests.support.calls import an_insight
from tokensense_otel.core.insight import Insight, Status
from tokensense_otel.service.replay.backtest import compare, print_backtest

DAY = 86_400_000_000_000


def told(status: Status = Status.FIRING, *, rule: str = "SPIKE", team: str = "a", saves: str | None = None) -> Insight:
    changes: dict[str, Any] = {"status": status, "rule": rule, "scope": {"team": team}}
    return msgspec.structs.replace(an_insight(), estimated_monthly_savings_usd=saves, **changes)


def test_each_finding_is_one_page() -> None:
    """Updates and ends are told and page nobody: three findings in two weeks are 1.5 a week."""
    tried = [told(), told(Status.UPDATE), told(Status.RESOLVED), told(), told(team="b")]
    document = compare(tried, [told()], 14 * DAY)
    (row,) = document["rules"]
    assert row["tried"] | {"estimated_monthly_savings_usd": None} == {
        "findings": 3,
        "notifications": 5,
        "pages_per_week": 1.5,
        "estimated_monthly_savings_usd": None,
    }
    assert (row["in_force"]["findings"], row["in_force"]["pages_per_week"]) == (1, 0.5)
    assert document["days"] == 14


@pytest.mark.parametrize(("span_ns", "pages"), [(7 * DAY, 1), (7 * DAY - 1, None)])
def test_less_than_a_week_says_nothing_of_one(span_ns: int, pages: float | None) -> None:
    """Pages a week are of whole weeks that were seen, never extrapolated."""
    assert compare([told()], [], span_ns)["total"]["tried"]["pages_per_week"] == pages


def test_dollars_count_once() -> None:
    """A key that fires again saves the same dollars: the most of each key is summed, over rules and keys."""
    tried = [
        told(saves="10"),
        told(Status.UPDATE, saves="12.5"),
        told(saves="11"),
        told(team="b", saves="1"),
        told(rule="CACHE_WASTE", saves="0.25"),
        told(rule="UNPRICED"),
    ]
    document = compare(tried, [], DAY)
    worth = {row["rule"]: row["tried"]["estimated_monthly_savings_usd"] for row in document["rules"]}
    assert worth == {"CACHE_WASTE": "0.25", "SPIKE": "13.5", "UNPRICED": None}
    assert document["total"]["tried"]["estimated_monthly_savings_usd"] == "13.75"


def test_it_is_shown_as_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    """Each rule has a row, what is in force after each slash, and there is a row for all."""
    print_backtest(compare([told(saves="10"), told(team="b")], [told()], 7 * DAY))
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line]
    assert lines[0][-3:] == ["over", "7.0", "days"]
    assert lines[2] == ["SPIKE", "2", "/", "1", "2", "/", "1", "2.0", "/", "1.0", "$10.00", "/", "–"]
    assert lines[3][0] == "together"
