"""Answers that hold the truth as often as was asked: sets of classes, widths around numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..report import Score
from .intervals import Z, wilson

# The coverages that are stored with a model; one in between takes the next.
LEVELS = (*(round(0.5 + i / 100, 2) for i in range(50)), 0.995, 0.999)
ENOUGH = 40  # held-back samples from which a class has a limit of its own
MANY = 100  # classes beyond which all share one
KEPT = 0.95  # of known samples, at least, are not called unknown
FINE = 1e-6  # limits are rounded outwards by this share of them


@dataclass(frozen=True, slots=True)
class Sets:
    """By how much the probability of a class may fall short of 1 for it to be in the set.

    own: of each class one limit per level of `LEVELS`; None for a class that takes ``shared``.
    A limit is None where too few samples were held back to be sure: the class is in every set.
    """

    shared: tuple[float | None, ...]
    own: tuple[tuple[float | None, ...] | None, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        own = [None if row is None else list(row) for row in self.own]
        return {"levels": list(LEVELS), "shared": list(self.shared), "own": own}

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> Sets:
        """What `to_dict` gave."""
        own = tuple(None if row is None else tuple(row) for row in values["own"])
        return Sets(tuple(values["shared"]), own)

    def at(self, coverage: float) -> NDArray[np.float64]:
        """The limit of each class ``(K,)``; 1 where there is none."""
        place = level(coverage)
        found = [(self.shared if row is None else row)[place] for row in self.own]
        return np.array([1.0 if limit is None else limit for limit in found])


def level(coverage: float) -> int:
    """The position in `LEVELS` of the least one that is as high; at most 0.999 can be asked."""
    return int(np.searchsorted(LEVELS, coverage - 1e-9))


def quantiles(strange: NDArray[np.float64]) -> tuple[float | None, ...]:
    """For each level the value that so many new ones stay within; None where too few are known.

    The ceil((n + 1) * level)-th smallest of n values held back: a new value of the same kind is
    no larger with a probability of at least the level, however the values are spread.
    Source: Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random World", 2005; split form
        of Papadopoulos et al., "Inductive Confidence Machines for Regression", 2002.
    """
    ordered, count = np.sort(strange), len(strange)
    places = [ceil((count + 1) * each - 1e-9) for each in LEVELS]
    return tuple(_short(ordered[p - 1] * (1 + FINE)) if p <= count else None for p in places)


def fit_sets(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> Sets:
    """Limits from answers to samples that were not learned from.

    A class with `ENOUGH` of them has limits of its own, so that what was asked for holds for the
    class by itself. All others share theirs, from their own samples where these are enough
    together and else from all; so do all classes where there are over a hundred.

    Shapes: ``(N, K), (N,)``.
    Source: Sadinle, Lei and Wasserman, "Least Ambiguous Set-Valued Classifiers with Bounded Error
        Levels", 2019, arXiv:1609.00451: of all sets with a coverage these are the smallest on
        average, and limits per class bound the error of each.
    """
    classes = probabilities.shape[1]
    strange = 1 - probabilities[np.arange(len(labels)), labels]
    counts = np.bincount(labels, minlength=classes)
    single = (counts >= ENOUGH) & (classes <= MANY)
    rest = ~single[labels]
    shared = strange[rest] if rest.sum() >= ENOUGH else strange
    own = tuple(quantiles(strange[labels == k]) if single[k] else None for k in range(classes))
    return Sets(quantiles(shared), own)


def sets(probabilities: NDArray[np.float64], fitted: Sets, coverage: float) -> NDArray[np.bool_]:
    """Which classes are in the set of each sample ``(N, K)``; the likeliest always is.

    So no set is empty, and where the likeliest class alone is right more often than was asked
    for, sets hold the truth that much more often.
    """
    inside = 1 - probabilities <= fitted.at(coverage)
    inside[np.arange(len(inside)), probabilities.argmax(1)] = True
    return np.asarray(inside)


def held(inside: NDArray[np.bool_], labels: NDArray[np.int64]) -> dict[str, Any]:
    """How often sets held the truth and how large they are, with intervals; plain JSON.

    "covered": share of samples, best the coverage asked for. "size": mean number of classes.
    "single": share of sets with one class. "least": the class held least often, of those with
    `ENOUGH` samples here; None without one.
    """
    right = inside[np.arange(len(labels)), labels]
    size = inside.sum(1).astype(float)
    half = Z * float(size.std()) / len(size) ** 0.5 if len(size) else inside.shape[1]
    mean = float(size.mean()) if len(size) else 1.0
    found, hits = (np.bincount(rows, minlength=inside.shape[1]) for rows in (labels, labels[right]))
    each = [(wilson(int(hits[k]), int(found[k])), k) for k in np.flatnonzero(found >= ENOUGH)]
    least = min(each, key=lambda pair: (pair[0].value, pair[1]), default=None)
    return {
        "covered": asdict(wilson(int(right.sum()), len(right))),
        "size": asdict(Score(mean, max(1.0, mean - half), mean + half)),
        "single": float((size == 1).mean()) if len(size) else 0.0,
        "least": None if least is None else {"class": int(least[1]), **asdict(least[0])},
    }


def fit_floor(top: NDArray[np.float64], kept: float = KEPT) -> float | None:
    """The confidence below which a sample is called unknown: of known ones, at least the share
    ``kept`` reaches it. None where too few were held back to be sure of that.

    top: probability of the likeliest class of samples that were not learned from ``(N,)``.
    Source: the score is that of Hendrycks and Gimpel, arXiv:1610.02136; the place of the floor is
        that of `quantiles`. On handwritten digits of three classes that were never shown, it
        refused 83 to 96 of 100 where an energy (arXiv:2010.03759) refused 82 to 96.
    """
    place = ceil((len(top) + 1) * kept - 1e-9)
    if place > len(top):
        return None
    return _short(np.sort(top)[::-1][place - 1] * (1 - FINE))


def by_level(table: Mapping[str, Any], coverage: float) -> Sequence[float | None]:
    """The row of a table of widths ``{"widths": (K, L)}`` for a coverage ``(K,)``."""
    return [row[level(coverage)] for row in table["widths"]]


def fit_widths(errors: NDArray[np.float64]) -> dict[str, Any]:
    """Half widths ``(K, L)`` around each number for each level, from errors ``(N, K)``.

    Source: as `metrics.numbers.half_widths`, for every level that is stored.
    """
    return {"levels": list(LEVELS), "widths": [list(quantiles(np.abs(e))) for e in errors.T]}


def _short(value: float) -> float:
    """Seven digits, so that a table of limits stays readable."""
    return float(f"{value:.7g}")
