"""Answers for a grid larger than the network's window: overlapping tiles, blended."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import Ask

STEP = 0.5  # of the window, from one tile to the next
SPREAD = 0.125  # of the window: standard deviation of the weights
LEAST = 1e-3  # weight of an end along an axis, against the middle
TOGETHER = 2**20  # cells of the tiles asked at a time


def slabs(
    ask: Ask,
    x: NDArray[Any],
    window: tuple[int, ...],
    step: float = STEP,
    span: tuple[int, int] | None = None,
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Raw answers for ``x`` ``(C, *S)``, a slab of its first grid axis after the other.

    Tiles of ``window`` cells overlap by half, and each counts most in its middle: weights are a
    Gaussian with a standard deviation of an eighth of the window. An axis shorter than the window
    is mirrored up to it. Memory holds one slab of answers, a window thick, whatever the size of
    the first axis.

    span: the cells of the second axis that are answered, where not all are: they come out as if
    all were, and memory holds no more than their tiles cover.

    Yields: first cell and answers ``(K, n, *S[1:])``; slabs follow each other without a gap.
    Source: Isensee et al. 2021, doi:10.1038/s41592-020-01008-z (half a window, an eighth).
    """
    size = x.shape[1:]
    starts = [places(n, w, step) for n, w in zip(size, window, strict=True)]
    low, high = [0] * len(size), list(size)
    told: tuple[slice, ...] = ()
    if span is not None and size[1:]:
        met = [s for s in starts[1] if s < span[1] and s + window[1] > span[0]]
        starts[1], low[1], high[1] = met, met[0], min(met[-1] + window[1], size[1])
        told = (slice(span[0] - met[0], span[1] - met[0]),)
    weight = bump(window)
    total: NDArray[np.float32] | None = None
    sums = np.zeros((window[0], *np.subtract(high, low)[1:]), np.float32)
    for number, first in enumerate(starts[0]):
        for corner, tile in _answered(ask, x, window, first, starts[1:]):
            if total is None:
                total = np.zeros((len(tile), *sums.shape), np.float32)
            inside = tuple(
                slice(c - a, min(c + w, b) - a)
                for c, w, a, b in zip(corner, window[1:], low[1:], high[1:], strict=True)
            )
            cut = tuple(slice(0, s.stop - s.start) for s in inside)
            total[(slice(None), slice(None), *inside)] += (tile * weight)[
                (slice(None), slice(None), *cut)
            ]
            sums[(slice(None), *inside)] += weight[(slice(None), *cut)]
        assert total is not None, "there is a tile in every row"
        last = number + 1 == len(starts[0])
        done = min(window[0], size[0] - first) if last else starts[0][number + 1] - first
        slab = np.asarray(total[:, :done] / sums[:done], np.float32)
        yield first, slab[(slice(None), slice(None), *told)]
        # What the next tiles meet moves to the front; behind it there is nothing yet.
        for held in (total, sums[None]):
            held[:, : window[0] - done] = held[:, done:].copy()
            held[:, window[0] - done :] = 0


def whole(
    ask: Ask, x: NDArray[Any], window: tuple[int, ...], step: float = STEP
) -> NDArray[np.float32]:
    """`slabs` as one array ``(K, *S)``."""
    return np.concatenate([slab for _, slab in slabs(ask, x, window, step)], axis=1)


def places(cells: int, window: int, step: float) -> list[int]:
    """First cells of tiles that cover ``cells`` at even distances of at most ``step`` windows."""
    if cells <= window:
        return [0]
    count = ceil((cells - window) / max(1.0, window * step)) + 1
    return [round(i * (cells - window) / (count - 1)) for i in range(count)]


def bump(window: tuple[int, ...]) -> NDArray[np.float32]:
    """Weights of a tile's cells ``(*window)``, 1 in the middle."""
    out = np.ones((), np.float64)
    for cells in window:
        off = (np.arange(cells) - (cells - 1) / 2) / max(cells * SPREAD, 1e-9)
        # Each axis by itself: where all tiles lie at the grid's border along one axis, the other
        # ones must still tell the middle of a tile from its end.
        out = out[..., None] * np.maximum(np.exp(-(off**2) / 2), LEAST)
    return np.asarray(out / out.max(), np.float32)


def _answered(
    ask: Ask,
    x: NDArray[Any],
    window: tuple[int, ...],
    first: int,
    starts: list[list[int]],
) -> Iterator[tuple[tuple[int, ...], NDArray[np.float32]]]:
    """Corner along the later axes, and answer, of each tile that begins at ``first``."""
    corners = list(itertools.product(*starts))
    most = max(1, TOGETHER // int(np.prod(window)))
    for at in range(0, len(corners), most):
        some = corners[at : at + most]
        tiles = np.stack([_cut(x, (first, *corner), window) for corner in some])
        yield from zip(some, ask(tiles), strict=True)


def _cut(x: NDArray[Any], corner: tuple[int, ...], window: tuple[int, ...]) -> NDArray[Any]:
    """A window of ``x``, mirrored where the grid is shorter."""
    inside = [slice(start, start + cells) for start, cells in zip(corner, window, strict=True)]
    tile = x[(slice(None), *inside)]  # first of all: x may lie on a disk
    for axis, (there, cells) in enumerate(zip(tile.shape[1:], window, strict=True), start=1):
        if there < cells:
            turn = max(2 * there - 2, 1)
            place = np.arange(cells) % turn
            tile = np.take(tile, np.where(place < there, place, turn - place), axis=axis)
    return tile
