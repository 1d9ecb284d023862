"""What the demo prints, and when it says that something is missing."""

import io
from decimal import Decimal

import pytest

from tokensense_otel.core.insight import Insight, Severity, Status
from tokensense_otel.service.demo.api import TeamUsage
from tokensense_otel.service.demo.demo import shortfalls
from tokensense_otel.service.demo.scenarios import plan
from tokensense_otel.service.demo.view import View, dollars, savings


def insight(rule: str, *, status: Status = Status.FIRING, saves: str | None = None, episode: str = "") -> Insight:
    return Insight(
        id=f"in_{rule}_{status}_{saves}",
        episode_id=episode or f"ep_{rule}",
        status=status,
        rule=rule,
        severity=Severity.HIGH,
        tenant="default",
        project="default",
        scope={"team": "checkout"},
        title="checkout uses gpt-4o for very short answers",
        summary="20 calls averaged 3 output tokens.",
        evidence={},
        suggested_fix="Use gpt-4o-mini.",
        estimated_monthly_savings_usd=saves,
        started_at="2026-01-31T08:00:00Z",
        detected_at="2026-01-31T08:00:00Z",
    )


PLAN = plan()
ALL = [insight(rule) for rule in sorted(PLAN.expected_rules)]
SENT = len(PLAN.calls)


def test_nothing_is_missing_when_everything_happened() -> None:
    """Every planned call sent and counted and every rule fired: nothing to report."""
    assert shortfalls(PLAN, SENT, SENT, ALL) == []


@pytest.mark.parametrize(
    ("sent", "counted", "insights", "expected"),
    [
        (SENT, SENT - 1, ALL, [f"{SENT} calls were sent, {SENT - 1} were counted"]),
        (SENT, SENT + 1, ALL, [f"{SENT} calls were sent, {SENT + 1} were counted"]),
        (SENT - 1, SENT - 1, ALL, [f"{SENT} calls were planned, {SENT - 1} were sent"]),
        (SENT, SENT, ALL[1:], ["CACHE_WASTE did not fire"]),
        (SENT, SENT, [*ALL[1:], insight("CACHE_WASTE", status=Status.RESOLVED)], ["CACHE_WASTE did not fire"]),
    ],
)
def test_what_did_not_go_as_planned_is_named(
    sent: int, counted: int, insights: list[Insight], expected: list[str]
) -> None:
    """One call too few or too many, or a rule that stayed silent, is said in one line."""
    assert shortfalls(PLAN, sent, counted, insights) == expected


def test_savings_take_the_latest_word_of_each_episode() -> None:
    """An update replaces its episode's estimate; an unknown one adds nothing."""
    told = [insight("A", saves="1.00"), insight("A", status=Status.UPDATE, saves="2.50"), insight("B", saves=None)]
    assert savings(told) == Decimal("2.50")


def test_an_unknown_amount_is_not_zero() -> None:
    """What nobody priced is called unknown."""
    assert (dollars(None), dollars(Decimal(0))) == ("unknown", "$0.0000")


def test_plain_output_is_plain() -> None:
    """Without a terminal there are no control characters, and each insight keeps its text on one line."""
    out = io.StringIO()
    view = View(plain=True, file=out)
    view.insight(insight("MODEL_MISUSE"), 2.61)
    view.summary(40, [TeamUsage("checkout", 40, 0, Decimal("0.0358"))], [insight("MODEL_MISUSE", saves="0.02")], [])
    assert out.getvalue() == (
        "   2.6 s  HIGH    MODEL_MISUSE        checkout uses gpt-4o for very short answers\n"
        "          20 calls averaged 3 output tokens.\n"
        "          → Use gpt-4o-mini.\n"
        "\n"
        "calls     40 sent, 40 counted: they agree\n"
        "spend by team\n"
        "  checkout  $0.0358  40 calls\n"
        "insights  1 fired: MODEL_MISUSE\n"
        "savings   $0.0200 of $0.0358 spent (estimated)\n"
    )


def test_what_went_wrong_is_the_last_thing_said() -> None:
    """A summary of a failed run says that the counts differ and lists the reasons."""
    out = io.StringIO()
    View(plain=True, file=out).summary(40, [], [], ["40 calls were sent, 0 were counted"])
    lines = out.getvalue().splitlines()
    assert lines[1] == "calls     40 sent, 0 counted: they do not agree"
    assert lines[-1] == "not as planned: 40 calls were sent, 0 were counted"
