"""Boxes of any rank as numbers: how far they overlap, and which of them say something new.

A box is a low and a high corner, each in the grid's axis order: an interval ``(low, high)``, a
rectangle ``(y0, x0, y1, x1)``, a cuboid ``(z0, y0, x0, z1, y1, x1)``. Corners lie between cells:
a box around cell 3 alone is from 3 to 4.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Corners = NDArray[np.float64]
BLOCK = 128  # boxes settled at a time: all that is known of their pairs fits a processor's cache


def extent(boxes: Corners) -> Corners:
    """Length, area or volume of each box, 0 for one whose corners are the wrong way round.

    Shapes: ``(..., 2 R) -> (...)``.
    """
    low, high = np.split(boxes, 2, axis=-1)
    return np.asarray(np.prod(np.maximum(high - low, 0), axis=-1))


def shared(a: Corners, b: Corners) -> Corners:
    """Extent of what each two boxes have in common.

    Shapes: ``(N, 2 R), (M, 2 R) -> (N, M)``.
    """
    rank = a.shape[-1] // 2
    a, b = np.ascontiguousarray(a.T), np.ascontiguousarray(b.T)
    out, side, low = (np.empty((a.shape[1], b.shape[1])) for _ in range(3))
    for axis in range(rank):  # one axis at a time, in place: no array of (N, M, R)
        into = side if axis else out
        np.minimum(a[rank + axis, :, None], b[rank + axis], out=into)
        np.maximum(a[axis, :, None], b[axis], out=low)
        into -= low
        np.maximum(into, 0, out=into)
        if axis:
            out *= side
    return out


def overlap(a: Corners, b: Corners) -> Corners:
    """Intersection over union of each two boxes: 1 where they are the same, 0 where they part.

    Boxes without extent overlap with nothing.

    Shapes: ``(N, 2 R), (M, 2 R) -> (N, M)``.
    Source: Jaccard 1901; for boxes Everingham et al. 2010, doi:10.1007/s11263-009-0275-4.
    """
    common = shared(a, b)
    union = extent(a)[:, None] + extent(b)[None, :] - common
    return np.asarray(np.divide(common, union, out=np.zeros_like(common), where=union > 0))


def covered(a: Corners, b: Corners) -> Corners:
    """The share of each ``a`` that lies inside each ``b``.

    Shapes: ``(N, 2 R), (M, 2 R) -> (N, M)``.
    """
    whole = np.broadcast_to(extent(a)[:, None], (len(a), len(b)))
    common = shared(a, b)
    return np.asarray(np.divide(common, whole, out=np.zeros_like(common), where=whole > 0))


def suppress(boxes: Corners, scores: NDArray[np.floating], limit: float) -> NDArray[np.int64]:
    """Positions of the boxes that stay, best first: none overlaps a better one that stays by more
    than ``limit``.

    Exactly what the greedy rule gives (take the best, strike out what overlaps it, go on), a block
    at a time: a block is first held against all that stay already, then settled by itself. Of
    equal scores the earlier box is the better one.

    Shapes: boxes ``(N, 2 R)``, scores ``(N,)`` -> ``(K,)``.
    Source: greedy non-maximum suppression, Felzenszwalb et al. 2010, doi:10.1109/TPAMI.2009.167.
    """
    order = np.argsort(-np.asarray(scores, np.float64), kind="stable")
    boxes = np.asarray(boxes, np.float64)[order]
    kept = np.zeros((0, boxes.shape[-1]))
    stays: list[NDArray[np.int64]] = []
    for start in range(0, len(boxes), BLOCK):
        place = np.arange(start, min(start + BLOCK, len(boxes)))
        for at in range(0, len(kept), BLOCK):
            new = ~_struck(kept[at : at + BLOCK], boxes[place], limit).any(axis=0)
            place = place[new]
        block = boxes[place]
        place = place[_settled(_struck(block, block, limit))]
        kept = np.concatenate([kept, boxes[place]])
        stays.append(place)
    return order[np.concatenate(stays)] if stays else np.zeros(0, np.int64)


def suppress_by_class(
    boxes: Corners, scores: NDArray[np.floating], labels: NDArray[np.integer], limit: float
) -> NDArray[np.int64]:
    """The same for each class by itself; positions best first, over all classes."""
    stays = [np.zeros(0, np.int64)]
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        stays.append(own[suppress(boxes[own], scores[own], limit)])
    found = np.sort(np.concatenate(stays))
    return found[np.argsort(-np.asarray(scores, np.float64)[found], kind="stable")]


def _struck(a: Corners, b: Corners, limit: float) -> NDArray[np.bool_]:
    """Whether each two overlap by more than ``limit``: by products, since dividing is slow."""
    common = shared(a, b)
    union = extent(a)[:, None] + extent(b)
    union -= common
    union *= limit
    return np.asarray(common > union)  # never of boxes apart: then 0 > 0 at most


def _settled(struck: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which of some boxes, best first, stay when each that stays strikes out later ones (N, N)."""
    alive = np.ones(len(struck), bool)
    for i in range(len(struck)):
        if alive[i]:
            alive[i + 1 :] &= ~struck[i, i + 1 :]
    return alive
