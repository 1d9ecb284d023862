"""Spans, log records and metrics of the same calls: both engines keep the same books, and each call is there once."""

import random
from pathlib import Path

import pytest

from tests.contract.test_engines import ENGINES, books
from tests.support.calls import SECOND
from tests.support.captures import CAPTURES
from tokensense_otel.receiver.log.entry import Entry, Signal

SIGNALS = {"traces": Signal.TRACES, "logs": Signal.LOGS, "metrics": Signal.METRICS}
RECEIVED = 1_795_516_000_000_000_000
"""2026-11-24T10:26:40Z, within a day after the captures were made."""
FOLDERS = ["official_genai", "openai_v2", "openlit", "pydantic_ai", "traceloop"]


def entries(folder: str, *signals: str) -> list[Entry]:
    paths = sorted((CAPTURES / folder).glob("*.pb"))
    chosen = [(path, kind) for path in paths if (kind := _kind(path)) in signals]
    return [
        Entry(SIGNALS[kind], "default", "", RECEIVED + number * SECOND, path.read_bytes())
        for number, (path, kind) in enumerate(chosen)
    ]


def _kind(path: Path) -> str:
    return path.name.split(".")[1]


@pytest.mark.parametrize("folder", FOLDERS)
def test_all_signals_together_are_the_calls_of_the_spans(folder: str) -> None:
    """Whichever engine and order, and though all is sent twice, records and metrics change no sum."""
    alone, accounting, _ = books(ENGINES[0](entries(folder, "traces")))
    everything = [entry for _ in range(2) for entry in entries(folder, *SIGNALS)]
    shuffled = random.Random(7).sample(everything, len(everything))

    for engine in ENGINES:
        for some in (everything, shuffled):
            rows, total, _ = books(engine(some))
            assert rows == alone
            assert (total.calls, total.metered, total.spans) == (accounting.calls, 0, 2 * accounting.spans)
            became = total.calls + total.duplicates + total.wrappers + total.not_genai + total.rejected
            assert became == total.spans + total.records


@pytest.mark.parametrize("signal", ["logs", "metrics"])
@pytest.mark.parametrize("folder", ["official_genai", "openlit"])
def test_one_signal_alone_is_the_same_in_both_engines(folder: str, signal: str) -> None:
    """Calls that only records, or only metrics, tell of: the same books in any order."""
    some = entries(folder, signal)
    first, *others = [
        books(engine(order)) for engine in ENGINES for order in (some, random.Random(7).sample(some, len(some)))
    ]
    assert first[1].calls == (first[1].records if signal == "logs" else first[1].metered) > 0
    assert others == [first] * 3
