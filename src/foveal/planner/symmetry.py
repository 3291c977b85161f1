"""May an axis be mirrored? Asked of the data, before any flip is ever applied.

A mirrored picture keeps its meaning only if a classifier that has never seen a mirror image
names mirrored pictures as well as plain ones. A cheap one is enough to find out: 6 and 2 fail
at once, cats and cars do not. Where even the plain pictures cannot be told apart better than
by guessing there is no evidence, and the axis is left alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MOST = 3000  # samples looked at; more would not change the answer
CELLS = 5  # pooled cells along each axis
FINEST = 2**15  # cells of a sample; of larger ones, such as clips, neighbours are averaged
TOGETHER = 2**22  # values worked on at a time
Features = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What mirroring one axis does to a simple classifier's accuracy on held-back samples."""

    axis: str
    plain: float
    mirrored: float
    allowed: bool
    why: str


def mirror_evidence(
    x: NDArray[np.generic], labels: NDArray[np.integer], axes: list[tuple[str, bool]], seed: int = 0
) -> tuple[Evidence, ...]:
    """Evidence for each axis, from samples ``x`` ``(N, C, *S)`` and their class positions.

    axes: name of each grid axis, and whether it could be mirrored at all (never time or text).
    A regularised linear classifier on pooled values and gradient directions is trained on two
    thirds of the samples and asked about the rest, plain and mirrored. Mirroring is allowed when
    it costs at most two standard errors of the paired difference and at most 2 points, in total,
    and when no single class loses significantly (z > 3.5).
    """
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(len(x))[:MOST]
    values, labels = x[chosen], labels[chosen]
    cut = 2 * len(values) // 3
    if cut < 20 or len(set(labels[:cut].tolist())) < 2:
        return tuple(
            Evidence(n, 0.0, 0.0, False, "too few samples to test mirroring") for n, _ in axes
        )
    held, true = values[cut:], labels[cut:]
    weights = _ridge(_features(values[:cut]), labels[:cut])
    plain = _said(_features(held), weights) == true
    base = np.bincount(labels).max() / len(labels)
    found = []
    for position, (name, mirrors) in enumerate(axes):
        if not mirrors:
            found.append(Evidence(name, 0.0, 0.0, False, f"{name} is never mirrored"))
            continue
        turned = np.flip(held, axis=2 + position)
        mirrored = _said(_features(turned), weights) == true
        found.append(_judge(name, plain, mirrored, true, float(base)))
    return tuple(found)


def mirror_evidence_of_values(
    x: NDArray[np.generic],
    values: NDArray[np.floating],
    axes: list[tuple[str, bool]],
    seed: int = 0,
) -> tuple[Evidence, ...]:
    """The same where ``values`` ``(N, K)`` are to be told: numbers, or 0 and 1 of each class.

    A regularised linear model tells them from plain and from mirrored samples. Mirroring is
    allowed when it costs at most two standard errors and at most 2 % of the spread in total, and
    when no single value loses significantly (z > 3.5).
    """
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(len(x))[:MOST]
    cells, told = x[chosen].astype(np.float32), values[chosen].astype(np.float64)
    cut = 2 * len(cells) // 3
    varies = told[:cut].std(0) > 1e-9
    if cut < 20 or not varies.any():
        return tuple(
            Evidence(n, 0.0, 0.0, False, "too few samples to test mirroring") for n, _ in axes
        )
    told = told[:, varies]
    told = (told - told[:cut].mean(0)) / told[:cut].std(0)
    fitted = _fitted(_features(cells[:cut]), told[:cut].astype(np.float32))
    true, held = told[cut:], cells[cut:]
    plain = (_sums(_features(held), fitted) - true) ** 2
    found = []
    for position, (name, mirrors) in enumerate(axes):
        if not mirrors:
            found.append(Evidence(name, 0.0, 0.0, False, f"{name} is never mirrored"))
            continue
        turned = _features(np.flip(held, axis=2 + position))
        found.append(_weigh(name, true**2, plain, (_sums(turned, fitted) - true) ** 2))
    return tuple(found)


def _weigh(
    name: str,
    nothing: NDArray[np.float64],
    plain: NDArray[np.float64],
    mirrored: NDArray[np.float64],
) -> Evidence:
    """From squared errors (N, K) of the mean, of plain and of mirrored samples, in spreads."""
    n, spread = len(plain), float(nothing.mean())
    a, b = (1 - float(error.mean()) / spread for error in (plain, mirrored))
    figures = (
        f"a simple model explains {a:.0%} of the spread of {n} held-back samples, {b:.0%} mirrored "
        f"in {name}"
    )
    gain = (nothing - plain).mean(1)
    if gain.mean() < 2 * gain.std() / math.sqrt(n):
        return Evidence(name, a, b, False, f"{figures}: no better than the mean, so no evidence")
    loss = mirrored - plain
    total, error = loss.mean(1), float(loss.mean(1).std()) / math.sqrt(n)
    if total.mean() > min(2 * error, 0.02 * spread) and total.mean() > error:
        return Evidence(name, a, b, False, f"{figures}: orientation carries the value")
    each = loss.mean(0) / np.maximum(loss.std(0) / math.sqrt(n), 0.02 * spread)
    if each.max() > 3.5:
        return Evidence(name, a, b, False, f"{figures}: one value alone loses by it")
    return Evidence(name, a, b, True, f"{figures}: nothing is lost")


