"""Whether a call was simple work, as far as its telemetry tells, and how long the answers were."""

from typing import Any, Final

from tokensense_otel.core.call import Call, Task
from tokensense_otel.dataflow.rules.calls import asked_for_tool
from tokensense_otel.dataflow.rules.evaluation.durations import bucket_ns
from tokensense_otel.dataflow.rules.evaluation.histogram import RollingHistogram
from tokensense_otel.dataflow.rules.evaluation.series import CallSeries

OUTPUT: Final = "output"
"""Name of the histogram of output tokens."""


def is_simple(call: Call) -> bool:
    """`False` where it is said that tools were offered or called, that the model reasoned, or that the answer is no
    text. What nobody says does not count."""
    return not (call.tokens.reasoning or call.used_tools or call.task & Task.OTHER_OUTPUT or asked_for_tool(call))


def answers(series: CallSeries, window_ns: int) -> CallSeries:
    """The series, with a histogram of output tokens."""
    series.histograms = {OUTPUT: RollingHistogram(window_ns, bucket_ns(window_ns))}
    return series


def spread_of(series: CallSeries) -> dict[str, Any]:
    """How long the answers were, each within 4.3 %: a mean does not show five long ones among many short ones."""
    lengths = series.histograms[OUTPUT].total
    return {
        "p50_output_tokens": lengths.quantile(0.5),
        "p90_output_tokens": lengths.quantile(0.9),
        "longest_output_tokens": lengths.quantile(1.0),
    }
