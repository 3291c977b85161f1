"""Shapes of things in pictures: polygons or runs of cells, and the class of each cell from them.

A cell lies in a polygon where its middle does; where a polygon crosses itself, by the even-odd
rule. What several polygons of one thing cover together is the thing. Where things lie over each
other the smaller is taken to lie on top, and where a thing has a box but no shape nothing is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError
from ...target import VOID
from .runs import Runs, mask_of, runs_of

Ring = NDArray[np.float64]
MOST_POINTS = 100_000  # of one polygon
MOST_PAINTED = 200  # times the picture's cells, that all its shapes may cover
_DEAR = 10  # cells that take as long as one crossing of an edge and a row
_FAR = 1e7  # cells; farther out a corner is none
_TOGETHER = 2**20  # crossings of edges and rows held at a time
_FEWEST = 6  # numbers of a polygon


@dataclass(frozen=True, slots=True, eq=False)
class Outline:
    """One thing: its class, and its shape as polygons ``(n, 2)`` of y and x in cells, or as runs
    over the whole picture of ``size``. Neither: all that is known is its box (y, x, y, x)."""

    name: str
    rings: tuple[Ring, ...] = ()
    runs: Runs | None = None
    size: tuple[int, int] = (0, 0)
    box: tuple[float, ...] = ()

    @property
    def known(self) -> bool:
        """Whether there is a shape."""
        return bool(self.rings) or self.runs is not None

    @property
    def area(self) -> float:
        """Cells inside, roughly."""
        if self.runs is not None:
            return float(self.runs[1::2].sum())
        return float(sum(abs(_area(ring)) for ring in self.rings))


def outline(name: str, said: Any, box: Sequence[float] | None) -> Outline | None:
    """What a "segmentation" says: None where it is no shape and there is no box either."""
    if isinstance(said, dict):
        size = said.get("size")
        if isinstance(size, list) and len(size) == 2 and all(type(n) is int for n in size):
            runs = runs_of(said.get("counts"), (size[0], size[1]))
            if runs is not None:
                return Outline(name, runs=runs, size=(size[0], size[1]))
    elif isinstance(said, list) and said:
        rings = [_ring(one) for one in (said if isinstance(said[0], list) else [said])]
        found = [ring for ring in rings if ring is not None]
        if len(found) == len(rings):
            return Outline(name, tuple(found))
    return None if box is None else Outline(name, box=tuple(box))


def painted(
    outlines: Sequence[Outline], place: dict[str, int], size: tuple[int, int], key: str
) -> NDArray[np.uint8]:
    """The class of each cell ``(rows, columns)``: 0 where there is no thing, `VOID` where a thing
    has only a box.

    place: class -> its position. Raises: DataError naming ``key`` for runs of another size, or
    for shapes that cover the picture too often.
    """
    mask = np.zeros(size, np.uint8)
    left = float(MOST_PAINTED * mask.size)
    for one in (o for o in outlines if not o.known):
        low, high = one.box[:2], one.box[2:]
        rows, columns = (_cells(a, b, n) for a, b, n in zip(low, high, size, strict=True))
        mask[rows, columns] = VOID
    for one in sorted((o for o in outlines if o.known), key=lambda o: -o.area):
        left -= _cost(one, size)
        if left < 0:
            raise DataError(
                f"its shapes cover it more than {MOST_PAINTED} times",
                where=key,
                mend="draw each thing once, with fewer corners",
            )
        value = place[one.name]
        if one.runs is not None:
            if one.size != size:
                raise _misfit(one.size, size, key)
            mask[mask_of(one.runs, size)] = value
        for rows, columns, inside in (_filled(ring, size) for ring in one.rings):
            mask[rows, columns][inside] = value
    return mask


def _cost(one: Outline, size: tuple[int, int]) -> float:
    """How long drawing takes, in cells."""
    if one.runs is not None:
        return size[0] * size[1]
    cost = 0.0
    for ring in one.rings:
        inside = np.clip(ring, 0, size)
        cells = np.prod(inside.max(0) - inside.min(0))
        cost += float(cells + _DEAR * np.abs(np.diff(inside[:, 0])).sum())
    return cost


def _ring(said: Any) -> Ring | None:
    """Corners (y, x) from numbers x, y by turns; None where they are no polygon."""
    if not isinstance(said, list) or len(said) % 2 or not _FEWEST <= len(said) <= 2 * MOST_POINTS:
        return None
    if not all(type(v) is int or type(v) is float for v in said):
        return None
    points = np.array(said, np.float64).reshape(-1, 2)[:, ::-1]
    return points if bool((np.abs(points) < _FAR).all()) else None  # NaN is not less either


def _area(ring: Ring) -> float:
    """By the shoelace rule; its sign tells the way round."""
    y, x = ring.T
    return float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2


def _filled(ring: Ring, size: tuple[int, int]) -> tuple[slice, slice, NDArray[np.bool_]]:
    """The cells inside, within the rows and columns that the polygon reaches.

    Every edge changes sides at the first cell whose middle lies behind it, in each row whose
    middle it crosses; cells behind an odd number of changes are inside.
    """
    rows, columns = (_cells(ring[:, i].min(), ring[:, i].max(), size[i]) for i in (0, 1))
    height, width = rows.stop - rows.start, columns.stop - columns.start
    changes = np.zeros((height, width + 1), np.uint8)
    ends = np.roll(ring, -1, axis=0)
    flip = ring[:, 0] > ends[:, 0]
    top, below = np.where(flip[:, None], ends, ring), np.where(flip[:, None], ring, ends)
    first = _first(top[:, 0], rows.start, rows.stop)
    count = _first(below[:, 0], rows.start, rows.stop) - first
    for edges in _parts(count):
        edge = np.repeat(edges, count[edges])
        row = np.arange(len(edge)) - np.repeat(np.cumsum(count[edges]) - count[edges], count[edges])
        row += first[edge]
        share = (row + 0.5 - top[edge, 0]) / (below[edge, 0] - top[edge, 0])
        x = top[edge, 1] + share * (below[edge, 1] - top[edge, 1])
        column = _first(x, columns.start, columns.stop)
        np.bitwise_xor.at(changes, (row - rows.start, column - columns.start), np.uint8(1))
    inside = np.bitwise_xor.accumulate(changes[:, :width], axis=1).astype(bool)
    return rows, columns, inside


def _parts(count: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Edges that cross rows, in parts of about a million crossings."""
    edges = np.flatnonzero(count > 0)
    cuts = np.flatnonzero(np.diff(np.cumsum(count[edges]) // _TOGETHER)) + 1
    return [part for part in np.split(edges, cuts) if len(part)]


def _first(place: NDArray[np.float64], start: int, stop: int) -> NDArray[np.int64]:
    """The first cell whose middle lies at or behind each place, from ``start`` to ``stop``."""
    return np.clip(np.ceil(place - 0.5), start, stop).astype(np.int64)


def _cells(low: float, high: float, count: int) -> slice:
    """The cells of an axis whose middles lie from ``low`` to ``high``."""
    start, stop = _first(np.array([low, high]), 0, count).tolist()
    return slice(start, max(start, stop))


def _misfit(stated: tuple[int, ...], size: tuple[int, ...], key: str) -> DataError:
    one, other = (" x ".join(map(str, reversed(n))) for n in (stated, size))
    return DataError(
        f"a shape is drawn on {one} cells where the picture has {other}",
        where=key,
        mend="export the annotations for the pictures as they are",
    )
