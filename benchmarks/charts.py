"""Charts of what was measured, as SVG that a browser shows and a text editor can read: bars, and lines over time."""

import os
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from benchmarks.measure import FULL, Effort

FOLDER = os.environ.get("BENCH_CHARTS", "")
"""Where charts go; by default those of whole runs go to `docs/charts`, and those of quick ones nowhere."""

_WIDTH, _ROW, _TOP = 760, 34, 56
_LEFT, _HEIGHT = 250, 320
_COLOURS = ("#2f6fb2", "#c8553d", "#5a8f4e", "#8a63a8", "#b58900", "#5c6670")


def save(name: str, svg: str, effort: Effort) -> None:
    folder = Path(FOLDER) if FOLDER else Path(__file__).parents[1] / "docs" / "charts"
    if FOLDER or effort == FULL:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.svg").write_text(svg, encoding="utf-8")


def bars(title: str, unit: str, values: Mapping[str, float]) -> str:
    """A bar for each value, its number beside it."""
    most = max(values.values(), default=0.0) or 1.0
    parts = []
    for row, (name, value) in enumerate(values.items()):
        y, width = _TOP + row * _ROW, value / most * (_WIDTH - _LEFT - 90)
        colour = _COLOURS[0] if name.startswith("TokenSense") else _COLOURS[5]
        parts.append(_text(_LEFT - 8, y + 17, name, "end"))
        parts.append(f'<rect x="{_LEFT}" y="{y}" width="{max(width, 1):.1f}" height="{_ROW - 10}" fill="{colour}"/>')
        parts.append(_text(_LEFT + width + 8, y + 17, _number(value)))
    return _page(title, unit, _TOP + len(values) * _ROW + 8, parts)


def lines(title: str, unit: str, series: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    """A line for each series of (minute, value), from zero up."""
    points = [point for each in series.values() for point in each]
    most_x = max((x for x, _ in points), default=0.0) or 1.0
    most_y = max((y for _, y in points), default=0.0) or 1.0
    left, bottom, width, height = 70, _HEIGHT - 34, _WIDTH - 240, _HEIGHT - 34 - _TOP
    parts = []
    for step in range(5):
        y = bottom - step / 4 * height
        parts.append(f'<line x1="{left}" y1="{y:.1f}" x2="{left + width}" y2="{y:.1f}" stroke="#d5d9de"/>')
        parts.append(_text(left - 8, y + 4, _number(step / 4 * most_y), "end"))
        parts.append(_text(left + step / 4 * width, bottom + 20, f"{step / 4 * most_x:g} min", "middle"))
    for row, (name, each) in enumerate(series.items()):
        colour = _COLOURS[row % len(_COLOURS)]
        path = " ".join(f"{left + x / most_x * width:.1f},{bottom - y / most_y * height:.1f}" for x, y in each)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(f'<rect x="{left + width + 18}" y="{_TOP + row * 22}" width="12" height="12" fill="{colour}"/>')
        parts.append(_text(left + width + 36, _TOP + row * 22 + 10, name))
    return _page(title, unit, _HEIGHT, parts)


def _page(title: str, unit: str, height: int, parts: Sequence[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif">'
    ground = f'<rect width="{_WIDTH}" height="{height}" fill="white"/>'
    top = f'<text x="12" y="24" font-size="16" font-weight="bold">{escape(title)}</text>' + _text(12, 42, unit)
    return "\n".join([head, ground, top, *parts, "</svg>"]) + "\n"


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="12" text-anchor="{anchor}">{escape(text)}</text>'


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