def _judge(
    name: str,
    plain: NDArray[np.bool_],
    mirrored: NDArray[np.bool_],
    true: NDArray[np.integer],
    base: float,
) -> Evidence:
    n = len(plain)
    a, b = float(plain.mean()), float(mirrored.mean())
    figures = (
        f"a simple classifier names {a:.1%} of {n} held-back samples, {b:.1%} mirrored in {name}"
    )
    if a < base + 2 * math.sqrt(base * (1 - base) / n):
        return Evidence(name, a, b, False, f"{figures}: no better than guessing, so no evidence")
    loss = plain.astype(float) - mirrored
    error = float(loss.std()) / math.sqrt(n)
    if loss.mean() > min(2 * error, 0.02) and loss.mean() > error:
        return Evidence(name, a, b, False, f"{figures}: orientation carries the label")
    for kind in np.unique(true):
        own = loss[true == kind]
        spread = max(float(own.std()) / math.sqrt(len(own)), 0.02)
        if own.mean() / spread > 3.5:
            why = f"{figures}: one class alone loses {own.mean():.0%}"
            return Evidence(name, a, b, False, why)
    return Evidence(name, a, b, True, f"{figures}: nothing is lost")


def _features(x: NDArray[np.generic]) -> Features:
    """What the classifier sees of samples ``(N, C, *S)``, in bounded memory: ``(N, F)``."""
    step = max(1, TOGETHER // max(x[0].size, 1))
    parts = [_seen(_coarse(x[i : i + step])) for i in range(0, len(x), step)]
    return np.concatenate(parts)


def _coarse(x: NDArray[np.generic]) -> NDArray[np.float32]:
    """``x`` as floats, its longest axes halved until a sample has at most `FINEST` cells."""
    out = x.astype(np.float32)
    while math.prod(out.shape[2:]) > FINEST:
        axis = max(range(2, out.ndim), key=out.shape.__getitem__)
        out = _means(out, axis, -(-out.shape[axis] // 2))
    return out


def _seen(x: NDArray[np.float32]) -> Features:
    """Pooled values and pooled gradients split by sign: ``(N, F)``, any rank."""
    axes = tuple(range(2, x.ndim))
    x = x.mean(axis=1, keepdims=True)
    x = x - x.mean(axis=axes, keepdims=True)
    x = x / (x.std(axis=axes, keepdims=True) + 1e-3)
    slopes = [_slope(x, a) for a in axes]
    maps = [x] + [np.maximum(sign * s, 0) for s in slopes for sign in (1, -1)]
    for i, one in enumerate(slopes):
        for other in slopes[i + 1 :]:  # diagonal strokes: / and \ differ in the product's sign
            maps += [np.maximum(one * other, 0), np.maximum(-one * other, 0)]
    pooled = [_pool(np.sqrt(np.maximum(m, 0)) if i else m) for i, m in enumerate(maps)]
    return np.concatenate([p.reshape(len(x), -1) for p in pooled], axis=1)


def _slope(x: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    """Central difference, zero at the border; odd under mirroring, unlike a forward one."""
    slope = np.zeros_like(x)
    middle = [slice(None)] * x.ndim
    ahead, behind = list(middle), list(middle)
    middle[axis], ahead[axis], behind[axis] = slice(1, -1), slice(2, None), slice(None, -2)
    slope[tuple(middle)] = x[tuple(ahead)] - x[tuple(behind)]
    return slope


def _pool(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Means over at most CELLS symmetric cells along each axis."""
    for axis in range(2, x.ndim):
        x = _means(x, axis, min(CELLS, x.shape[axis]))
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


def _ridge(features: Features, labels: NDArray[np.integer]) -> tuple[Features, Features, Features]:
    return _fitted(features, np.eye(int(labels.max()) + 1, dtype=np.float32)[labels])


def _fitted(features: Features, target: Features) -> tuple[Features, Features, Features]:
    mean, std = features.mean(0), features.std(0) + 1e-4
    a = np.concatenate([(features - mean) / std, np.ones((len(features), 1), np.float32)], 1)
    gram = a.T @ a + 0.1 * len(a) * np.eye(a.shape[1], dtype=np.float32)
    return mean, std, np.linalg.solve(gram, a.T @ target)


def _sums(features: Features, fitted: tuple[Features, Features, Features]) -> Features:
    mean, std, weights = fitted
    return np.asarray(((features - mean) / std) @ weights[:-1] + weights[-1])


def _said(features: Features, fitted: tuple[Features, Features, Features]) -> NDArray[np.intp]:
    return np.asarray(_sums(features, fitted).argmax(1))
