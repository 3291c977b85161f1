"""What a simple model sees of samples: pooled values and gradients, which move with a turn."""

from __future__ import annotations

import math
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..layers.symmetry import Turn

CELLS = 5  # pooled cells along each axis
FINEST = 2**15  # cells of a sample; of larger ones, such as clips, neighbours are averaged
TOGETHER = 2**22  # values worked on at a time
Features = NDArray[np.float32]
Fitted = tuple[Features, Features, Features]


def features(x: NDArray[np.generic]) -> Features:
    """What the classifier sees of samples ``(N, C, *S)``, in bounded memory: ``(N, F)``."""
    return maps(x).reshape(len(x), -1)


def maps(x: NDArray[np.generic], cells: int = CELLS, finest: int = FINEST) -> Features:
    """The same with its places: ``(N, M, *P)``, ``cells`` pooled cells along each axis at most.

    Of R axes, M holds one map of values, then for each axis one of slopes upwards and one of
    slopes downwards, then for each pair of axes one of either sign of the slopes' product.
    """
    step = max(1, TOGETHER // max(x[0].size, 1))
    parts = [_seen(coarse(x[i : i + step], finest), cells) for i in range(0, len(x), step)]
    return np.concatenate(parts)


def moved(maps: NDArray[Any], turn: Turn) -> NDArray[Any]:
    """The maps of samples after ``turn``, from those before: pooling and slopes move along.

    Exact, so no turned sample is ever looked at; axes that are exchanged must have as many pooled
    cells. Shapes: ``(N, M, *P) -> (N, M, *P)``.
    """
    rank = len(turn.to)
    source = list(range(maps.shape[1]))
    for axis in range(rank):  # the slope along an axis that is reversed changes its sign
        for way in (0, 1):
            to = way if turn.sign[axis] > 0 else 1 - way
            source[1 + 2 * turn.to[axis] + to] = 1 + 2 * axis + way
    pairs = {pair: 1 + 2 * rank + 2 * i for i, pair in enumerate(combinations(range(rank), 2))}
    for (i, j), at in pairs.items():
        low, high = sorted((turn.to[i], turn.to[j]))
        same = turn.sign[i] * turn.sign[j] > 0
        for way in (0, 1):
            source[pairs[low, high] + (way if same else 1 - way)] = at + way
    back = [turn.to.index(axis) for axis in range(rank)]
    out = maps[:, source].transpose(0, 1, *(2 + axis for axis in back))
    flips = [2 + to for to, sign in zip(turn.to, turn.sign, strict=True) if sign < 0]
    return np.ascontiguousarray(np.flip(out, tuple(flips)) if flips else out)


def coarse(x: NDArray[np.generic], finest: int = FINEST) -> NDArray[np.float32]:
    """``x`` as floats, its longest axes halved until a sample has at most ``finest`` cells."""
    out = x.astype(np.float32)
    while math.prod(out.shape[2:]) > finest:
        axis = max(range(2, out.ndim), key=out.shape.__getitem__)
        out = _means(out, axis, -(-out.shape[axis] // 2))
    return out


def _seen(x: NDArray[np.float32], cells: int) -> Features:
    """Pooled values and pooled gradients split by sign: ``(N, M, *P)``, any rank."""
    axes = tuple(range(2, x.ndim))
    x = x.mean(axis=1, keepdims=True)
    x = x - x.mean(axis=axes, keepdims=True)
    x = x / (x.std(axis=axes, keepdims=True) + 1e-3)
    slopes = [_slope(x, a) for a in axes]
    maps = [x] + [np.maximum(sign * s, 0) for s in slopes for sign in (1, -1)]
    for i, one in enumerate(slopes):
        for other in slopes[i + 1 :]:  # diagonal strokes: / and \ differ in the product's sign
            maps += [np.maximum(one * other, 0), np.maximum(-one * other, 0)]
    pooled = [_pool(np.sqrt(np.maximum(m, 0)) if i else m, cells) for i, m in enumerate(maps)]
    return np.concatenate(pooled, axis=1)


def _slope(x: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    """Central difference, zero at the border; odd under mirroring, unlike a forward one."""
    slope = np.zeros_like(x)
    middle = [slice(None)] * x.ndim
    ahead, behind = list(middle), list(middle)
    middle[axis], ahead[axis], behind[axis] = slice(1, -1), slice(2, None), slice(None, -2)
    slope[tuple(middle)] = x[tuple(ahead)] - x[tuple(behind)]
    return slope


def _pool(x: NDArray[np.float32], cells: int) -> NDArray[np.float32]:
    """Means over at most ``cells`` symmetric cells along each axis."""
    for axis in range(2, x.ndim):
        x = _means(x, axis, min(cells, x.shape[axis]))
    return x


def _means(x: NDArray[np.float32], axis: int, cells: int) -> NDArray[np.float32]:
    """``axis`` averaged down to ``cells`` that lie as they would if it were mirrored."""
    n = x.shape[axis]
    low = [n * c // cells for c in range(cells)]
    high = [n - n * (cells - 1 - c) // cells for c in range(cells)]
    parts = [
        np.take(x, range(a, b), axis=axis).mean(axis=axis) for a, b in zip(low, high, strict=True)
    ]
    return np.stack(parts, axis=axis)


def fitted(features: Features, target: Features) -> Fitted:
    """A regularised linear model from features ``(N, F)`` to ``target`` ``(N, K)``."""
    mean, std = features.mean(0), features.std(0) + 1e-4
    a = np.concatenate([(features - mean) / std, np.ones((len(features), 1), np.float32)], 1)
    gram = a.T @ a + 0.1 * len(a) * np.eye(a.shape[1], dtype=np.float32)
    return mean, std, np.linalg.solve(gram, a.T @ target)


def sums(features: Features, fitted: Fitted) -> Features:
    """What a fitted model says of features ``(N, F)``: ``(N, K)``."""
    mean, std, weights = fitted
    return np.asarray(((features - mean) / std) @ weights[:-1] + weights[-1])
