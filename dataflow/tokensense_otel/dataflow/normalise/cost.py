"""What an emitter says that a call cost: kept beside our own figure, so that a difference can be seen."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from tokensense_otel.core.money import nanos
from tokensense_otel.dataflow.normalise.attributes import from_json, to_number

_MOST_USD: Final = 100_000
_TOTALS: Final = ("total", "total_cost")
"""Langfuse's `cost_details` and MLflow's `llm.cost` are JSON objects with this among their parts."""


def reported_cost(value: Any) -> int | None:
    """Nano-dollars, from a number of USD, its string, or a JSON object with a total; `None` if it is none of them.

    Zero is `None` too: emitters write it where they know no price (LiteLLM, OpenLIT).
    """
    if isinstance(value, str) and value.startswith("{"):
        value = from_json(value, 4_096)
    if isinstance(value, Mapping):
        value = next((value[name] for name in _TOTALS if name in value), None)
    usd = None if value is None else to_number(value)
    if usd is None or not 0 < usd <= _MOST_USD:
        return None
    return nanos(Decimal(repr(usd))) or None
