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
from tokensense_otel.service.replay.read import Reader

SALT = hashlib.sha256(b"tokensense replay").digest()
"""Prompt hashes of a replay stay in its output, so a fixed salt gives the same ids on every machine."""


def replay(settings: Settings, reader: Reader, paths: Iterable[Path]) -> dict[str, Any]:
    """The document that `tokensense replay --format json` prints: `accounting`, `usage`, `insights`, `corrections`.

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
    return {
        "accounting": msgspec.to_builtins(total),
        "usage": usage_rows(outcome.usage.items()),
        "insights": [to_dict(insight) for insight in outcome.insights],
        "corrections": corrections(outcome.tallies),
    }


def with_rules(settings: Settings, path: Path) -> Settings:
    """The settings with the rules of a file in place of their own, for a backtest.

    The file is a whole configuration, of which `rules` and `projects` count, or just the mapping beneath `rules`.

    Raises:
        ConfigError: when the file is no such thing.
    """
    rules, projects = load_rules(path, os.environ)
    return settings.model_copy(update={"rules": rules, "projects": projects})
