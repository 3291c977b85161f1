"""Charts as inline SVG: colours come from the page, words from the caller, nothing from afar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10, sqrt

from .markup import esc

WIDTH, HEIGHT = 440, 280
LEFT, RIGHT, TOP, BOTTOM = 48, 24, 26, 40
COLOURS = 8  # of curves; the page's style has a rule for each


@dataclass(frozen=True, slots=True)
class Frame:
    """The part of the plane a chart shows."""

    x: tuple[float, float]
    y: tuple[float, float]

    def across(self, value: float) -> float:
        """Pixels from the left."""
        share = (value - self.x[0]) / ((self.x[1] - self.x[0]) or 1.0)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def down(self, value: float) -> float:
        """Pixels from the top."""
        share = (value - self.y[0]) / ((self.y[1] - self.y[0]) or 1.0)
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers from ``low`` to ``high``, at most ``most + 1`` of them."""
    span = high - low
    if span <= 0:
        return [low]
    raw = span / most
    base = 10.0 ** floor(log10(raw))
    step = next((m * base for m in (1, 2, 2.5, 5) if m * base >= raw * (1 - 1e-9)), 10 * base)
    first = ceil(low / step - 1e-9)
    return [i * step for i in range(first, floor(high / step + 1e-9) + 1)]


def lines(
    title: str, series: Mapping[str, Sequence[tuple[float, float]]], across: str, *, share: bool
) -> str:
    """Curves over a common axis. ``share``: values are shares, shown in per cent; of what may be
    below 0 (R2) too."""
    points = [p for curve in series.values() for p in curve]
    low, high = min(y for _, y in points), max(y for _, y in points)
    if not share:
        low = min(0.0, low)
    margin = 0.06 * ((high - low) or abs(high) or 1.0)
    top = min(1.0, high + margin) if share else high + margin
    bottom = max(0.0, low - margin) if share and low >= 0 else low - margin * share
    frame = Frame((min(x for x, _ in points), max(x for x, _ in points)), (bottom, top))
    drawn = [_axes(frame, across, share)]
    for i, (word, curve) in enumerate(series.items()):
        path = " ".join(f"{frame.across(x):.1f},{frame.down(y):.1f}" for x, y in _thin(curve))
        drawn.append(f'<polyline class="curve c{i % COLOURS}" points="{path}"/>')
        end = curve[-1]
        drawn.append(
            f'<circle class="dot c{i % COLOURS}" cx="{frame.across(end[0]):.1f}" '
            f'cy="{frame.down(end[1]):.1f}" r="3.5"><title>{esc(word)}</title></circle>'
        )
    key = "".join(
        f'<li><i class="key c{i % COLOURS}" aria-hidden="true"></i>{esc(w)}</li>'
        for i, w in enumerate(series)
    )
    return f'{_svg(title, "".join(drawn))}<ul class="keys">{key}</ul>'


def reliability_diagram(title: str, table: Sequence[Mapping[str, float]]) -> str:
    """Confidence across, share right upwards, whiskers for the interval, the ideal as a line."""
    least = min(min(b["confidence"], b["low"]) for b in table)
    start = max(0.0, floor(least * 10) / 10)
    frame = Frame((start, 1.0), (start, 1.0))
    most = max(b["count"] for b in table)
    drawn = [_axes(frame, "stated confidence", True, up="really right", across_share=True)]
    ends = [frame.across(start), frame.down(start), frame.across(1.0), frame.down(1.0)]
    drawn.append(
        '<line class="ideal" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>'.format(*ends)
    )
    for each in table:
        x = frame.across(each["confidence"])
        radius = 3 + 4 * sqrt(each["count"] / most)
        drawn.append(
            f'<line class="whisker" x1="{x:.1f}" x2="{x:.1f}" y1="{frame.down(each["low"]):.1f}" '
            f'y2="{frame.down(each["high"]):.1f}"/>'
            f'<circle class="dot c0" cx="{x:.1f}" cy="{frame.down(each["right"]):.1f}" '
            f'r="{radius:.1f}"><title>said {100 * each["confidence"]:.1f} %, right '
            f"{100 * each['right']:.1f} %</title></circle>"
        )
    return _svg(title, "".join(drawn))


def scatter(
    title: str,
    points: Sequence[Sequence[float]],
    across: str,
    up: str,
    half_width: float | None = None,
) -> str:
    """Dots at pairs (x, y) over one scale for both, the line x = y, a band of ``half_width``."""
    values = [v for pair in points for v in pair]
    low, high = min(values), max(values)
    margin = 0.04 * ((high - low) or abs(high) or 1.0)
    span = (low - margin, high + margin)
    frame = Frame(span, span)
    drawn = [_axes(frame, across, False, up=up)]
    if half_width is not None:
        drawn.append(f'<polygon class="band" points="{_band(frame, span, half_width)}"/>')
    ends = [frame.across(span[0]), frame.down(span[0]), frame.across(span[1]), frame.down(span[1])]
    drawn.append(
        '<line class="ideal" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>'.format(*ends)
    )
    drawn += [
        f'<circle class="speck" cx="{frame.across(x):.1f}" cy="{frame.down(y):.1f}" r="2.2"/>'
        for x, y in points
    ]
    return _svg(title, "".join(drawn))


