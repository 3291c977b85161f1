"""Whether stated confidence can be believed, and the one number that mends it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .intervals import wilson

BINS = 15
COOLEST, HOTTEST = 0.02, 50.0


def softmax(logits: NDArray[np.floating[Any]], temperature: float = 1.0) -> NDArray[np.float64]:
    """Probabilities (N, K) in double precision, so that near-certain answers stay apart."""
    scaled = logits.astype(np.float64) / temperature
    scaled -= scaled.max(1, keepdims=True)
    np.exp(scaled, out=scaled)
    scaled /= scaled.sum(1, keepdims=True)
    return scaled


def fit_temperature(logits: NDArray[np.floating[Any]], labels: NDArray[np.int64]) -> float:
    """The temperature that makes these answers likeliest; 1 leaves the logits alone.

    Fitted on the validation part. A weak pull towards 1 (one unit of log temperature costs half
    a nat in all) keeps a small part that is entirely right from asking for absolute certainty.
    Source: Guo et al., "On Calibration of Modern Neural Networks", arXiv:1706.04599, section 4.2;
        the pull is ours.
    """
    if not len(labels):
        return 1.0
    values = logits.astype(np.float64)
    values -= values.max(1, keepdims=True)
    true = values[np.arange(len(labels)), labels]
    low, high = -np.log(HOTTEST), -np.log(COOLEST)  # of the log of 1 / temperature
    while high - low > 1e-4:
        middle = (low + high) / 2
        sharp = np.exp(middle)
        weights = np.exp(values * sharp)
        expected = (weights * values).sum(1) / weights.sum(1)
        slope = sharp * float((expected - true).sum()) + middle
        low, high = (low, middle) if slope > 0 else (middle, high)
    return float(np.exp(-(low + high) / 2))


def bins_of(confidence: NDArray[np.float64], bins: int = BINS) -> NDArray[np.int64]:
    """The bin (N,) of each answer: sorted by confidence and cut into equal numbers of answers.

    Equal numbers, not equal widths: a good network is nearly always sure, and bins of equal
    width would hold almost everything in one. Answers of equal confidence share a bin.
    """
    count = len(confidence)
    if not count:
        return np.zeros(0, np.int64)
    bins = max(1, min(bins, count // 10))
    rank = np.searchsorted(np.sort(confidence), confidence, side="left")
    return (rank * bins // count).astype(np.int64)


def calibration_error(
    confidence: NDArray[np.float64], right: NDArray[np.bool_], bins: int = BINS
) -> float:
    """Mean gap between confidence and share of right answers; best 0, worst 1.

    Source: Naeini et al., "Obtaining Well Calibrated Probabilities Using Bayesian Binning", 2015;
        equal-mass bins after Nixon et al., arXiv:1904.01685.
    """
    if not len(confidence):
        return 0.0
    gaps = np.bincount(bins_of(confidence, bins), weights=right - confidence)
    return float(np.abs(gaps).sum() / len(confidence))


def noise_floor(confidence: NDArray[np.float64], *, draws: int = 50, seed: int = 0) -> float:
    """The error that a perfectly calibrated model would show on this many answers."""
    generator = np.random.default_rng(seed)
    luck = [generator.random(len(confidence)) < confidence for _ in range(draws)]
    return float(np.mean([calibration_error(confidence, right) for right in luck]))


def reliability(
    confidence: NDArray[np.float64], right: NDArray[np.bool_], bins: int = 10
) -> list[dict[str, float]]:
    """One row per bin: answers counted, mean confidence, share right with its interval."""
    where = bins_of(confidence, bins)
    table = []
    for each in np.unique(where):
        inside = where == each
        share = wilson(int(right[inside].sum()), int(inside.sum()))
        table.append(
            {
                "count": int(inside.sum()),
                "confidence": float(confidence[inside].mean()),
                "from": float(confidence[inside].min()),
                "to": float(confidence[inside].max()),
                "right": share.value,
                "low": share.low,
                "high": share.high,
            }
        )
    return table
