"""`python -m benchmarks.incidents`: generate, judge and score seeds; `--keep` leaves the recordings for `replay`."""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.incidents.generate import generate
from benchmarks.incidents.labels import HOUR_NS
from benchmarks.incidents.run import best_threshold, compared, judge, ours
from benchmarks.incidents.score import Score
from benchmarks.incidents.table import table
from benchmarks.measure import QUICK as QUICK_EFFORT
from benchmarks.measure import Effort

QUICK = {"teams": 4, "weeks": 1}
FIXED_WINDOW_NS, FIXED_THRESHOLD = HOUR_NS, 20_000_000_000
"""Of the fixed threshold: the best on seeds 1 to 3 (`--tune 1 2 3`)."""


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.incidents", description="Prints precision and recall.")
    parser.add_argument("--seed", type=int, nargs="+", default=[1], metavar="N")
    parser.add_argument("--quick", action="store_true", help="one week of few teams, without what needs a history")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="write the recordings below this folder and keep them")
    parser.add_argument("--only-generate", action="store_true", help="judge nothing; needs --keep")
    parser.add_argument("--tune", action="store_true", help="find the fixed threshold that does best on these seeds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything here as well")
    asked = parser.parse_args(arguments)
    if asked.only_generate and asked.keep is None:
        parser.error("--only-generate needs --keep DIR")
    run(asked)


def incidents(effort: Effort) -> None:
    """As one of the benchmarks: the seeds in `INCIDENTS_SEEDS` (else 1), or a small run of it."""
    seeds = os.environ.get("INCIDENTS_SEEDS", "1").split()
    main(["--seed", *seeds, *(["--quick"] if effort is QUICK_EFFORT else [])])


def run(asked: argparse.Namespace) -> None:
    rules: dict[str, Score] = {}
    ways: dict[str, Score] = {}
    tuned: list[Any] = []
    runs = []
    for seed in asked.seed:
        with _folder(asked.keep, seed) as folder:
            truth = generate(folder, seed, **(QUICK if asked.quick else {}))
            print(f"seed {seed}: {truth.calls:,} calls of {truth.teams} teams in {folder}", file=sys.stderr, flush=True)
            if asked.only_generate:
                continue
            judged = judge(folder)
        print(f"seed {seed}: judged in {judged.seconds:.0f} s", file=sys.stderr, flush=True)
        runs.append({"seed": seed, "calls": judged.calls, "seconds": round(judged.seconds, 1)})
        if asked.tune:
            tuned.append(judged)
        for score in ours(judged):
            _add(rules, score)
        if not asked.quick:
            for score in compared(judged, FIXED_WINDOW_NS, FIXED_THRESHOLD):
                _add(ways, score)
    if asked.only_generate:
        return
    print(table(rules.values()))
    if ways:
        print(f"\n{table(ways.values(), 'way to alert', kinds=False)}")
    for score in rules.values():
        for text in score.missed:
            print(f"missed: {text}")
        for text in score.mistakes:
            print(f"wrong: {text}")
    document: dict[str, Any] = {
        "runs": runs,
        "rules": [score.to_dict() for score in rules.values()],
        "ways": [score.to_dict() for score in ways.values()],
    }
    if tuned:
        window_ns, threshold = best_threshold(tuned)
        document["fixed_threshold"] = {"window_ns": window_ns, "nano_usd": threshold}
        print(f"best fixed threshold: ${threshold / 1e9:.2f} in {window_ns // HOUR_NS} h")
    if asked.json is not None:
        asked.json.write_text(json.dumps(document, indent=1), encoding="utf-8")


def _add(scores: dict[str, Score], score: Score) -> None:
    if score.rule in scores:
        scores[score.rule].add(score)
    else:
        scores[score.rule] = score


@contextmanager
def _folder(keep: Path | None, seed: int) -> Iterator[Path]:
    if keep is not None:
        folder = keep / f"seed-{seed}"
        if folder.exists() and any(folder.iterdir()):
            raise SystemExit(f"{folder} is not empty; remove it or name another folder")
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="incidents-") as parent:
        yield Path(parent) / os.fspath(f"seed-{seed}")
