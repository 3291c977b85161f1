"""What could be had without a network: three simple answers to the same test rows."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..report import Score
from .intervals import wilson

if TYPE_CHECKING:
    from torch import Tensor

Gather = Callable[[NDArray[np.int64]], "Tensor"]  # rows -> (B, C, *S), as a Store gathers them

CELLS = 144  # at most this many cells per channel are looked at: 12 x 12 in a picture
ITERATIONS = 100
ROUNDS = 4  # the clock is looked at between them
SPEED = 1e9  # multiply-adds per second that one slow core makes; sizes the fit, not measured
HELD = 4_000_000  # numbers of training rows held at once, so that memory stays flat (16 MB)
MANY = 50  # beyond this many classes ridge regression, which solves all classes at once


@dataclass(frozen=True, slots=True)
class Baseline:
    """A simple answer: its name, what it is in words, its accuracy, and what it said (N,)."""

    name: str
    words: str
    score: Score
    said: NDArray[np.int64]


def baselines(
    gather: Gather,
    train: tuple[NDArray[np.int64], NDArray[np.int64]],
    test: tuple[NDArray[np.int64], NDArray[np.int64]],
    *,
    seconds: float = 10.0,
    seed: int = 0,
) -> tuple[Baseline, ...]:
    """Majority class, nearest centroid and a linear model on small standardised cells.

    Args:
        gather: rows -> (B, C, *S), the cached values.
        train, test: rows and their labels, both (N,).
        seconds: about the most time the linear fit may take on one slow core. It decides from
            sizes alone how many training rows are used, so the same data give the same answers.
    """
    labels, truth = train[1], test[1]
    if not len(labels) or not len(truth):
        return ()
    classes = int(max(labels.max(), truth.max())) + 1
    common = int(np.bincount(labels).argmax())
    found = [
        _baseline(
            "majority",
            "always says the class that is commonest in training",
            np.full(len(truth), common),
            truth,
        )
    ]
    if len(np.unique(labels)) < 2:
        return tuple(found)
    rows = np.arange(len(labels))
    width = small(gather, train[0][:1]).shape[1]
    most = _affordable(width, classes, seconds)
    if most < len(rows):
        rows = np.sort(np.random.default_rng(seed).permutation(len(rows))[:most])
    known, asked = small(gather, train[0][rows]), small(gather, test[0])
    mean, scale = known.mean(0), known.std(0) + 1e-6
    for cells in (known, asked):
        cells -= mean
        cells /= scale
    used = "" if len(rows) == len(labels) else f", from {len(rows):,} training rows"
    said = _nearest(known, labels[rows], asked)
    found.append(
        _baseline("nearest_centroid", f"says the class whose average is nearest{used}", said, truth)
    )
    name = "logistic_regression" if classes <= MANY else "ridge_regression"
    words = f"one weighted sum of coarse cells for each class{used}"
    if len(np.unique(labels[rows])) > 1:
        found.append(
            _baseline(name, words, _linear(name, known, labels[rows], asked, seconds), truth)
        )
    return tuple(found)


def small(gather: Gather, rows: NDArray[np.int64], batch: int = 1024) -> NDArray[np.float32]:
    """Rows as flat vectors (N, F): each axis averaged down so that about `CELLS` are left."""
    parts = []
    for start in range(0, len(rows), batch):
        x = gather(rows[start : start + batch]).cpu().numpy().astype(np.float32)
        axes = x.ndim - 2
        edge = max(1, int(CELLS ** (1 / max(axes, 1)) + 1e-9))
        for axis in range(2, x.ndim):
            x = _shrink(x, axis, edge)
        parts.append(x.reshape(len(x), -1))
    return np.concatenate(parts)


def _shrink(x: NDArray[np.float32], axis: int, cells: int) -> NDArray[np.float32]:
    """``axis`` averaged down to at most ``cells`` cells of nearly equal width."""
    size = x.shape[axis]
    if size <= cells:
        return x
    edges = np.arange(cells) * size // cells
    widths = np.diff(np.append(edges, size)).astype(np.float32)
    shape = [1] * x.ndim
    shape[axis] = cells
    return np.asarray(np.add.reduceat(x, edges, axis=axis) / widths.reshape(shape), np.float32)


def _affordable(features: int, classes: int, seconds: float) -> int:
    """Training rows for which the linear fit surely ends in time and space; at least 200."""
    each = features * (2 * classes * ITERATIONS if classes <= MANY else features + classes)
    return max(200, min(int(seconds * SPEED / each), HELD // features))


def _nearest(
    known: NDArray[np.float32], labels: NDArray[np.int64], asked: NDArray[np.float32]
) -> NDArray[np.int64]:
    present, which, count = np.unique(labels, return_inverse=True, return_counts=True)
    centre = np.zeros((len(present), known.shape[1]))
    np.add.at(centre, which, known)
    centre /= count[:, None]
    # |a - c|^2 without the part that is the same for every class.
    return np.asarray(present[((centre**2).sum(1) - 2 * asked @ centre.T).argmin(1)], np.int64)


def _linear(
    name: str,
    known: NDArray[np.float32],
    labels: NDArray[np.int64],
    asked: NDArray[np.float32],
    seconds: float,
) -> NDArray[np.int64]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression, RidgeClassifier
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    most = ITERATIONS // ROUNDS
    started = time.monotonic()
    # One thread: these products are too thin for more, and idle ones would spin.
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore", ConvergenceWarning)  # the cap on iterations is wanted
        if name == "ridge_regression":
            ridge: Any = RidgeClassifier(alpha=float(known.shape[1])).fit(known, labels)
            return np.asarray(ridge.predict(asked), np.int64)
        # Neighbouring cells say nearly the same; the pull towards 0 keeps small sets honest.
        model: Any = LogisticRegression(C=0.01, max_iter=most, warm_start=True)
        for _ in range(ROUNDS):
            model.fit(known, labels)
            if int(model.n_iter_.max()) < most or time.monotonic() - started > seconds:
                break
        return np.asarray(model.predict(asked), np.int64)


def _baseline(name: str, words: str, said: NDArray[np.int64], truth: NDArray[np.int64]) -> Baseline:
    return Baseline(name, words, wilson(int((said == truth).sum()), len(truth)), said)
