"""RUNAWAY_SESSION: an agent that spends and spends."""

from typing import Any, Final

from pydantic import Field

from tokensense_otel.core.call import UNATTRIBUTED, Call
from tokensense_otel.core.insight import Severity
from tokensense_otel.core.money import usd_text
from tokensense_otel.dataflow.facts import ToolUse
from tokensense_otel.dataflow.pricing import Catalogue
from tokensense_otel.dataflow.rules.builtin.sessions.session_series import USES, SessionSeries
from tokensense_otel.dataflow.rules.call_rule import NOT_TEXT, CallRule, Fact, team_of
from tokensense_otel.dataflow.rules.evaluation.durations import SECOND_NS, Duration, Window
from tokensense_otel.dataflow.rules.evaluation.series import MONEY, CallSeries
from tokensense_otel.dataflow.rules.evaluation.windows import Rolling
from tokensense_otel.dataflow.rules.rule import RuleConfig, Words
from tokensense_otel.dataflow.rules.thresholds import dollars

MINUTE_NS: Final = 60 * SECOND_NS
_AROUND: Final = 4
"""Newest calls among which one may be of a small model beside the one whose context grows."""


class RunawaySessionConfig(RuleConfig):
    """Thresholds of RUNAWAY_SESSION: each of three signs is enough."""

    severity: Severity = Severity.HIGH
    """`high`, `medium` or `low`."""
    keep_firing_for: Duration = Duration("5m")
    """How long the condition has to be false before the finding is resolved."""
    window: Window = Duration("2m")
    """Over which tokens are counted."""
    min_calls: int = Field(default=10, ge=2)
    """Calls in the window before their tokens count as a sign."""
    tokens_per_minute: int = Field(default=500_000, ge=1)
    """First sign: so many tokens a minute over the window. Input that a prompt cache served does not count."""
    growing_calls: int = Field(default=25, ge=3, le=128)
    """Second sign: in so many calls in a row the context of one model only grew, by `growth` and to `min_context`."""
    growth: float = Field(default=10.0, gt=1)
    """How many times its first size the context has to have for the second sign."""
    min_context: int = Field(default=50_000, ge=1)
    """Input tokens that no cache served in one call, below which the second sign is none."""
    tool_repeats: int = Field(default=20, ge=2, le=USES)
    """Third sign: the same tool was used so often with the same arguments within `repeats_within`."""
    repeats_within: Window = Duration("10m")
    """Time within which uses of a tool count as repeats; after it a session that is still is over."""


