"""All that a rule written in Python needs, in one place; see docs/rules/plugins.md."""

from tokensense_otel.core.call import Call
from tokensense_otel.core.insight import Severity
from tokensense_otel.dataflow.pricing import Catalogue
from tokensense_otel.dataflow.rules.call_rule import CallRule, Fact, WindowRule, average, team_of
from tokensense_otel.dataflow.rules.evaluation.durations import Duration, Window
from tokensense_otel.dataflow.rules.evaluation.series import CallSeries
from tokensense_otel.dataflow.rules.rule import Level, RuleConfig, WindowConfig, Words

__all__ = [
    "Call",
    "CallRule",
    "CallSeries",
    "Catalogue",
    "Duration",
    "Fact",
    "Level",
    "RuleConfig",
    "Severity",
    "Window",
    "WindowConfig",
    "WindowRule",
    "Words",
    "average",
    "team_of",
]
