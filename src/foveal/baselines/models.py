"""Simple models on flat vectors: means, one weighted sum per answer, nearest neighbours."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import Features, Question, Rows

ITERATIONS = 100
ROUNDS = 4  # the clock is looked at between them
SPEED = 1e9  # multiply-adds per second that one slow core makes; sizes the fit, not measured
HELD = 4_000_000  # numbers of training rows held at once, so that memory stays flat (16 MB)
MANY = 50  # beyond this many classes ridge regression, which solves all classes at once
NEIGHBOURS = 5
AT_ONCE = 1 << 22  # distances held at once


def chosen(question: Question, each: float) -> Rows:
    """Positions in the training part: all, or as many (200 at least) as surely end in time.

    each: multiply-adds that one more training row costs.
    """
    count = len(question.learned)
    most = affordable(question.width, each, question.seconds)
    if most >= count:
        return np.arange(count)
    return np.sort(np.random.default_rng(question.seed).permutation(count)[:most])


def affordable(features: int, each: float, seconds: float) -> int:
    """Training rows for which a fit surely ends in time and space; at least 200.

    each: multiply-adds that one more row costs.
    """
    return max(200, min(int(seconds * SPEED / each), HELD // max(features, 1)))


def logistic_cost(features: int, classes: int) -> float:
    """Multiply-adds per training row of `separating`."""
    return features * (2.0 * classes * ITERATIONS if classes <= MANY else features + classes)


def standardised(known: Features, asked: Features) -> tuple[Features, Features]:
    """Both with zero mean and unit spread over ``known``; changed in place."""
    mean, scale = known.mean(0), known.std(0) + 1e-6
    for vectors in (known, asked):
        vectors -= mean
        vectors /= scale
    return known, asked


def used(rows: Rows, question: Question) -> str:
    """ ", from 312 training rows" where not all were used; else nothing."""
    return "" if len(rows) == len(question.learned) else f", from {len(rows):,} training rows"


def nearest_centre(
    known: Features, labels: NDArray[np.int64], asked: Features
) -> NDArray[np.int64]:
    """The class (M,) whose mean vector is nearest."""
    present, which, count = np.unique(labels, return_inverse=True, return_counts=True)
    centre = np.zeros((len(present), known.shape[1]))
    np.add.at(centre, which, known)
    centre /= count[:, None]
    # |a - c|^2 without the part that is the same for every class.
    return np.asarray(present[((centre**2).sum(1) - 2 * asked @ centre.T).argmin(1)], np.int64)


def separating(
    known: Features, labels: NDArray[np.int64], asked: Features, *, ridge: bool, seconds: float
) -> NDArray[np.int64]:
    """The class (M,) of the largest weighted sum, by logistic regression or by ``ridge``."""
    from sklearn.linear_model import LogisticRegression, RidgeClassifier

    most = ITERATIONS // ROUNDS
    started = time.monotonic()
    with quietly():
        if ridge:
            plain: Any = RidgeClassifier(alpha=float(known.shape[1])).fit(known, labels)
            return np.asarray(plain.predict(asked), np.int64)
        # Neighbouring cells say nearly the same; the pull towards 0 keeps small sets honest.
        model: Any = LogisticRegression(C=0.01, max_iter=most, warm_start=True)
        for _ in range(ROUNDS):
            model.fit(known, labels)
            if int(model.n_iter_.max()) < most or time.monotonic() - started > seconds:
                break
        return np.asarray(model.predict(asked), np.int64)


@contextmanager
def quietly() -> Iterator[None]:
    """Fits on one thread whose cap on iterations is wanted.

    Their products are too thin for more threads: idle ones would spin, and beside other processes
    they wait for each other.
    """
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def ridge(known: Features, target: NDArray[Any], asked: Features) -> NDArray[np.float64]:
    """One weighted sum per column of ``target`` (n, K), pulled towards its mean: (M, K)."""
    mean = target.mean(0)
    gram = (known.T @ known).astype(np.float64) + known.shape[1] * np.eye(known.shape[1])
    weights = np.linalg.solve(gram, known.T @ (target - mean))
    return np.asarray(asked @ weights + mean, np.float64)


def neighbours(known: Features, target: NDArray[Any], asked: Features) -> NDArray[np.float64]:
    """The mean target (M, K) of the few nearest training vectors."""
    near = min(NEIGHBOURS, len(known))
    own = (known**2).sum(1)
    found = []
    step = max(1, AT_ONCE // max(len(known), 1))
    for start in range(0, len(asked), step):
        away = own - 2 * asked[start : start + step] @ known.T
        found.append(target[np.argpartition(away, near - 1, axis=1)[:, :near]].mean(1))
    return np.concatenate(found) if found else np.zeros((0, *target.shape[1:]))
