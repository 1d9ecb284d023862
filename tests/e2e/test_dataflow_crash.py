"""The dataflow under `kill -9`: final totals equal the truth and every finding is on record once."""

import asyncio
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from tests.support.calls import NOON, SECOND
from tests.support.dataflow_child import LOG
from tests.support.traffic import a_request, a_span, chat
from tests.support.waiting import eventually
from tokensense_otel.core.insight import Status
from tokensense_otel.core.usage import usage_rows
from tokensense_otel.receiver.log.embedded import EmbeddedLog
from tokensense_otel.receiver.log.entry import Entry, Signal
from tokensense_otel.store.database import open_database
from tokensense_otel.store.insights import list_insights
from tokensense_otel.store.reader import read_accounting, read_usage

pytestmark = pytest.mark.e2e

TRACES = 240


def entries() -> list[Entry]:
    """Each trace is two calls in one request and their root, which names the feature, in a later one; some resent."""
    calls, roots = [], []
    for number in range(TRACES):
        base = 10 * number + 1
        team = {"service.name": "cart", "team": ("checkout", "search")[number % 2]}
        end_ns = NOON + number * SECOND
        two = [a_span(base + n, chat(output_tokens=10), trace=base, parent=base, end_ns=end_ns) for n in (1, 2)]
        root = [a_span(base, {"tokensense.feature": "summary"}, trace=base, end_ns=end_ns)]
        calls.append(a_request(two, team))
        roots.append(a_request(root, team))
    requests = [request for pair in zip(calls, roots[-20:] + roots[:-20], strict=True) for request in pair]
    requests += calls[:30]  # resent: the acknowledgement was lost
    return [
        Entry(Signal.TRACES, "default", "", NOON + number * SECOND, request.SerializeToString())
        for number, request in enumerate(requests)
    ]


async def append(writer_of: Callable[[], EmbeddedLog], some: Iterable[Entry]) -> None:
    writer = writer_of().writer()
    await writer.start()
    for entry in some:
        await writer.append(entry)
    await writer.stop()


class Dataflow:
    """The dataflow as a process."""

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, "-m", "tests.support.dataflow_child", str(folder)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def end(self, how: signal.Signals) -> int:
        self.process.send_signal(how)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return self.process.wait(timeout=30)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_totals_equal_the_truth_after_repeated_kills(
    tmp_path: Path, seed: int, capfd: pytest.CaptureFixture[str]
) -> None:
    """Killed while it works, again and again, the dataflow counts each call once and tells each finding once."""
    chance = random.Random(seed)
    log = lambda: EmbeddedLog(LOG, tmp_path / "log")  # noqa: E731
    waiting = entries()
    engine = open_database("sqlite", data_dir=tmp_path)
    for _ in range(5):
        some = chance.randrange(60, 120)
        asyncio.run(append(log, waiting[:some]))
        waiting = waiting[some:]
        flow = Dataflow(tmp_path)
        seen = read_accounting(engine).spans
        eventually(lambda: read_accounting(engine).spans > seen)  # noqa: B023 - it is in the middle of its work
        with pytest.raises(subprocess.TimeoutExpired):
            flow.process.wait(chance.random() * 0.25)  # anywhere in an epoch
        flow.end(signal.SIGKILL)
    asyncio.run(append(log, waiting))
    flow = Dataflow(tmp_path)
    resent = 60
    eventually(lambda: read_accounting(engine).spans == 3 * TRACES + resent)
    assert flow.end(signal.SIGTERM) == 0

    books = read_accounting(engine)
    assert (books.calls, books.duplicates, books.not_genai) == (2 * TRACES, resent, TRACES)
    rows = usage_rows(read_usage(engine), ("team", "feature", "model"))
    assert [(row["team"], row["feature"], row["calls"], row["input_tokens"], row["output_tokens"]) for row in rows] == [
        ("checkout", "summary", TRACES, TRACES * 1000, TRACES * 10),
        ("search", "summary", TRACES, TRACES * 1000, TRACES * 10),
    ]
    fired = sorted(
        (insight.rule, insight.scope["team"])
        for _, insight in list_insights(engine, rule="MODEL_MISUSE", status=Status.FIRING)
    )
    assert fired == [("MODEL_MISUSE", "checkout"), ("MODEL_MISUSE", "search")]
    assert "dropped" not in capfd.readouterr().err  # every state was taken up again
    engine.dispose()


def test_a_clean_stop_leaves_nothing_to_do_again(tmp_path: Path) -> None:
    """SIGTERM drains the log, commits and ends with 0; the next start finds no backlog and changes nothing."""
    log = EmbeddedLog(LOG, tmp_path / "log")
    asyncio.run(append(lambda: log, entries()[:100]))
    engine = open_database("sqlite", data_dir=tmp_path)

    assert Dataflow(tmp_path).end(signal.SIGTERM) == 0
    first = read_accounting(engine)
    assert Dataflow(tmp_path).end(signal.SIGTERM) == 0

    assert first.spans == 150
    assert read_accounting(engine) == first
    engine.dispose()
