"""What a person sees of the demo: a line as each thing happens, a summary at the end.

Lines are only ever added, so nothing flickers and a pipe gets the same text without colours.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final, TextIO

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tokensense_otel.core.insight import Insight, Status
from tokensense_otel.service.demo.api import TeamUsage
from tokensense_otel.service.demo.scenarios import Plan

_COLOURS: Final = {"high": "bold red", "medium": "yellow", "low": "cyan"}
_PLAIN_WIDTH: Final = 200
_UNDER: Final = " " * 10


class View:
    """Prints to `file` (standard output by default); plain when asked to be or when it is no terminal."""

    def __init__(self, *, plain: bool = False, file: TextIO | None = None) -> None:
        console = Console(file=file, highlight=False)
        if plain or not console.is_terminal:
            console = Console(file=file, highlight=False, no_color=True, force_terminal=False, width=_PLAIN_WIDTH)
        self._console = console

    def line(self, text: str | Text = "") -> None:
        self._console.print(text, soft_wrap=True)

    def _table(self, table: Table) -> None:
        """Rows without the spaces that fill a table's last column."""
        with self._console.capture() as captured:
            self._console.print(table)
        for row in captured.get().splitlines():
            self.line(Text.from_ansi(row.rstrip()))

    def opening(self, plan: Plan, endpoints: Mapping[str, str]) -> None:
        self.line(Text(f"TokenSense is up: OTLP gRPC {endpoints['grpc']}, OTLP HTTP {endpoints['http']}", style="bold"))
        self.line(f"{len(plan.services)} services send {len(plan.calls)} model calls over OTLP:")
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
        for service in plan.services:
            table.add_row("", service.name, service.team, service.why)
        self._table(table)
        self.line()

    def insight(self, insight: Insight, elapsed_s: float) -> None:
        """One insight: when it came, what it is, whose it is and what to do."""
        line = Text(f"{elapsed_s:6.1f} s  ")
        if insight.status is Status.FIRING:
            line.append(f"{insight.severity.value.upper():<7}", style=_COLOURS[insight.severity.value])
        else:
            line.append(f"{insight.status.value:<7}", style="green")
        line.append(f" {insight.rule:<19}", style="bold").append(f" {insight.title}")
        self.line(line)
        self._below(Text(insight.summary, style="dim"))
        if insight.status is Status.FIRING:
            self._below(Text(f"→ {insight.suggested_fix}"))

    def _below(self, text: Text) -> None:
        """A further line under an insight; wrapped under itself where there is a terminal's width to keep to."""
        if self._console.is_terminal:
            self._console.print(Padding(text, (0, 0, 0, len(_UNDER))))
        else:
            self.line(Text(_UNDER).append_text(text))

    def summary(
        self, sent: int, usage: Iterable[TeamUsage], insights: Iterable[Insight], shortfalls: Iterable[str]
    ) -> None:
        """Calls, spend by team, insights, savings; then whatever did not go as planned."""
        teams, found, gaps = list(usage), list(insights), list(shortfalls)
        counted = sum(team.calls for team in teams)
        self.line()
        verdict = "they agree" if counted == sent else "they do not agree"
        self.line(Text(f"calls     {sent} sent, {counted} counted: {verdict}", style="bold"))
        self.line("spend by team")
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
        for name in ("", "team", "cost", "calls", "errors"):
            table.add_column(name, justify="right" if name in ("cost", "calls") else "left")
        for team in sorted(teams, key=lambda team: team.cost or Decimal(0), reverse=True):
            errors = f"{team.errors} failed" if team.errors else ""
            table.add_row("", team.team, dollars(team.cost), f"{team.calls} calls", errors)
        self._table(table)
        firing = [insight for insight in found if insight.status is Status.FIRING]
        self.line(f"insights  {len(firing)} fired: {', '.join(insight.rule for insight in firing)}")
        total = sum((team.cost for team in teams if team.cost is not None), Decimal(0))
        self.line(
            Text(f"savings   {dollars(savings(found))} of {dollars(total)} spent (estimated)", style="bold green")
        )
        for gap in gaps:
            self.line(Text(f"not as planned: {gap}", style="bold red"))


def savings(insights: Iterable[Insight]) -> Decimal:
    """The latest estimate of each episode, added up."""
    latest = {insight.episode_id: insight.estimated_monthly_savings_usd for insight in insights}
    return sum((Decimal(amount) for amount in latest.values() if amount is not None), Decimal(0))


def dollars(amount: Decimal | None) -> str:
    """USD to the hundredth of a cent, as small as a demo's calls are; `unknown` is never zero.

    >>> dollars(Decimal("0.12345")), dollars(None)
    ('$0.1234', 'unknown')
    """
    return "unknown" if amount is None else f"${amount:.4f}"
