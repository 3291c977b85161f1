"""Scores where a sample may have any of the classes: ranking and finding, class by class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..report import Score
from .classes import f1
from .intervals import percentile, resamples, wilson

Truth = NDArray[np.bool_]  # (N, K): whether a sample has a class
Scores = NDArray[np.float64]  # (N, K): how much speaks for it
CELLS = 300_000_000  # rows x classes x resamples that are counted at most


@dataclass(frozen=True, slots=True)
class Judgement:
    """map_macro: mean average precision of the classes that occur. f1_macro: mean F1 of the
    classes that occur or were said. each: (average precision, F1) by class; None for a class that
    does not occur."""

    map_macro: Score
    f1_macro: Score
    each: list[tuple[Score, Score] | None]


def average_precision(
    truth: NDArray[np.bool_], scores: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Mean precision at each positive, down the ranking (R,), of rows counted ``weights`` (R, N)
    times; best 1, worst near 0, by chance the share of positives. Equal scores are one step.

    Source: Manning et al., "Introduction to Information Retrieval", 2008, section 8.4, without
    interpolation, as scikit-learn's `average_precision_score`.
    """
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    last = np.searchsorted(-ranked, -ranked, side="right") - 1  # of those with an equal score
    positive = weights[:, order] * truth[order]
    seen = np.cumsum(weights[:, order], axis=1)[:, last]
    found = np.cumsum(positive, axis=1)[:, last]
    total = positive.sum(1)
    precision = np.divide(found, seen, out=np.zeros_like(found), where=seen > 0)
    nothing = np.full(len(total), np.nan)
    share = np.divide((positive * precision).sum(1), total, out=nothing, where=total > 0)
    return np.asarray(share, np.float64)


def judge(
    truth: Truth, scores: Scores, said: Truth, *, replicates: int = 1000, seed: int = 0
) -> Judgement | None:
    """Every score with its interval; None where no class occurs.

    said: which classes were said, by thresholds that were chosen on other rows. Resamples are
    stratified by each row's rarest class, so that hardly any loses a class.
    """
    there: Truth = np.asarray(truth.any(0))
    if not there.any():
        return None
    one = np.ones((1, len(truth)))
    plain, plain_f1 = _figures(truth, scores, said, one)
    replicates = max(100, min(replicates, CELLS // max(truth.size, 1)))
    drawn = [
        _figures(truth, scores, said, weights)
        for weights in resamples(rarest(truth), replicates, seed)
    ]
    ap, harmonic = (np.concatenate(parts) for parts in zip(*drawn, strict=True))
    each: list[tuple[Score, Score] | None] = []
    for k in range(truth.shape[1]):
        if not there[k]:
            each.append(None)
            continue
        count = int(truth[:, k].sum())
        each.append(
            (
                _open(percentile(float(plain[0, k]), _known(ap[:, k])), count),
                _open(percentile(float(plain_f1[0, k]), harmonic[:, k]), count),
            )
        )
    counts = int(truth.sum())
    means = _mean(ap, there)
    return Judgement(
        _open(percentile(float(plain[0, there].mean()), means), counts),
        _open(_macro(plain_f1, harmonic, truth, said), counts),
        each,
    )


def rarest(truth: Truth) -> NDArray[np.int64]:
    """The rarest class of each row (N,), counted from 1; 0 for a row without any."""
    place = np.argsort(np.argsort(-truth.sum(0), kind="stable"))
    return np.asarray(np.where(truth, place + 1, 0).max(1, initial=0), np.int64)


def more_precision(
    truth: Truth, ours: Scores, theirs: Scores | None, *, replicates: int = 1000, seed: int = 0
) -> Score:
    """How much larger our mean average precision is on the same rows, with its interval.

    Larger than nothing where ``theirs`` is None.
    """
    there: Truth = np.asarray(truth.any(0))
    replicates = max(100, min(replicates, CELLS // max(2 * truth.size, 1)))
    gaps = []
    for weights in (np.ones((1, len(truth))), *resamples(rarest(truth), replicates, seed)):
        gap = _mean(_precisions(truth, ours, weights), there)
        if theirs is not None:
            gap -= _mean(_precisions(truth, theirs, weights), there)
        gaps.append(gap)
    return percentile(float(gaps[0][0]), np.concatenate(gaps[1:]))


def precision_interval(
    truth: Truth, scores: Scores, *, replicates: int = 1000, seed: int = 0
) -> Score:
    """Mean average precision with its interval."""
    gap = more_precision(truth, scores, None, replicates=replicates, seed=seed)
    return _open(gap, int(truth.sum()))


def map_macro(truth: Truth, scores: Scores) -> float:
    """Mean average precision of the classes that occur; 0 where none does."""
    there: Truth = np.asarray(truth.any(0))
    if not there.any():
        return 0.0
    return float(_precisions(truth, scores, np.ones((1, len(truth))))[0, there].mean())


def f1_macro(truth: Truth, said: Truth) -> float:
    """Mean F1 of the classes that occur or were said; best 1, worst 0."""
    met = truth.any(0) | said.any(0)
    each = f1((truth & said).sum(0), said.sum(0), truth.sum(0))
    return float(each[met].mean()) if met.any() else 0.0


def best_threshold(truth: NDArray[np.bool_], scores: NDArray[np.float64]) -> float:
    """The score from which on a class should be said so that F1 is largest, 0.5 without positives.

    Half way to the next lower score, so that a new one near the edge falls on either side.
    """
    if not truth.any():
        return 0.5
    order = np.argsort(-scores, kind="stable")
    ranked, found = scores[order], np.cumsum(truth[order])
    value = 2 * found / (np.arange(1, len(ranked) + 1) + truth.sum())
    value[:-1][ranked[:-1] == ranked[1:]] = -1  # no threshold lies between equal scores
    at = int(value.argmax())
    below = ranked[at + 1] if at + 1 < len(ranked) else ranked[at]
    return float((ranked[at] + below) / 2)


def _precisions(truth: Truth, scores: Scores, weights: NDArray[np.float64]) -> Scores:
    columns = [average_precision(truth[:, k], scores[:, k], weights) for k in range(truth.shape[1])]
    return np.stack(columns, 1)


def _figures(
    truth: Truth, scores: Scores, said: Truth, weights: NDArray[np.float64]
) -> tuple[Scores, Scores]:
    """Average precision and F1 (R, K) of every class."""
    hits, total = weights @ (truth & said), weights @ truth
    return _precisions(truth, scores, weights), f1(hits, weights @ said, total)


def _mean(ap: Scores, there: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Mean over the classes that occur (R,); one lost in a resample is left out of its mean."""
    known = np.isfinite(ap) & there
    return np.asarray(np.where(known, ap, 0.0).sum(1) / np.maximum(known.sum(1), 1))


def _macro(plain: Scores, drawn: Scores, truth: Truth, said: Truth) -> Score:
    met = truth.any(0) | said.any(0)
    # A resample of few rows per class always looks worse than the rows it came from.
    score = percentile(float(plain[0, met].mean()), drawn[:, met].mean(1), centred=True)
    return Score(score.value, max(0.0, score.low), min(1.0, score.high))


def _known(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return values[np.isfinite(values)]


def _open(score: Score, count: int) -> Score:
    """Where every resample gives 0 or 1, what so few positives could prove."""
    if score.low < score.high:
        return score
    share = wilson(round(score.value) * count, count)
    return Score(score.value, min(score.low, share.low), max(score.high, share.high))