class RunawaySession(CallRule[RunawaySessionConfig]):
    """A session is what names one; of calls that name none each trace is one. Of tools only hashes of their arguments
    are known, and only of those whose arguments somebody exports."""

    name = "RUNAWAY_SESSION"
    description = "A session spends tokens at a great rate, its context only grows, or it calls one tool over and over."
    scope = ("team", "session", "trace")
    fields = ("calls", "tokens")
    thresholds = (
        *("window", "min_calls", "tokens_per_minute", "growing_calls", "growth", "min_context"),
        *("tool_repeats", "repeats_within"),
    )
    above = ("tokens_per_minute", "growth", "tool_repeats")
    sample_type = ToolUse
    unbounded = True
    config_type = RunawaySessionConfig

    def new_series(self, config: RunawaySessionConfig, /) -> SessionSeries:
        return SessionSeries(Rolling.over(config.window, len(self.fields) + MONEY), config.repeats_within)

    def observe(self, call: Call, _config: RunawaySessionConfig, _catalogue: Catalogue, /) -> Fact | None:
        session = call.dimensions.session
        tokens = call.tokens
        return Fact(
            (team_of(call), session, "" if session else call.trace_id.hex()),
            (1, _uncached(call) + (tokens.output or 0)),
        )

    def post(self, series: CallSeries, call: Call, fact: Fact, sign: int, time_ns: int) -> bool:
        assert isinstance(series, SessionSeries)  # noqa: S101 - it was made here
        if call.tokens.input is not None and call.operation not in NOT_TEXT:
            series.step((time_ns, call.model, _uncached(call)), sign)
        return super().post(series, call, fact, sign, time_ns)

    def place(self, sample: ToolUse, _config: RunawaySessionConfig, /) -> tuple[str, ...] | None:
        return sample.team or UNATTRIBUTED, sample.session, "" if sample.session else sample.trace_id.hex()

    def take(self, series: CallSeries, sample: ToolUse, time_ns: int, /) -> bool:
        assert isinstance(series, SessionSeries)  # noqa: S101 - it was made here
        series.use(sample, time_ns)
        return True

    def judge(self, series: CallSeries, config: RunawaySessionConfig, /) -> int | None:
        """Percent of the threshold of the sign that is most above its own."""
        assert isinstance(series, SessionSeries)  # noqa: S101 - it was made here
        most = 0
        calls, tokens = series.window.totals[:2]
        limit = config.tokens_per_minute * config.window // MINUTE_NS
        if tokens >= limit and calls >= config.min_calls:
            most = tokens * 100 // limit
        if series.uses:
            repeats, _ = series.most_repeated()
            if repeats >= config.tool_repeats:
                most = max(most, repeats * 100 // config.tool_repeats)
        steps = series.steps
        if (
            len(steps) >= config.growing_calls
            and max(step[2] for step in steps[-_AROUND:]) >= config.min_context
            and series.going_on
        ):
            growing, first, largest = series.growth()
            if growing >= config.growing_calls and largest >= config.growth * max(1, first):
                most = max(most, int(largest * 100 / (config.growth * max(1, first))))
        return most or None

    def observed(self, series: CallSeries, /) -> dict[str, Any]:
        assert isinstance(series, SessionSeries)  # noqa: S101 - it was made here
        calls, tokens = series.window.totals[:2]
        growing, first, largest = series.growth()
        width_ns = series.window.shape[0] * series.window.shape[1]
        repeats, tool = series.most_repeated()
        return {
            "calls": calls,
            "tokens_per_minute": tokens * MINUTE_NS // width_ns,
            "growing_calls": growing,
            "context_tokens": {"first": first, "largest": largest},
            "most_repeated_tool": {"tool": tool, "uses": repeats} if repeats > 1 else None,
        }

    def money(self, series: CallSeries, _config: RunawaySessionConfig, _catalogue: Catalogue, /) -> dict[str, Any]:
        priced, spent = series.month.totals[:2]
        window_priced, window_spent = series.window.totals[-MONEY:][:2]
        width_ns = series.window.shape[0] * series.window.shape[1]
        return {
            "spend_usd": usd_text(spent if priced > 0 else None),
            "usd_per_minute": usd_text(window_spent * MINUTE_NS // width_ns if window_priced > 0 else None),
            "price_ids": list(series.prices),
        }

    def savings(self, _series: CallSeries, /) -> int | None:
        return None

    def words(
        self, scope: dict[str, str], series: CallSeries, config: RunawaySessionConfig, catalogue: Catalogue, /
    ) -> Words:
        assert isinstance(series, SessionSeries)  # noqa: S101 - it was made here
        seen = self.observed(series)
        repeats, tool = series.most_repeated()
        signs: list[str] = []
        if seen["tokens_per_minute"] >= config.tokens_per_minute:
            signs.append(f"{seen['tokens_per_minute']:,} tokens a minute over {config.window}")
        context = seen["context_tokens"]
        if seen["growing_calls"] >= config.growing_calls and context["largest"] >= config.growth * context["first"]:
            signs.append(
                f"a context that grew from {context['first']:,} to {context['largest']:,} tokens in "
                f"{seen['growing_calls']} calls"
            )
        if repeats >= config.tool_repeats:
            signs.append(f"{tool} called {repeats} times with the same arguments in {config.repeats_within}")
        money = self.money(series, config, catalogue)
        spent = f"{dollars(series.month.totals[1])} so far" if money["spend_usd"] else "Nobody knows its cost"
        which = f"Session {scope['session']}" if "session" in scope else f"Trace {scope['trace']}"
        return Words(
            title=f"A session of {scope['team']} runs away",
            summary=f"{which}: {'; '.join(signs) or 'calmer than before'}. {spent}.",
            suggested_fix="Stop the session if nobody waits for it. Then bound the agent: a limit of steps and tokens "
            "for each run, a context that is summarised before it is long, and an end when a tool answers the same "
            "again.",
        )


def _uncached(call: Call) -> int:
    """Input that no prompt cache served, as far as that is told."""
    tokens = call.tokens
    read, cached = tokens.input or 0, tokens.cache_read
    return max(0, read - cached) if cached else read
