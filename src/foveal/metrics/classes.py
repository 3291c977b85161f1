"""Scores of a classifier, each with its 95 % interval."""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..report import Score
from .calibration import bins_of, calibration_error, noise_floor
from .intervals import (
    freedom_of,
    mean_of_shares,
    of_positive,
    of_share,
    percentile,
    resamples,
    widening,
    wilson,
)

TINY = 1e-15  # the least probability a logarithm is taken of
Matrix = NDArray[np.int64]


def confusion(labels: NDArray[np.int64], said: NDArray[np.int64], classes: int) -> Matrix:
    """How often class i (row) was called j (column). Shape (K, K)."""
    cells = np.bincount(labels * classes + said, minlength=classes * classes)
    return cells.reshape(classes, classes).astype(np.int64)


def accuracy(labels: NDArray[np.int64], said: NDArray[np.int64]) -> Score:
    """Share of rows named rightly; best 1, worst 0."""
    return wilson(int((labels == said).sum()), len(labels))


def recalls(matrix: Matrix) -> list[Score]:
    """Share of each class that was found; classes without rows give 0 between 0 and 1."""
    return [wilson(int(matrix[i, i]), int(matrix[i].sum())) for i in range(len(matrix))]


def precisions(matrix: Matrix) -> list[Score]:
    """Share of the answers "class i" that were right."""
    return [wilson(int(matrix[i, i]), int(matrix[:, i].sum())) for i in range(len(matrix))]


def balanced_accuracy(matrix: Matrix) -> Score:
    """Mean recall over the classes that occur; best 1, worst 0."""
    true = matrix.sum(1)
    return mean_of_shares(np.diag(matrix)[true > 0], true[true > 0])


def f1(hits: NDArray[Any], said: NDArray[Any], true: NDArray[Any]) -> NDArray[np.float64]:
    """F1 of each class, 2 hits / (said + true); 0 where a class neither occurs nor was said."""
    total = np.asarray(said + true, np.float64)
    return np.divide(2.0 * hits, total, out=np.zeros_like(total), where=total > 0)


def f1_macro(matrix: Matrix) -> float:
    """Mean F1 over the classes that occur or were said; best 1, worst 0."""
    said, true = matrix.sum(0), matrix.sum(1)
    met = said + true > 0
    each = f1(np.diag(matrix), said, true)
    return float(each[met].mean()) if met.any() else 0.0


