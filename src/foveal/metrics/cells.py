"""Scores of an answer for every cell, from counts per sample, each with its 95 % interval."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..report import Score
from .intervals import percentile, resamples

Counts = NDArray[np.float64]  # (N, K, K): cells of class i (row) that were called j, per sample


@dataclass(frozen=True, slots=True)
class Judgement:
    """iou, dice: means over the classes that are judged; accuracy: share of all cells. Of each
    class: ``each_iou``, ``each_dice``; None for a class that neither occurs nor was said."""

    iou: Score
    dice: Score
    accuracy: Score
    each_iou: list[Score | None]
    each_dice: list[Score | None]


def count_cells(said: NDArray[Any], true: NDArray[Any], classes: int) -> NDArray[np.int64]:
    """How many cells of class i were called j, ``(K, K)``; void cells are not counted."""
    known = true < classes
    pairs = true[known].astype(np.int64) * classes + said[known]
    counts: NDArray[np.int64] = np.bincount(pairs, minlength=classes * classes)
    return counts.reshape(classes, classes)


def ious(total: Counts) -> NDArray[np.float64]:
    """Intersection over union of each class, ``(..., K, K) -> (..., K)``; best 1, worst 0.

    NaN for a class that neither occurs nor was said.
    """
    hits = np.diagonal(total, axis1=-2, axis2=-1)
    union = total.sum(-1) + total.sum(-2) - hits
    return _shares(hits, union)


def dices(each: Counts) -> NDArray[np.float64]:
    """Dice of each class in each sample, ``(..., K, K) -> (..., K)``; best 1, worst 0.

    NaN where a sample neither has the class nor was said to have it.
    """
    hits = np.diagonal(each, axis1=-2, axis2=-1)
    both = each.sum(-1) + each.sum(-2)
    return _shares(2 * hits, both)


def mean(values: NDArray[np.float64], judged: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Mean over the classes that are judged and not NaN, ``(..., K) -> (...)``; 0 of none."""
    kept = np.where(judged, values, np.nan)
    there = np.isfinite(kept)
    count = there.sum(-1)
    return np.asarray(np.where(there, kept, 0.0).sum(-1) / np.maximum(count, 1))


def judge(
    counts: Counts, judged: NDArray[np.bool_], *, replicates: int = 1000, seed: int = 0
) -> Judgement | None:
    """Every score; None without samples, or where all cells are void.

    IoU and accuracy are of all cells together, as is the custom for scenes; Dice is the mean over
    samples of each sample's own, as is the custom for organs. Intervals resample whole samples:
    cells of one sample are not independent.

    Args:
        counts: of each sample. judged: classes that count for the means (not the background).
    """
    if not len(counts) or not counts.sum():
        return None
    each = dices(counts)
    kinds = np.zeros(len(counts), np.int64)
    found: dict[str, list[Any]] = {"iou": [], "dice": [], "right": []}
    for weights in resamples(kinds, max(replicates, 1), seed):
        total = np.einsum("rn,nij->rij", weights, counts)
        found["iou"].append(ious(total))
        found["dice"].append(_weighed(each, weights))
        found["right"].append(_right(total))
    iou, dice, right = (np.concatenate(found[key]) for key in ("iou", "dice", "right"))
    whole = counts.sum(0)
    own_iou, own_dice = ious(whole), _weighed(each, np.ones((1, len(counts))))[0]
    return Judgement(
        iou=percentile(float(mean(own_iou, judged)), mean(iou, judged)),
        dice=percentile(float(mean(own_dice, judged)), mean(dice, judged)),
        accuracy=percentile(float(_right(whole)), right),
        each_iou=[_score(own_iou[k], iou[:, k]) for k in range(len(judged))],
        each_dice=[_score(own_dice[k], dice[:, k]) for k in range(len(judged))],
    )


def more(
    ours: Counts,
    theirs: Counts,
    judged: NDArray[np.bool_],
    figure: Callable[[Counts, NDArray[np.bool_]], NDArray[np.float64]],
    *,
    replicates: int = 1000,
    seed: int = 0,
) -> Score:
    """How much larger ``figure`` of all cells together is for us, on the same samples."""
    found = []
    for weights in resamples(np.zeros(len(ours), np.int64), max(replicates, 1), seed):
        pair = [figure(np.einsum("rn,nij->rij", weights, c), judged) for c in (ours, theirs)]
        found.append(pair[0] - pair[1])
    value = figure(ours.sum(0)[None], judged)[0] - figure(theirs.sum(0)[None], judged)[0]
    return percentile(float(value), np.concatenate(found))


def mean_iou(total: Counts, judged: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Mean IoU of counts ``(R, K, K) -> (R,)``."""
    return mean(ious(total), judged)


def _right(total: Counts) -> NDArray[np.float64]:
    hits = np.trace(total, axis1=-2, axis2=-1)
    return np.asarray(hits / np.maximum(total.sum((-2, -1)), 1))


def _weighed(each: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over samples of ``each`` (N, K) by ``weights`` (R, N), NaN left out; (R, K)."""
    there = np.isfinite(each)
    total = weights @ there.astype(np.float64)
    sums = weights @ np.where(there, each, 0.0)
    return _shares(sums, total)


def _shares(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    """``part / whole``, NaN where that is nothing of nothing."""
    found: NDArray[np.float64] = np.full(part.shape, np.nan)
    np.divide(part, whole, out=found, where=whole > 0)
    return found


def _score(value: float, replicates: NDArray[np.float64]) -> Score | None:
    if not np.isfinite(value):
        return None
    kept = replicates[np.isfinite(replicates)]
    return percentile(float(value), kept if len(kept) else np.array([value]))
