"""Where the cells of a sample lie on the grid that it was prepared to, and the way back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..grid import Grid
from ..plan import DataPart
from .boxed import SAME
from .prepare import inner_size, steps_of


@dataclass(frozen=True, slots=True)
class Placement:
    """``t = offset + scale * s`` along each axis, from places s in a sample to places t on the
    prepared grid. Places count cells from the edge: cell i spans i to i + 1.

    before, after: cells of both grids.
    """

    before: tuple[int, ...]
    after: tuple[int, ...]
    scale: tuple[float, ...]
    offset: tuple[float, ...]

    @property
    def whole(self) -> bool:
        """Whether both grids are one."""
        same = self.before == self.after and not any(self.offset)
        return same and all(abs(scale - 1) < 1e-9 for scale in self.scale)

    def sources(self, axis: int) -> NDArray[np.int64]:
        """The cell of the sample in the middle of each prepared cell, -1 outside; ``(after,)``."""
        middles = (np.arange(self.after[axis]) + 0.5 - self.offset[axis]) / self.scale[axis]
        return _cells(middles, self.before[axis])

    def places(self, axis: int) -> NDArray[np.int64]:
        """The prepared cell in the middle of each cell of the sample, -1 outside; ``(before,)``."""
        middles = (np.arange(self.before[axis]) + 0.5) * self.scale[axis] + self.offset[axis]
        return _cells(middles, self.after[axis])

    def forth(self, mask: NDArray[Any], outside: int) -> NDArray[Any]:
        """``mask`` ``(*before)`` on the prepared grid, nearest cells; ``outside`` where none is."""
        return _picked(mask, [self.sources(axis) for axis in range(len(self.before))], outside)

    def back(self, mask: NDArray[Any], outside: int) -> NDArray[Any]:
        """``mask`` ``(*after)`` on the sample's grid, nearest cells; ``outside`` what was cut."""
        return _picked(mask, [self.places(axis) for axis in range(len(self.before))], outside)

    def between(
        self, raw: NDArray[np.float32], axis: int, cells: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """``raw`` ``(K, *after)`` at the middles of the sample's ``cells`` along one axis, linear
        between prepared cells; those of the sample that were cut off take the nearest."""
        last = raw.shape[1 + axis] - 1
        place = (cells + 0.5) * self.scale[axis] + self.offset[axis] - 0.5
        place = np.clip(place, 0, last)
        low = np.floor(place).astype(np.int64)
        weight = (place - low).astype(np.float32)
        shape = [1] * raw.ndim
        shape[1 + axis] = len(cells)
        before: NDArray[np.float32] = np.take(raw, low, axis=1 + axis)
        if not weight.any():
            return before
        behind = np.take(raw, np.minimum(low + 1, last), axis=1 + axis)
        return np.asarray(before + (behind - before) * weight.reshape(shape))


def placed(before: tuple[int, ...], data: DataPart, grid: Grid | None = None) -> Placement:
    """How `prepare` lays a sample of ``before`` cells onto ``data.size``."""
    after, axes = data.size, range(len(before))
    if data.fit == "spacing":
        steps = steps_of(data, grid)
        laid = [_spaced(b, a, s) for b, a, s in zip(before, after, steps, strict=True)]
        return Placement(before, after, tuple(s for s, _ in laid), tuple(o for _, o in laid))
    if data.fit == "ragged":
        return Placement(before, after, (1.0,) * len(before), (0.0,) * len(before))
    inner = inner_size(before, data)
    # As _padded and the crop of `shaped` do: what is uneven is rounded towards the front.
    offset = [
        0 if i == a else (a - i) // 2 if i < a else -((i - a) // 2)
        for i, a in zip(inner, after, strict=True)
    ]
    scale = tuple(inner[axis] / before[axis] for axis in axes)
    return Placement(before, after, scale, tuple(map(float, offset)))


def _spaced(before: int, after: int, step: float) -> tuple[float, float]:
    """Scale and offset of `boxed` along one axis."""
    if abs(step - 1) < SAME:
        return 1.0, float(max(0, (after - before) // 2) - max(0, (before - after) // 2))
    return 1 / step, after / 2 - before / (2 * step)


def _cells(places: NDArray[np.floating], count: int) -> NDArray[np.int64]:
    cells = np.floor(places + 1e-9).astype(np.int64)
    return np.where((cells >= 0) & (cells < count), cells, -1)


def _picked(mask: NDArray[Any], picks: list[NDArray[np.int64]], outside: int) -> NDArray[Any]:
    for axis, cells in enumerate(picks):
        if len(cells) == mask.shape[axis] and bool((cells == np.arange(len(cells))).all()):
            continue
        mask = np.take(mask, np.maximum(cells, 0), axis=axis)
        if (cells < 0).any():
            mask[(slice(None),) * axis + (cells < 0,)] = outside
    return np.ascontiguousarray(mask)
