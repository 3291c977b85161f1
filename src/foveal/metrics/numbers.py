"""Scores of predicted numbers, each with its 95 % interval, and intervals for new answers."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..report import Score
from .intervals import paired_mean, percentile, resamples

Table = NDArray[np.float64]  # (N, K): a row per sample, a column per number


@dataclass(frozen=True, slots=True)
class Scores:
    """Mean absolute error, root of the mean squared error, share of the variance explained.

    r2 is None where all true values are equal, so that there is nothing to explain.
    """

    mae: Score
    rmse: Score
    r2: Score | None


def judge(
    true: Table, said: Table, scale: NDArray[np.float64], *, replicates: int = 1000, seed: int = 0
) -> tuple[Scores, list[Scores]] | None:
    """Scores of all numbers together, and of each by itself; None without rows.

    Each number by itself is in its own unit. Together, errors are divided by ``scale`` (K,) and
    averaged over the numbers, since metres and degrees cannot be added; r2 is the plain mean.
    MAE and RMSE: best 0. R2: best 1; 0 is what always saying the mean of ``true`` would get.
    Source: percentile bootstrap over rows, Efron 1979.
    """
    if not len(true):
        return None
    drawn = _replicates(true, said, replicates, seed)
    plain = _figures(_sums(true, said).sum(0)[None], len(true))
    each = [
        _scores(*(figure[0, k] for figure in plain), *(figure[:, k] for figure in drawn))
        for k in range(true.shape[1])
    ]
    mae, rmse, r2 = (_together(figure, scale, i < 2) for i, figure in enumerate(plain))
    maes, rmses, r2s = (_together(figure, scale, i < 2) for i, figure in enumerate(drawn))
    return _scores(mae[0], rmse[0], r2[0], maes, rmses, r2s), each


def _sums(true: Table, said: Table) -> Table:
    """What is added up over rows, (N, 4 K): |error|, error^2, truth, truth^2."""
    centred = true - true.mean(0)  # or the variance would be lost in the squares of large values
    return np.concatenate([np.abs(said - true), (said - true) ** 2, centred, centred**2], axis=1)


def _replicates(true: Table, said: Table, replicates: int, seed: int) -> tuple[Table, Table, Table]:
    sums, count = _sums(true, said), len(true)
    drawn = [weights @ sums for weights in resamples(np.zeros(count, np.int64), replicates, seed)]
    return _figures(np.concatenate(drawn), count)


def _figures(sums: Table, count: int) -> tuple[Table, Table, Table]:
    """MAE, RMSE and R2 (R, K) from sums (R, 4 K); R2 is NaN where truth does not vary."""
    error, square, truth, spread = np.split(sums / count, 4, axis=1)
    variance = spread - truth**2
    varies = variance > 1e-12 * np.maximum(spread, 1e-300)
    nothing = np.full_like(square, np.nan)
    share = np.divide(square, variance, out=nothing, where=varies)
    return error, np.sqrt(square), 1 - share


def _together(figure: Table, scale: NDArray[np.float64], scaled: bool) -> NDArray[np.float64]:
    if scaled:
        return np.asarray((figure / scale).mean(1))
    known = np.isfinite(figure)
    total = np.where(known, figure, 0.0).sum(1)
    return np.where(known.any(1), total / np.maximum(known.sum(1), 1), np.nan)


def _scores(mae: Any, rmse: Any, r2: Any, maes: Table, rmses: Table, r2s: Table) -> Scores:
    explained = None
    if np.isfinite(r2):
        explained = percentile(float(r2), r2s[np.isfinite(r2s)])
    return Scores(percentile(float(mae), maes), percentile(float(rmse), rmses), explained)


def r2(true: Table, said: Table) -> float:
    """Share of the variance explained, mean over the numbers that vary; 0 where none does."""
    found = _together(_figures(_sums(true, said).sum(0)[None], len(true))[2], np.ones(1), False)
    return float(np.nan_to_num(found[0]))


def less_error(
    ours: NDArray[np.float64], theirs: NDArray[np.float64], *, replicates: int = 1000, seed: int = 0
) -> Score:
    """How much smaller our mean error is than theirs on the same rows ``(N,)``, with its interval.

    Above 0 we are better.
    """
    return paired_mean(theirs - ours, replicates=replicates, seed=seed)


def half_widths(errors: Table, coverage: float = 0.9) -> list[float | None]:
    """By how much to widen an answer to each side so that ``coverage`` of the truth lies within.

    The ceil((n + 1) * coverage)-th smallest of n absolute errors that the network was not trained
    on; None where they are too few for any finite width to be sure of that. Holds for new samples
    like those, whatever the network and however errors are spread.
    Source: Lei et al., "Distribution-Free Predictive Inference for Regression", 2018,
        arXiv:1604.04173, section 2.2 (split conformal).
    """
    count = len(errors)
    place = ceil((count + 1) * coverage - 1e-9)
    if place > count:
        return [None] * errors.shape[1]
    widths = np.sort(np.abs(errors), axis=0)[place - 1]
    return [float(width) for width in widths]


def needed(coverage: float = 0.9) -> int:
    """The least number of errors from which `half_widths` gives a width."""
    count = ceil(coverage / (1 - coverage) - 1e-9)
    return count if ceil((count + 1) * coverage - 1e-9) <= count else count + 1
