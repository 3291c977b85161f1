"""How sure a figure is: Wilson for shares, a stratified bootstrap for everything else."""

from __future__ import annotations

from collections.abc import Iterator
from math import exp, inf, isfinite, log, sqrt

import numpy as np
from numpy.typing import NDArray

from ..report import Score

Z = 1.959964  # two-sided 95 % of a normal
CELLS = 4_000_000  # weights held at once while resampling: 32 MB
DRAWS = 200_000_000  # weights drawn in all; with very many rows fewer resamples do


def wilson(right: float, count: float) -> Score:
    """The share ``right / count`` with its 95 % interval; 0 to 1 when nothing was counted.

    Unlike the textbook interval it keeps its coverage for small counts and near 0 and 1.
    Source: Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", 1927.
    """
    if count <= 0:
        return Score(0.0, 0.0, 1.0)
    share = right / count
    scale = 1 + Z * Z / count
    middle = (share + Z * Z / (2 * count)) / scale
    half = Z / scale * sqrt(share * (1 - share) / count + Z * Z / (4 * count * count))
    return Score(share, min(share, max(0.0, middle - half)), max(share, min(1.0, middle + half)))


def mean_of_shares(right: NDArray[np.int64], count: NDArray[np.int64]) -> Score:
    """The plain mean of the shares ``right / count`` (K,), each of another class.

    The wider of two closed forms. Adding the classes' own Wilson intervals is right for few
    classes of unlike size; one Wilson interval for as many rows as the mean is worth is right for
    many small classes. Both stay open where every share is 1, where a bootstrap closes.
    Source: the first is Zou and Donner, "Construction of confidence limits about effect
        measures", 2008; the second, and taking the wider, are ours (coverage: test_intervals).
    """
    if not len(count):
        return Score(0.0, 0.0, 1.0)
    shares = [wilson(int(r), int(n)) for r, n in zip(right, count, strict=True)]
    value = sum(s.value for s in shares) / len(shares)
    below = sqrt(sum((s.value - s.low) ** 2 for s in shares)) / len(shares)
    above = sqrt(sum((s.high - s.value) ** 2 for s in shares)) / len(shares)
    worth = len(count) ** 2 / float((1.0 / count).sum())
    pooled = wilson(value * worth, worth)
    return Score(
        value, max(0.0, min(value - below, pooled.low)), min(1.0, max(value + above, pooled.high))
    )


