"""Answers `explain` from the store. The price list is loaded when it is first asked for: few ever ask."""

from collections.abc import Callable
from functools import cache
from typing import Any

from sqlalchemy import Engine

from tokensense_otel.dataflow.accounting import AccountingConfig
from tokensense_otel.dataflow.explain.explain import explain
from tokensense_otel.dataflow.explain.explanation import to_document
from tokensense_otel.dataflow.explain.sources import Kept
from tokensense_otel.dataflow.pricing import Catalogue

Explain = Callable[[str, str | None], dict[str, Any]]
"""The explanation of an id, of one tenant or of all. Raises `explain.Unexplained`."""


def explainer(engine: Engine, config: AccountingConfig, load: Callable[[], Catalogue] = Catalogue.load) -> Explain:
    """`load` gives the price list that the dataflow uses."""
    catalogue = cache(load)

    def answer(name: str, tenant: str | None) -> dict[str, Any]:
        return to_document(explain(Kept(engine, tenant), name, catalogue=catalogue(), config=config))

    return answer
