"""Scores as a table for people."""

from collections.abc import Iterable

from benchmarks.incidents.labels import STATISTICAL
from benchmarks.incidents.score import Score, delays

HEAD = (
    "| {what} | kind | incidents | found | wrong | precision | recall | told after, median | p95 | alerts a week |\n"
    "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|"
)


def table(scores: Iterable[Score], what: str = "rule", *, kinds: bool = True) -> str:
    """Markdown, a row for each score that has anything to say."""
    head = HEAD.format(what=what) if kinds else HEAD.format(what=what).replace(" kind |", "", 1).replace("---|", "", 1)
    rows = [_row(score, kinds=kinds) for score in scores if score.incidents or score.alerts]
    return "\n".join([head, *rows])


def _row(score: Score, *, kinds: bool) -> str:
    median, p95 = delays(score)
    kind = ("statistical" if score.rule in STATISTICAL else "deterministic",) if kinds else ()
    cells = (
        score.rule,
        *kind,
        str(score.incidents),
        str(score.found),
        f"{score.wrong} (+{score.early} in the first two weeks)" if score.early else str(score.wrong),
        _share(score.precision),
        _share(score.recall),
        span(median),
        span(p95),
        f"{score.pages_a_week:.1f}",
    )
    return f"| {' | '.join(cells)} |"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def span(seconds: float | None) -> str:
    """Seconds as people read them: `40 s`, `12 min`, `3.4 h`."""
    if seconds is None:
        return "–"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7_200 else f"{seconds / 3600:.1f} h"
