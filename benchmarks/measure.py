"""How a figure is taken: several runs, each on fresh input made outside the clock, and their median."""

import gc
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Effort:
    """How much to do: `runs` of each measurement, on inputs of about `size` items."""

    runs: int
    size: int


FULL = Effort(runs=7, size=5_000)
QUICK = Effort(runs=2, size=500)


def seconds(effort: Effort, prepare: Callable[[], T], work: Callable[[T], object]) -> float:
    """The median time of `work` on what `prepare` makes, after one run that does not count."""
    taken = []
    for _ in range(effort.runs + 1):
        prepared = prepare()
        gc.collect()
        began = time.perf_counter()
        work(prepared)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken[1:])


def quantile(values: list[float], share: float) -> float:
    """The smallest value with at least `share` (0…1) of all at or below it."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-int(share * 1000) * len(ordered) // 1000) - 1))]


def report(what: str, figure: str, note: str = "") -> None:
    print(f"{what:<44} {figure:>18}  {note}".rstrip(), flush=True)


def resident(*, collect: bool = True) -> int:
    """Bytes of memory that this process has in use."""
    if collect:
        gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
