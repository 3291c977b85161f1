"""The curve of error over training samples, drawn from rows that `rotated_mnist.py` printed.

    python benchmarks/rotated_mnist.py MNIST --train 1000 --seed 0 1 2 | tee -a rows.txt
    python benchmarks/sample_curve.py rows.txt docs/sample_efficiency.svg

A dot per run, a line through the means of each network, both axes logarithmic. The SVG stands
alone: its colours and letters are inside.
"""

from __future__ import annotations

import argparse
import math
import re
from collections import defaultdict
from pathlib import Path
from statistics import mean

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 560, 340, 60, 24, 44, 50
ROW = re.compile(r"^\| (\w+), (\d+), seed \d+ \|.*\| ([\d.]+) \([\d.]+ to [\d.]+\) \|$")
WORDS = {
    "rotations": ("layers that turn along", "#1b6ca8"),
    "none": ("plain layers, copies at every angle", "#c8553d"),
}
PER_CENT = (1, 2, 3, 5, 10, 20, 30)

Runs = dict[str, dict[int, list[float]]]


def read(text: str) -> Runs:
    """Network -> training samples -> errors in per cent."""
    found: Runs = defaultdict(lambda: defaultdict(list))
    for line in text.splitlines():
        row = ROW.match(line.strip())
        if row:
            found[row[1]][int(row[2])].append(float(row[3]))
    if not found:
        raise SystemExit("no row of rotated_mnist.py in this file; give it one that holds some")
    return found


def draw(runs: Runs) -> str:
    sizes = sorted({size for points in runs.values() for size in points})
    errors = [e for points in runs.values() for many in points.values() for e in many]
    marks = [p for p in PER_CENT if min(errors) / 1.6 <= p <= max(errors) * 1.6]

    def across(size: float) -> float:
        share = math.log(size / sizes[0]) / max(math.log(sizes[-1] / sizes[0]), 1e-9)
        return LEFT + 20 + share * (WIDTH - LEFT - RIGHT - 40)

    def down(error: float) -> float:
        low, high = min(*errors, marks[0]) / 1.1, max(*errors, marks[-1]) * 1.1
        return (
            HEIGHT - BOTTOM - math.log(error / low) / math.log(high / low) * (HEIGHT - TOP - BOTTOM)
        )

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="13" role="img">',
        "<title>Rotated MNIST: test error over training samples</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
    ]
    for mark in marks:
        y = down(mark)
        out.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#dddddd"/>'
            f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end" fill="#333">{mark} %</text>'
        )
    for size in sizes:
        out.append(
            f'<text x="{across(size):.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle" '
            f'fill="#333">{size:,}</text>'
        )
    out.append(
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2:.0f}" y="{HEIGHT - 8}" text-anchor="middle" '
        'fill="#333">training samples</text>'
    )
    for place, (name, points) in enumerate(runs.items()):
        word, colour = WORDS.get(name, (name, "#555555"))
        x = LEFT + place * 190
        out.append(
            f'<circle cx="{x + 6}" cy="18" r="5" fill="{colour}"/>'
            f'<text x="{x + 16}" y="22" fill="#333">{word}</text>'
        )
        path = " ".join(f"{across(s):.1f},{down(mean(points[s])):.1f}" for s in sorted(points))
        out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        out += [
            f'<circle cx="{across(s):.1f}" cy="{down(e):.1f}" r="3.5" fill="{colour}" '
            f'fill-opacity="0.6"><title>{e:.2f} %</title></circle>'
            for s in sorted(points)
            for e in points[s]
        ]
    return "\n".join([*out, "</svg>", ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", type=Path)
    parser.add_argument("picture", type=Path)
    given = parser.parse_args()
    given.picture.write_text(draw(read(given.rows.read_text(encoding="utf-8"))), encoding="utf-8")


if __name__ == "__main__":
    main()
