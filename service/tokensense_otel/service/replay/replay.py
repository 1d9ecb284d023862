"""Run recordings through the dataflow in this process: bounded, and the same answer every time."""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from tokensense_otel.core.insight import to_dict
from tokensense_otel.core.usage import Accounting, usage_rows
from tokensense_otel.receiver.log.entry import Entry
from tokensense_otel.service.accounting import corrections
from tokensense_otel.service.config import Settings
from tokensense_otel.service.loader import load_rules
from tokensense_otel.service.replay.backtest import compare
from tokensense_otel.service.replay.read import Reader

SALT = hashlib.sha256(b"tokensense replay").digest()
"""Prompt hashes of a replay stay in its output, so a fixed salt gives the same ids on every machine."""


def replay(settings: Settings, reader: Reader, paths: Iterable[Path], tried: Settings | None = None) -> dict[str, Any]:
    """The document that `tokensense replay --format json` prints: `accounting`, `usage`, `insights`, `corrections`.

    With rules that are `tried`, the insights are theirs, and `backtest` compares them with those in force.

    What could not be read at all counts as one rejected span, so that the books still balance and show it.
    """
    from tokensense_otel.dataflow.pricing import Catalogue
    from tokensense_otel.dataflow.runner import InProcessRunner

    def quarantine(entry: Entry) -> None:
        reader.refuse(f"a request of {entry.signal.value}", "it could not be taken apart")

    runner = InProcessRunner(
        settings.dataflow,
        rules=settings.rule_set,
        normalise=settings.normalise,
        salt=SALT,
        catalogue=Catalogue.load(settings.prices),
        quarantine=quarantine,
    )
    for entry in reader.entries(paths):
        runner.feed([entry])
    outcome = runner.finish()
    total = Accounting(spans=reader.rejected, rejected=reader.rejected)
    for accounting in outcome.accounting.values():
        total.add(accounting)
    insights = outcome.insights if tried is None else runner.judge(tried.rule_set)
    document: dict[str, Any] = {
        "accounting": msgspec.to_builtins(total),
        "usage": usage_rows(outcome.usage.items()),
        "insights": [to_dict(insight) for insight in insights],
        "corrections": corrections(outcome.tallies),
    }
    if tried is not None:
        document["backtest"] = compare(insights, outcome.insights, runner.span_ns())
    return document


def with_rules(settings: Settings, path: Path) -> Settings:
    """The settings with the rules of a file in place of their own, for a backtest.

    The file is a whole configuration, of which `rules`, `tenants` and `projects` count, or just the mapping beneath
    `rules`.

    Raises:
        ConfigError: when the file is no such thing.
    """
    tried = load_rules(path, os.environ)
    return settings.model_copy(update={"rules": tried.rules, "tenants": tried.tenants, "projects": tried.projects})