def resamples(
    labels: NDArray[np.int64], replicates: int, seed: int
) -> Iterator[NDArray[np.float64]]:
    """Bootstrap weights in chunks of shape (R, N): how often each row was drawn.

    Stratified: every class keeps its number of rows in every resample, so no resample loses a
    rare class. The chunks together hold ``replicates`` resamples, or fewer (at least 200) where
    there are so many rows that the figures hardly vary.
    """
    count = len(labels)
    replicates = max(min(replicates, 200), min(replicates, DRAWS // max(count, 1)))
    order = np.argsort(labels, kind="stable")
    _, start, size = np.unique(labels[order], return_index=True, return_counts=True)
    first, width = np.repeat(start, size), np.repeat(size, size)
    generator = np.random.default_rng(seed)
    step = max(1, CELLS // max(count, 1))
    for done in range(0, replicates, step):
        rows = min(step, replicates - done)
        drawn = order[first + (generator.random((rows, count)) * width).astype(np.int64)]
        drawn += np.arange(rows)[:, None] * count
        yield np.bincount(drawn.ravel(), minlength=rows * count).reshape(rows, count).astype(float)


def widening(counts: NDArray[np.int64]) -> float:
    """By how much resamples of classes of ``counts`` rows spread too little: at most the root of 2.

    Rows drawn from n rows vary by (n - 1) / n of what n rows of the world would. A class of one
    row does not vary at all; it counts like one of two.
    Source: Rao and Wu, "Resampling Inference With Complex Survey Data", 1988, who widen the
        weights of each class; here all alike, so that no weight falls below 0.
    """
    rows = counts[counts > 0].astype(float)
    return sqrt(float((rows * rows / np.maximum(rows - 1, rows / 2)).sum() / rows.sum()))


def of_share(value: float, error: float, freedom: float = inf) -> Score:
    """A figure between 0 and 1 with its standard error, which is carried to its log odds.

    Near 1 a figure of few rows is more easily far too high than far too low, and never above 1.
    freedom: as `of_positive`.
    Source: Pepe, "The Statistical Evaluation of Medical Tests", 2003, section 5.2.
    """
    half, odds = student(freedom) * error / (value * (1 - value)), log(value / (1 - value))
    low, high = (1 / (1 + exp(-at)) for at in (odds - half, odds + half))
    return Score(value, min(value, low), max(value, high))


def of_positive(value: float, error: float, freedom: float = inf) -> Score:
    """A figure above 0 that may be of any size, its standard error carried to its logarithm.

    freedom: how many values the error is told from, less one; see `freedom_of`.
    """
    factor = exp(student(freedom) * error / value)
    return Score(value, value / factor, value * factor)


def percentile(
    value: float, replicates: NDArray[np.float64], *, centred: bool = False, wide: float = 1.0
) -> Score:
    """``value`` with the middle 95 % of its ``replicates``.

    ``centred`` moves the replicates so that their mean is ``value``: needed for figures such as
    the calibration error, which every resample makes larger. ``wide``: see `widening`.
    """
    middle = replicates.mean()
    if wide != 1.0:
        replicates = middle + (replicates - middle) * wide
    if centred:
        replicates = replicates + (value - middle)
    low, high = np.quantile(replicates, (0.025, 0.975))
    return Score(value, min(value, float(low)), max(value, float(high)))


def paired(
    ours: NDArray[np.bool_], theirs: NDArray[np.bool_], *, replicates: int = 10_000, seed: int = 0
) -> Score:
    """How much larger our share of right answers is, on the same rows, with its interval.

    Rows on which both are right or both are wrong say nothing; so it is enough to draw how many
    rows favour us and how many favour them. One row for each side is added to the interval
    (after Agresti and Min, 2005), or no difference seen would pass for none at all.
    """
    count = len(ours)
    if not count:
        return Score(0.0, -1.0, 1.0)
    won, lost = int((ours & ~theirs).sum()), int((theirs & ~ours).sum())
    shares = np.array([won + 0.5, lost + 0.5, count - won - lost + 1.0])
    drawn = np.random.default_rng(seed).multinomial(count, shares / shares.sum(), size=replicates)
    return percentile((won - lost) / count, (drawn[:, 0] - drawn[:, 1]) / count)


def student(freedom: float) -> float:
    """By how many standard errors, told from few values, 95 of 100 lie from the truth at most.

    freedom: values less what was fitted to them. Source: Student, "The Probable Error of a Mean",
        1908.
    """
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.975)) if isfinite(freedom) else Z


def freedom_of(values: NDArray[np.float64], groups: NDArray[np.int64]) -> float:
    """As how many normal values the spread of ``values`` (N,) within its groups is told from.

    Of values with a long tail, such as losses, a few tell nearly all of the spread; most samples
    hold too few of them, and their intervals are too narrow.
    Source: the variance of a variance, as in Mood, Graybill and Boes, "Introduction to the Theory
        of Statistics", 1974, section VI.2; as degrees of freedom after Satterthwaite, 1946.
    """
    place = np.unique(groups, return_inverse=True)[1]
    off = values - (np.bincount(place, values) / np.bincount(place))[place]
    spread = float(np.square(off).mean())
    if spread == 0.0:
        return inf
    return max(2.0, 2 * len(values) / max(float((off**4).mean()) / spread**2 - 1, 2.0))


def paired_mean(gap: NDArray[np.float64], *, replicates: int = 2000, seed: int = 0) -> Score:
    """The mean of differences ``(N,)`` seen on the same rows, with its interval."""
    rows = resamples(np.zeros(len(gap), np.int64), replicates, seed)
    return percentile(float(gap.mean()), np.concatenate([w @ gap for w in rows]) / len(gap))