def _band(frame: Frame, span: tuple[float, float], half: float) -> str:
    """Corners of all points at most ``half`` above or below the line x = y, inside the frame."""
    low, high = span
    half = min(half, high - low)
    corners = [
        (low, low), (low, low + half), (high - half, high), (high, high), (high, high - half),
        (low + half, low),
    ]  # fmt: skip
    return " ".join(f"{frame.across(x):.1f},{frame.down(y):.1f}" for x, y in corners)


def bar(value: float, low: float, high: float, *, kind: str = "") -> str:
    """A bar from 0 to 1 with its interval as a whisker; it fills the width of its cell."""
    left, wide = 100 * low, max(100 * (high - low), 0.4)
    whisker = f'<rect class="span" x="{left:.2f}" y="5.2" width="{wide:.2f}" height="1.6"/>'
    return (
        f'<svg class="bar {kind}" viewBox="0 0 100 12" preserveAspectRatio="none" '
        'aria-hidden="true">'
        f'<rect class="rail" width="100" height="12"/>'
        f'<rect class="fill" width="{100 * value:.2f}" height="12"/>{whisker}</svg>'
    )


def waffle(value: float, low: float, high: float, title: str) -> str:
    """A hundred dots: right for sure, right by the interval's leave, wrong."""
    dots = []
    for i in range(100):
        kind = (
            "sure" if i + 1 <= round(100 * low) else "maybe" if i + 1 <= round(100 * high) else "no"
        )
        if kind == "maybe" and i + 1 <= round(100 * value):
            kind = "sure likely"
        x, y = 6 + 12 * (i % 10), 6 + 12 * (i // 10)
        dots.append(f'<circle class="{kind}" cx="{x}" cy="{y}" r="4.6"/>')
    return (
        f'<svg class="waffle" viewBox="0 0 120 120" role="img" aria-label="{esc(title)}">'
        f"{''.join(dots)}</svg>"
    )


def heat(title: str, cells: Sequence[tuple[tuple[int, int], float]]) -> str:
    """Shares of a map as fields of a square; (down, across) of each, and the share, in per cent.

    The fuller a field, the larger its share; the number stands in it.
    """
    down = sorted({at[0] for at, _ in cells})
    across = sorted({at[1] for at, _ in cells})
    wide = (WIDTH - LEFT - RIGHT) / len(across)
    high = min(wide * 0.6, (HEIGHT - TOP - BOTTOM) / len(down))
    drawn = []
    for (row, column), share in cells:
        x, y = LEFT + across.index(column) * wide, TOP + down.index(row) * high
        drawn.append(
            f'<rect class="place" x="{x:.1f}" y="{y:.1f}" width="{wide - 2:.1f}" '
            f'height="{high - 2:.1f}" fill-opacity="{max(0.0, min(1.0, share)) * 0.6:.3f}"><title>'
            f"down {row}, across {column}: {100 * share:.1f} %</title></rect>"
            f'<text x="{x + wide / 2 - 1:.1f}" y="{y + high / 2 + 3:.1f}" text-anchor="middle">'
            f"{100 * share:.0f}</text>"
        )
    low = TOP + len(down) * high
    drawn += [
        f'<text x="{LEFT + (i + 0.5) * wide:.1f}" y="{low + 15:.1f}" text-anchor="middle">'
        f"{c}</text>"
        for i, c in enumerate(across)
    ]
    drawn += [
        f'<text x="{LEFT - 7}" y="{TOP + (i + 0.5) * high + 4:.1f}" text-anchor="end">{r}</text>'
        for i, r in enumerate(down)
    ]
    drawn.append(
        f'<text class="axis" x="{WIDTH / 2:.0f}" y="{low + 32:.1f}" text-anchor="middle">'
        "cells moved across; at the side, cells moved down</text>"
    )
    return _svg(title, "".join(drawn))


def _svg(title: str, drawn: str) -> str:
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{esc(title)}">'
        f"{drawn}</svg>"
    )


def _axes(
    frame: Frame, across: str, share: bool, *, up: str = "", across_share: bool = False
) -> str:
    drawn = [f'<text class="axis" x="4" y="14">{esc(up)}</text>'] if up else []
    for value in ticks(*frame.y):
        y = frame.down(value)
        drawn.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text x="{LEFT - 7}" y="{y + 4:.1f}" text-anchor="end">{_label(value, share)}</text>'
        )
    for value in ticks(*frame.x):
        drawn.append(
            f'<text x="{frame.across(value):.1f}" y="{HEIGHT - BOTTOM + 17}" '
            f'text-anchor="middle">{_label(value, across_share)}</text>'
        )
    middle = LEFT + (WIDTH - LEFT - RIGHT) / 2
    drawn.append(
        f'<text class="axis" x="{middle:.0f}" y="{HEIGHT - 5}" text-anchor="middle">'
        f"{esc(across)}</text>"
    )
    return "".join(drawn)


def _label(value: float, share: bool) -> str:
    return f"{100 * value:.4g} %" if share else f"{value:,.4g}"


def _thin(curve: Sequence[tuple[float, float]], most: int = 400) -> list[tuple[float, float]]:
    """At most about ``most`` points, the last always among them."""
    step = max(1, -(-len(curve) // most))
    kept = list(curve[::step])
    return kept if kept[-1] == curve[-1] else [*kept, curve[-1]]
