"""Masks of samples far larger than those learned from: windows of their size, one by one."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..datasets.cache import cache_folder
from ..datasets.placement import Placement, placed
from ..datasets.prepare import prepare
from ..grid import Grid, Sample
from ..plan import Plan
from ..readers._vast import forget, room
from . import Ask
from ._segment_plan import BEYOND, SCALED
from ._tiles import STEP, places, slabs

VAST = 50_000_000  # cells, from which on a mask lies on the disk, and windows overlap less
FAR_STEP = 0.75  # of a window, from one to the next in such samples
SLAB_BYTES = 2**26  # of raw answers held at a time


def windowed(sample: Sample, plan: Plan) -> bool:
    """Whether a sample is answered in windows."""
    size, window = sample.x.shape[1:], plan.judge.window
    if not window or plan.data.fit not in SCALED:
        return False
    return prod(size) > VAST or any(n > BEYOND * w for n, w in zip(size, window, strict=True))


def count(sample: Sample, plan: Plan) -> int:
    """Windows of a sample; a few are asked twice where columns are answered in turn."""
    if not windowed(sample, plan):
        return 1
    window, total = plan.judge.window, 0
    size, step = sample.x.shape[1:], _step(sample)
    starts = [places(n, w, step) for n, w in zip(size, window, strict=True)]
    for span in _spans(size, plan):
        met = [
            [s for s in row if axis != 1 or (s < span[1] and s + window[axis] > span[0])]
            for axis, row in enumerate(starts)
        ]
        total += prod(map(len, met))
    return total


def mask_of(ask: Ask, sample: Sample, plan: Plan) -> NDArray[np.uint8]:
    """The class of each cell; in a file without a name where there are many.

    Memory holds a window's height of raw answers over some of the columns.
    """
    x, size, window = sample.x, sample.x.shape[1:], plan.judge.window
    where = placed(window, plan.data, Grid(sample.grid.axes, window))

    def answered(tiles: NDArray[Any]) -> NDArray[np.float32]:
        grid = Grid(sample.grid.axes, window)
        ready = [prepare(tile, plan.data, key=sample.key, grid=grid) for tile in tiles]
        raw: NDArray[np.float32] = ask(np.stack(ready))
        return raw if where.whole else np.stack([_back(one, where) for one in raw])

    vast = prod(size) > VAST
    mask = room(size, np.uint8, cache_folder()) if vast else np.empty(size, np.uint8)
    for first, last in _spans(size, plan):
        for start, slab in slabs(answered, x, window, _step(sample), (first, last)):
            rows = slice(start, start + slab.shape[1])
            mask[(rows, slice(first, last))[: mask.ndim]] = slab.argmax(0)
            forget(x)
            forget(mask)
    return mask


def _step(sample: Sample) -> float:
    return FAR_STEP if prod(sample.x.shape[1:]) > VAST else STEP


def _spans(size: tuple[int, ...], plan: Plan) -> Iterator[tuple[int, int]]:
    """Cells of the second axis that are answered at a time: so many that raw answers fit."""
    columns = prod(size[1:2])
    each = 4 * len(plan.classes) * plan.judge.window[0] * prod(size[2:])
    wide = max(SLAB_BYTES // each, *plan.judge.window)
    for first in range(0, columns, wide):
        yield first, min(first + wide, columns)


def _back(raw: NDArray[np.float32], where: Placement) -> NDArray[np.float32]:
    """Raw answers ``(K, *T)`` for the window's own cells ``(K, *S)``."""
    for axis in range(len(where.before)):
        raw = where.between(raw, axis, np.arange(where.before[axis]))
    return raw
