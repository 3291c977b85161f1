"""What a simple model is to tell of samples, how well it does, and what a change costs it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .pooled import Features

LOSS = 0.04  # of all samples may be lost, or
SHARE = 0.1  # of what is told better than by guessing, whichever is more
ONE, MUCH = 3.5, 0.25  # one class alone loses: by more standard errors, and more of it
MERGED = 0.4  # of each of two classes that turn into each other,
FOCUS = 4.0  # and so many times as many as of the other classes
Scores = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Aim:
    """One of K classes, or K values.

    target: (N, K), what a linear model learns. labels: (N,) positions of classes, or None.
    """

    target: Features
    labels: NDArray[np.intp] | None
    names: tuple[str, ...] = ()

    def of(self, rows: NDArray[np.intp]) -> Aim:
        """The same of some samples."""
        return Aim(
            self.target[rows], self.labels if self.labels is None else self.labels[rows], self.names
        )

    @property
    def varies(self) -> bool:
        """Whether there is anything to tell."""
        return bool(self.target.size and self.target.std(0).any())

    def scores(self, said: Features) -> Scores:
        """1 where a class is named rightly, in its own column, NaN in others; of values, 1 less
        the squared error in spreads. (N, K)"""
        if self.labels is None:
            return np.asarray(1 - (said - self.target) ** 2, np.float64)
        right = np.full(said.shape, np.nan)
        right[np.arange(len(said)), self.labels] = said.argmax(1) == self.labels
        return right

    def allowed(self, scores: Scores) -> float | None:
        """How much of the mean score may be lost; None where nothing is told, which is no
        evidence."""
        each = np.nanmean(scores, 1)
        skill = float(each.mean()) - self._guess()
        if skill < 2 * float(each.std()) / math.sqrt(len(each)):
            return None
        return max(LOSS, SHARE * skill)

    def _guess(self) -> float:
        """The score of saying always the same."""
        if self.labels is None:
            return 0.0
        return float(np.bincount(self.labels).max() / len(self.labels))

    def share(self, scores: Scores) -> str:
        """A mean score in words."""
        mean = float(np.nanmean(scores, 1).mean())
        return f"explains {mean:.0%} of the spread" if self.labels is None else f"names {mean:.1%}"


def of_classes(labels: NDArray[np.integer], names: Sequence[str]) -> Aim:
    """One of the classes ``names``, by position."""
    at = labels.astype(np.intp)
    return Aim(np.eye(len(names), dtype=np.float32)[at], at, tuple(names))


def of_values(values: NDArray[np.generic]) -> Aim:
    """Numbers ``(N, K)``, each of them in its own spread; what never varies is left out."""
    told = values.astype(np.float64)
    told = told[:, told.std(0) > 1e-9]
    return Aim(((told - told.mean(0)) / told.std(0)).astype(np.float32), None)


@dataclass(frozen=True, slots=True, order=True)
class Loss:
    """mean, error: what a change costs of the mean score, and the standard error of that.

    plain, after: the mean score before and after. worst: the class that alone loses much; "" for
    none.
    """

    mean: float
    error: float
    plain: float
    after: float
    worst: str

    def within(self, allowed: float, luck: float, sure: float = 0.0) -> bool:
        """Whether no more than luck is lost, no more than allowed, and no class alone."""
        by_luck = self.mean <= luck * max(self.error, 1e-3)
        return by_luck and self.mean + sure * self.error <= allowed and not self.worst


def lost(plain: Scores, after: Scores, aim: Aim) -> Loss:
    """What is lost from scores ``plain`` to ``after``, both ``(N, K)``."""
    before, now = np.nanmean(plain, 1), np.nanmean(after, 1)
    mean, error = _mean(before - now)
    worst = ""
    for at in range(plain.shape[1]):
        own = (plain[:, at] - after[:, at])[~np.isnan(plain[:, at])]
        if len(own) > 1 and own.mean() > max(MUCH, ONE * _mean(own)[1]):
            worst = f"class {aim.names[at]!r}" if aim.names else "one value"
    return Loss(mean, error, float(before.mean()), float(now.mean()), worst)


def _mean(values: NDArray[np.float64]) -> tuple[float, float]:
    return float(values.mean()), float(values.std()) / math.sqrt(len(values))


def merged(
    plain: Features, turned: Features, back: Features, aim: Aim
) -> tuple[tuple[str, str, float], ...]:
    """Pairs of classes that a turn makes one of the other, and undoing it the other way.

    Of samples that were named rightly as they are; a class that all others are called too does
    not count. Args: what is said of samples as they are, turned, and turned the other way.
    """
    if aim.labels is None or not len(aim.labels):
        return ()
    right, count = plain.argmax(1) == aim.labels, len(aim.names)
    true = aim.labels[right]
    there, again = (_confusion(true, said[right].argmax(1), count) for said in (turned, back))
    best: dict[tuple[str, str], float] = {}
    for one, other in np.argwhere(np.minimum(there, again.T) >= MERGED).tolist():
        share = float(min(there[one, other], again[other, one]))
        rest = [at for at in range(count) if at not in (one, other)]
        usual = max(np.median(there[rest, other]), np.median(again[rest, one])) if rest else 0.5
        if one != other and share > min(FOCUS * usual, 0.75):
            first, second = sorted((one, other))
            pair = (aim.names[first], aim.names[second])
            best[pair] = max(share, best.get(pair, 0.0))
    return tuple((*pair, share) for pair, share in sorted(best.items(), key=lambda p: -p[1]))


def turning(pair: tuple[str, str, float]) -> str:
    """A pair of `merged` in words: "6 and 9 turn into each other (61 %)"."""
    one, other, share = pair
    return f"{one} and {other} turn into each other ({share:.0%})"


def _confusion(true: NDArray[np.intp], said: NDArray[np.intp], count: int) -> Scores:
    """Shares of each class (rows) by what they are called (columns); 0 of classes under three."""
    table = np.bincount(true * count + said, minlength=count * count).reshape(count, count)
    total = table.sum(1, keepdims=True)
    return np.where(total >= 3, table / np.maximum(total, 1), 0.0)
