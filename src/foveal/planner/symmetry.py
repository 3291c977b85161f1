"""May an axis be mirrored? Asked of the data, before any flip is ever applied.

A mirrored picture keeps its meaning only if a classifier that has never seen a mirror image
names mirrored pictures as well as plain ones. A cheap one is enough to find out: 6 and 2 fail
at once, cats and cars do not. Where even the plain pictures cannot be told apart better than
by guessing there is no evidence, and the axis is left alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .aim import merged, of_classes, turning
from .pooled import Features, Fitted, features, fitted, sums

MOST = 3000  # samples looked at; more would not change the answer


@dataclass(frozen=True, slots=True)
class Evidence:
    """What mirroring one axis does to a simple classifier's accuracy on held-back samples."""

    axis: str
    plain: float
    mirrored: float
    allowed: bool
    why: str


def mirror_evidence(
    x: NDArray[np.generic],
    labels: NDArray[np.integer],
    axes: list[tuple[str, bool]],
    seed: int = 0,
    classes: Sequence[str] = (),
) -> tuple[Evidence, ...]:
    """Evidence for each axis, from samples ``x`` ``(N, C, *S)`` and their class positions.

    axes: name of each grid axis, and whether it could be mirrored at all (never time or text).
    A regularised linear classifier on pooled values and gradient directions is trained on two
    thirds of the samples and asked about the rest, plain and mirrored. Mirroring is allowed when
    it costs at most two standard errors of the paired difference and at most 2 points, in total,
    and when no single class loses significantly (z > 3.5). Pairs of ``classes`` that a mirror
    makes one of the other are named.
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
    count = len(classes) or int(labels.max()) + 1
    weights = _ridge(features(values[:cut]), labels[:cut], count)
    said = sums(features(held), weights)
    plain = said.argmax(1) == true
    base = np.bincount(labels).max() / len(labels)
    aim = of_classes(true, classes or [str(i) for i in range(count)])
    found = []
    for position, (name, mirrors) in enumerate(axes):
        if not mirrors:
            found.append(Evidence(name, 0.0, 0.0, False, f"{name} is never mirrored"))
            continue
        turned = sums(features(np.flip(held, axis=2 + position)), weights)
        judged = _judge(name, plain, turned.argmax(1) == true, true, float(base))
        pairs = merged(said, turned, turned, aim)
        found.append(replace(judged, why=", ".join([judged.why, *map(turning, pairs)])))
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
    model = fitted(features(cells[:cut]), told[:cut].astype(np.float32))
    true, held = told[cut:], cells[cut:]
    plain = (sums(features(held), model) - true) ** 2
    found = []
    for position, (name, mirrors) in enumerate(axes):
        if not mirrors:
            found.append(Evidence(name, 0.0, 0.0, False, f"{name} is never mirrored"))
            continue
        turned = features(np.flip(held, axis=2 + position))
        found.append(_weigh(name, true**2, plain, (sums(turned, model) - true) ** 2))
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


def _ridge(features: Features, labels: NDArray[np.integer], classes: int) -> Fitted:
    return fitted(features, np.eye(classes, dtype=np.float32)[labels])
