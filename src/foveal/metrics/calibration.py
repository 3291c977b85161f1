"""Whether stated confidence can be believed, and the one number that mends it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .intervals import wilson

BINS = 15
COOLEST, HOTTEST = 0.02, 50.0
STEADY = 200  # answers, of temperature fitting; chosen on CIFAR-10's training part


def softmax(logits: NDArray[np.floating[Any]], temperature: float = 1.0) -> NDArray[np.float64]:
    """Probabilities (N, K) in double precision, so that near-certain answers stay apart."""
    scaled = logits.astype(np.float64) / temperature
    scaled -= scaled.max(1, keepdims=True)
    np.exp(scaled, out=scaled)
    scaled /= scaled.sum(1, keepdims=True)
    return scaled


def fit_temperature(logits: NDArray[np.floating[Any]], labels: NDArray[np.int64]) -> float:
    """The temperature that makes these answers likeliest; 1 leaves the logits alone.

    Fitted on the validation part. One number cannot mend the confidence of the first answer and
    the shares of all the others at once, and the first is what is read, shown and judged: where
    there are many answers, the likelihood that the first was right counts. With few, that of all
    classes is steadier, so it keeps the weight of ``STEADY`` answers. A weak pull towards 1 (one
    unit of log temperature costs half a nat in all) keeps a small part that is entirely right
    from asking for absolute certainty.
    Source: Guo et al., "On Calibration of Modern Neural Networks", arXiv:1706.04599, section 4.2,
        who take all classes; the first answer's as in Gupta and Ramdas, "Top-label calibration",
        arXiv:2107.08353; how they share and the pull are ours.
    """
    if not len(labels) or logits.shape[1] < 2:
        return 1.0
    from scipy.optimize import minimize_scalar

    values = logits.astype(np.float64)
    values -= values.max(1, keepdims=True)
    rows, first = np.arange(len(values)), values.argmax(1)
    true, wrong = values[rows, labels], first != labels
    values[rows, first] = -np.inf
    second = values.max(1)
    values -= second[:, None]
    share = STEADY / (STEADY + len(labels))

    def cost(sharpness: float) -> float:
        """Of a log of 1 / temperature; in logarithms, so that near-certainty stays finite."""
        scale = np.exp(sharpness)
        others = scale * second + np.log(np.exp(scale * values).sum(1))  # against the first
        total = np.logaddexp(0, others).sum()
        of_first, of_all = total - others[wrong].sum(), total - scale * true.sum()
        return float((1 - share) * of_first + share * of_all + sharpness**2 / 2)

    steps = np.linspace(-np.log(HOTTEST), -np.log(COOLEST), 25)
    best = int(np.argmin([cost(step) for step in steps]))
    around = steps[max(best - 1, 0)], steps[min(best + 1, len(steps) - 1)]
    found = minimize_scalar(cost, bounds=around, method="bounded", options={"xatol": 1e-4})
    return float(np.exp(-found.x))


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
    return _gap(bins_of(confidence, bins), confidence, right)


def _gap(
    where: NDArray[np.int64], confidence: NDArray[np.float64], right: NDArray[np.bool_]
) -> float:
    gaps = np.bincount(where, weights=right - confidence)
    return float(np.abs(gaps).sum() / len(confidence))


def noise_floor(confidence: NDArray[np.float64], *, draws: int = 50, seed: int = 0) -> float:
    """The error that a perfectly calibrated model would show on this many answers."""
    if not len(confidence):
        return 0.0
    generator, where = np.random.default_rng(seed), bins_of(confidence)
    luck = (generator.random(len(confidence)) < confidence for _ in range(draws))
    return float(np.mean([_gap(where, confidence, right) for right in luck]))


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


def fit_slopes(
    logits: NDArray[np.floating[Any]], truth: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Slope and shift (K,) per column: sigmoid(slope * logit + shift) is likeliest then.

    Fitted on the validation part by Newton's method. A weak pull (one unit of log slope, or of
    shift, costs half a nat in all) keeps a column with few positives, or none, near 1 and 0.
    Source: Platt, "Probabilistic Outputs for Support Vector Machines", 1999; the pull is ours.
    """
    count = logits.shape[1]
    slopes, shifts = np.ones(count), np.zeros(count)
    if not len(logits):
        return slopes, shifts
    for k in range(count):
        slopes[k], shifts[k] = _slope(logits[:, k].astype(np.float64), truth[:, k])
    return slopes, shifts


def _slope(x: NDArray[np.float64], y: NDArray[np.bool_]) -> tuple[float, float]:
    def cost(at: NDArray[np.float64]) -> float:
        z = np.exp(at[0]) * x + at[1]
        return float(np.logaddexp(0, z).sum() - z[y].sum() + (at**2).sum() / 2)

    at = np.zeros(2)  # log of the slope, and the shift
    for _ in range(50):
        wide = np.exp(at[0]) * x
        p = 1 / (1 + np.exp(-np.clip(wide + at[1], -500, 500)))
        gap, spread = p - y, p * (1 - p)
        slope = np.array([(gap * wide).sum(), gap.sum()]) + at
        bend = np.array([
            [(spread * wide**2).sum() + max((gap * wide).sum(), 0.0) + 1, (spread * wide).sum()],
            [(spread * wide).sum(), spread.sum() + 1],
        ])  # fmt: skip
        step, scale = np.linalg.solve(bend, slope), 1.0
        while cost(at - scale * step) > cost(at) and scale > 1e-6:
            scale /= 2
        at = at - scale * step
        if np.abs(scale * step).max() < 1e-8:
            break
    low, high = np.log(1 / HOTTEST), np.log(1 / COOLEST)
    return float(np.exp(np.clip(at[0], low, high))), float(at[1])
