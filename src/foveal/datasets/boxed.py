"""A scan at another step, laid into a box around its centre; a slab at a time, so that memory
does not grow with the scan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[Any]
SAME = 1e-3  # steps that differ by less are one: headers round them


@dataclass(frozen=True, slots=True)
class _Along:
    """One axis: new cells ``first`` to ``first + len(rows)`` of the box are weighted means, by
    ``rows`` ``(new, old)``, of old cells from ``start`` on."""

    rows: NDArray[np.float32]
    start: int
    first: int

    @property
    def whole(self) -> bool:
        """Whether the new cells are old cells, one by one."""
        new, old = self.rows.shape
        return new == old and bool((self.rows == np.eye(new, dtype=np.float32)).all())

    @property
    def span(self) -> slice:
        return slice(self.start, self.start + self.rows.shape[1])


def boxed(x: Values, size: tuple[int, ...], scale: tuple[float, ...]) -> Values:
    """``x`` with new cells ``scale[i]`` old ones apart, the ``size`` of them around its centre.

    A new cell is the mean under a triangle as wide as the larger of both steps (linear where cells
    grow fewer, antialiased where they grow more). Cells that lie outside hold the channel's mean
    over the others. Where steps agree within a thousandth, cells are moved and not changed.

    Shapes: ``(C, *S) -> (C, *size)``; float32, or as ``x`` where nothing was resampled.
    """
    axes = [_along(n, t, s) for n, t, s in zip(x.shape[1:], size, scale, strict=True)]
    inside = x[(slice(None), *(axis.span for axis in axes))]
    if not all(axis.whole for axis in axes):
        inside = _sampled(inside, axes)
    if inside.shape[1:] == size:
        return inside
    fill = inside.reshape(len(x), -1).mean(axis=1, dtype=np.float64)
    fill = np.rint(fill) if x.dtype.kind in "ui" and inside.dtype == x.dtype else fill
    out = np.empty((len(x), *size), inside.dtype)
    out[:] = fill.astype(inside.dtype).reshape(-1, *[1] * len(size))
    place = [slice(a.first, a.first + n) for a, n in zip(axes, inside.shape[1:], strict=True)]
    out[(slice(None), *place)] = inside
    return out


def _sampled(x: Values, axes: list[_Along]) -> NDArray[np.float32]:
    """The weighted means along every axis, the first one last."""
    first, *others = axes
    slabs = np.empty((len(x), x.shape[1], *(len(a.rows) for a in others)), np.float32)
    for i in range(x.shape[1]):
        slab = x[:, i].astype(np.float32)
        for number, axis in reversed(list(enumerate(others, start=1))):
            slab = slab if axis.whole else _mixed(slab, axis.rows, number)
        slabs[:, i] = slab
    return slabs if first.whole else _mixed(slabs, first.rows, 1)


def _mixed(x: NDArray[np.float32], rows: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    moved = np.tensordot(x, rows, axes=(axis, 1))
    return np.ascontiguousarray(np.moveaxis(moved, -1, axis))


def _along(old: int, new: int, scale: float) -> _Along:
    """How ``new`` cells, ``scale`` old ones apart, lie around the middle of ``old`` cells."""
    if abs(scale - 1) < SAME:
        first, start = max(0, (new - old) // 2), max(0, (old - new) // 2)
        return _Along(np.eye(min(old, new), dtype=np.float32), start, first)
    centre = old / 2 + (np.arange(new) - (new - 1) / 2) * scale
    inside = np.flatnonzero((centre >= 0) & (centre <= old))
    if not len(inside):  # the whole scan is less than one new cell
        inside, centre = np.array([new // 2]), np.full(new, old / 2)
    distance = np.abs(np.arange(old) + 0.5 - centre[inside, None])
    rows = np.maximum(0, 1 - distance / max(scale, 1.0))
    rows[np.arange(len(rows)), distance.argmin(axis=1)] += 1e-12  # a cell at the very border
    rows /= rows.sum(axis=1, keepdims=True)
    used = np.flatnonzero(rows.any(axis=0))
    start = int(used[0])
    return _Along(rows[:, start : used[-1] + 1].astype(np.float32), start, int(inside[0]))
