"""Usage is written exactly once, whatever crashes and repeats lie between the dataflow and the store."""

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from tests.support.calls import NOON, a_call, posted
from tokensense_otel.core.tally import Tally, What
from tokensense_otel.core.usage import Accounting, Usage, UsageKey, usage_key
from tokensense_otel.store.database import open_database
from tokensense_otel.store.reader import read_accounting, read_accounting_by_tenant, read_tallies, read_usage
from tokensense_otel.store.rollups import RollupWriter

CELLS: dict[UsageKey, Usage] = {}
for _team in ("checkout", "search"):
    for _posting in posted(a_call(dimensions=a_call().dimensions.__class__(team=_team))):
        CELLS[usage_key(_posting)] = Usage()
KEYS = list(CELLS)
BAD = Tally("default", "cart", What.CORRECTION, "tokens_negative")


def deltas(amounts: list[int]) -> dict[UsageKey, Usage]:
    return {key: Usage(calls=amount, cost=amount * 7) for key, amount in zip(KEYS, amounts, strict=True) if amount}


def totals(engine: Engine) -> list[int]:
    sums = dict(read_usage(engine))
    return [sums.get(key, Usage()).calls for key in KEYS]


amounts = st.lists(st.integers(-3, 9), min_size=2, max_size=2)
epochs = st.lists(st.lists(amounts, max_size=3), min_size=1, max_size=6)
crashes = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3)), max_size=4)


@settings(max_examples=60, deadline=None)
@given(epochs=epochs, crashes=crashes)
def test_sums_equal_the_truth_after_any_crashes(epochs: list[list[list[int]]], crashes: list[tuple[int, int]]) -> None:
    """A flow that crashes inside any epoch, resumes at its last committed one and repeats gives the true sums."""
    with tempfile.TemporaryDirectory() as folder:
        engine = open_database("sqlite", data_dir=Path(folder))
        pending = dict(crashes)
        resume: int | None = None
        writer = RollupWriter(engine, "p0", resume, lambda: NOON)
        epoch = 0
        while epoch < len(epochs):
            batches = epochs[epoch]
            cut = pending.pop(epoch, None)
            for batch in batches if cut is None else batches[:cut]:
                writer.write(deltas(batch), {"default": Accounting(spans=sum(batch))}, [], {BAD: sum(batch)})
            if cut is not None:
                if cut % 2:  # the snapshot was taken, but its epoch never committed
                    writer.snapshot()
                writer = RollupWriter(engine, "p0", resume, lambda: NOON)
                continue
            resume = writer.snapshot()
            epoch += 1

        truth = [sum(batch[i] for batches in epochs for batch in batches) for i in range(2)]
        assert totals(engine) == truth
        assert read_accounting(engine).spans == sum(truth)
        assert read_accounting_by_tenant(engine).get("default", Accounting()).spans == sum(truth)
        assert read_tallies(engine).get(BAD, 0) == sum(truth)
        engine.dispose()


def test_a_recovery_point_behind_what_was_folded_is_told_and_survived(tmp_path: Path) -> None:
    """When the recovery folder is older than the store, the writer goes on above the folded generations."""
    engine = open_database("sqlite", data_dir=tmp_path)
    writer = RollupWriter(engine, "p0", None, lambda: NOON)
    for _ in range(4):
        writer.write(deltas([1, 0]), {}, [])
        writer.snapshot()

    writer = RollupWriter(engine, "p0", None, lambda: NOON)
    writer.write(deltas([1, 0]), {}, [])

    assert totals(engine) == [3, 0]  # generations 1 and 2 were folded, 3 and 4 undone, then one more
    engine.dispose()


def test_two_parts_do_not_undo_each_other(tmp_path: Path) -> None:
    """Restarting one writer leaves what another one wrote."""
    engine = open_database("sqlite", data_dir=tmp_path)
    RollupWriter(engine, "p0", None, lambda: NOON).write(deltas([2, 0]), {}, [])
    RollupWriter(engine, "p1", None, lambda: NOON).write(deltas([3, 0]), {}, [])

    RollupWriter(engine, "p1", None, lambda: NOON)

    assert totals(engine) == [2, 0]
    engine.dispose()