def log_losses(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[Any]:
    """Minus the logarithm of the probability of the true class, per row (N,), in nats."""
    true = probabilities[np.arange(len(labels)), labels]
    return np.asarray(-np.log(np.clip(true, TINY, 1.0)))


def placements(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Each row's share of the other kind that it is ordered rightly against; ties count half.

    The area under the ROC curve is the mean over either kind. Shape (N,).
    Source: DeLong et al., "Comparing the Areas under Two or More Correlated ROC Curves", 1988.
    """
    place = _ranks(scores)
    for kind in (positive, ~positive):
        place[kind] -= _ranks(scores[kind])
    place[positive] /= max(int((~positive).sum()), 1)
    place[~positive] = 1 - place[~positive] / max(int(positive.sum()), 1)
    return place


def aurocs(
    probabilities: NDArray[np.float64], labels: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Area under the ROC curve of each class against the rest, and what each row adds.

    Returns (K,) areas, NaN for a class that is absent or alone, and (N,) influences: how much
    the macro mean would gain if the row counted once more.
    """
    count, classes = probabilities.shape
    areas, influence = np.full(classes, np.nan), np.zeros(count)
    for each in range(classes):
        positive = labels == each
        inside = int(positive.sum())
        if 0 < inside < count:
            place = placements(probabilities[:, each], positive)
            areas[each] = place[positive].mean()
            influence += (place - areas[each]) / np.where(positive, inside, count - inside)
    return areas, influence / max(int(np.isfinite(areas).sum()), 1)


def judge(
    probabilities: NDArray[np.float64],
    labels: NDArray[np.int64],
    *,
    replicates: int = 1000,
    seed: int = 0,
) -> dict[str, Score]:
    """Every score of a classifier with its interval.

    Args:
        probabilities: (N, K), rows sum to 1. labels: (N,) in 0..K-1.
        replicates: resamples behind the intervals of f1_macro, auroc and ece.

    `auroc` (one class against the rest, plain mean over classes) is absent where no class has
    both kinds of rows. No rows, no scores: an empty dict.
    """
    if not len(labels):
        return {}
    said = probabilities.argmax(1)
    matrix = confusion(labels, said, probabilities.shape[1])
    areas, influence = aurocs(probabilities, labels)
    area = float(np.nanmean(areas)) if np.isfinite(areas).any() else None
    top = probabilities.max(1)
    drawn = _bootstrap(labels, said, top, influence, matrix, replicates, seed)
    balanced = balanced_accuracy(matrix)
    # A resample of few rows per class always looks worse than the rows it came from.
    wide = widening(matrix.sum(1))
    macro = _inside(percentile(f1_macro(matrix), drawn["f1_macro"], centred=True, wide=wide))
    if macro.value in (0.0, 1.0):  # all went one way, so no resample can show another
        macro = balanced
    found = {
        "accuracy": accuracy(labels, said),
        "balanced_accuracy": balanced,
        "f1_macro": macro,
        "log_loss": _log_loss(log_losses(probabilities, labels)),
        "ece": _ece(calibration_error(top, said == labels), drawn["ece"], top, seed),
    }
    if area is not None:
        error, freedom = wide * float(drawn["auroc"].std()), freedom_of(influence, labels)
        found["auroc"] = _auroc(area, areas, error, freedom, matrix.sum(1))
    order = ("accuracy", "balanced_accuracy", "f1_macro", "auroc", "log_loss", "ece")
    return {name: found[name] for name in order if name in found}


def _bootstrap(
    labels: NDArray[np.int64],
    said: NDArray[np.int64],
    top: NDArray[np.float64],
    influence: NDArray[np.float64],
    matrix: Matrix,
    replicates: int,
    seed: int,
) -> dict[str, NDArray[np.float64]]:
    """Replicates of each score. All but F1 are sums over rows, so one product gives them."""
    where, right = bins_of(top), said == labels
    gaps = np.zeros((len(labels), int(where.max()) + 1))
    gaps[np.arange(len(labels)), where] = right - top
    sums = np.column_stack([influence, gaps])
    true, classes = matrix.sum(1), len(matrix)
    added, scores = [], []
    for weights in resamples(labels, replicates, seed):
        added.append(weights @ sums)
        rows = np.arange(len(weights))[:, None] * classes
        shape = (len(weights), classes)
        flat = [(rows + said).ravel(), weights.ravel(), (weights * right).ravel()]
        said_count = np.bincount(flat[0], flat[1], shape[0] * classes).reshape(shape)
        hits = np.bincount(flat[0], flat[2], shape[0] * classes).reshape(shape)
        met = (said_count + true > 0).sum(1)
        scores.append(f1(hits, said_count, true).sum(1) / met)
    total = np.concatenate(added)
    return {
        "f1_macro": np.concatenate(scores),
        "auroc": total[:, 0],
        "ece": np.abs(total[:, 1:]).sum(1) / len(labels),
    }


def _log_loss(losses: NDArray[np.float64]) -> Score:
    """The interval also holds what the shares of the classes leave open, as accuracy's does: they
    may be others in the world. In a stratified split they are those that were learned from.
    """
    value, count = float(losses.mean()), len(losses)
    if value <= 0:
        return Score(value, value, value)
    spread = float(losses.std(ddof=1)) if count > 1 else value  # one row tells nothing of it
    return of_positive(value, spread / sqrt(count), freedom_of(losses, np.zeros(count, np.int64)))


def _ece(value: float, drawn: NDArray[np.float64], top: NDArray[np.float64], seed: int) -> Score:
    """The lower end without what luck alone shows on so few rows, which every error holds."""
    score, luck = percentile(value, drawn, centred=True), noise_floor(top, seed=seed)
    low = sqrt(max(max(score.low, 0.0) ** 2 - luck**2, 0.0))
    return Score(value, min(value, low), min(1.0, score.high))


def _auroc(
    area: float,
    areas: NDArray[np.float64],
    error: float,
    freedom: float,
    counts: NDArray[np.int64],
) -> Score:
    """The interval never narrower than what a perfect order of so few rows could prove."""
    if 0.0 < area < 1.0:
        return of_share(area, error, freedom)
    fewer = np.minimum(counts, counts.sum() - counts)[np.isfinite(areas)]
    return mean_of_shares(fewer * round(area), fewer)


def _inside(score: Score) -> Score:
    return Score(score.value, max(0.0, score.low), min(1.0, score.high))


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks from 1; equal values share the mean of theirs."""
    _, which, count = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(count) - (count - 1) / 2)[which], np.float64)
