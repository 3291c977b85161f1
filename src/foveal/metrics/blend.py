"""One probability from the scores of several models, weighed by how well they tell the labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]


def blended(parts: Sequence[Scores], given: NDArray[np.integer]) -> Scores:
    """Probabilities ``(N, K)``: the softmax of a weighted sum of ``parts``, each ``(N, K)``.

    The weights, none below zero, are those with the smallest mean log loss (best 0, worst
    unbounded) of the labels ``given`` ``(N,)``. So few numbers learn next to nothing by heart: the
    parts must not have learned from the row itself, and wrong labels among many do no harm.

    Source: a logarithmic opinion pool, Genest and Zidek, "Combining Probability Distributions",
        Statistical Science 1986; the loss is convex in the weights.
    """
    from scipy.optimize import minimize

    rows = np.arange(len(given))
    # Of one scale, so that the search ends as near to the least loss whatever they were.
    parts = [part / (float(part.std()) or 1.0) for part in parts]

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        p = _softmax(parts, weights)
        value = -np.log(np.maximum(p[rows, given], 1e-300)).mean()
        p[rows, given] -= 1
        return float(value), np.array([(p * part).sum() / len(given) for part in parts])

    start, bounds = np.ones(len(parts)), [(0.0, None)] * len(parts)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds)
    return _softmax(parts, found.x)


def _softmax(parts: Sequence[Scores], weights: NDArray[np.float64]) -> Scores:
    total: Scores = np.tensordot(weights, np.stack(parts), 1)
    total = np.exp(total - total.max(1, keepdims=True))
    return np.asarray(total / total.sum(1, keepdims=True))
