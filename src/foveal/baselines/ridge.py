"""Ridge regression whose strength is chosen by leaving out each training row in turn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ALPHAS = tuple(10 ** np.linspace(-3, 3, 10))
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Ridge:
    """Linear answers ``x @ weights + bias``, and what leaving out had to say.

    weights: ``(F, K)``. bias: ``(K,)``. alpha: the strength taken. left_out: ``(N, K)``, what
    each training row was answered by the fit to all others.
    """

    weights: Floats
    bias: Floats
    alpha: float
    left_out: Floats

    def __call__(self, x: NDArray[np.floating]) -> Floats:
        """Shapes: ``(M, F) -> (M, K)``."""
        return np.asarray(x @ self.weights + self.bias, np.float64)


def fit_ridge(
    x: NDArray[np.floating], y: NDArray[np.floating], alphas: tuple[float, ...] = ALPHAS
) -> Ridge:
    """Ridge regression of ``y`` ``(N, K)`` on ``x`` ``(N, F)`` with an intercept.

    The strength with the smallest mean squared error on rows left out one by one is taken; the
    N fits that would need are had from one decomposition.

    Source: the hat matrix identity of Allen 1974 (PRESS), as in Golub, Heath and Wahba,
        "Generalized cross-validation", Technometrics 1979.
    """
    centre, base = x.mean(0, dtype=np.float64), y.mean(0, dtype=np.float64)
    rows, wanted = x - centre, np.asarray(y - base, np.float64)
    left, values, right = _directions(rows)
    inside = left.T @ wanted
    best: tuple[float, float, Floats] | None = None
    for alpha in alphas:
        # What the fit leaves of y, and of each row's say in its own answer.
        kept = values / (values + alpha)
        residual = wanted - left @ (kept[:, None] * inside)
        free = 1 - 1 / len(rows) - (left**2) @ kept
        errors = residual / np.maximum(free, 1e-12)[:, None]
        loss = float((errors**2).mean())
        if best is None or loss < best[0]:
            best = (loss, alpha, np.asarray(y - errors, np.float64))
    assert best is not None, "at least one strength is tried"
    _, alpha, left_out = best
    weights = right @ ((np.sqrt(values) / (values + alpha))[:, None] * inside)
    return Ridge(weights, base - centre @ weights, alpha, left_out)


def _directions(rows: NDArray[np.floating]) -> tuple[Floats, Floats, Floats]:
    """Singular directions of ``rows`` ``(N, F)``: left ``(N, R)``, squared values, right.

    By the smaller of the two squares: an order of magnitude faster than the full decomposition,
    and exact enough for strengths of a thousandth and more.
    """
    wide = rows.shape[0] <= rows.shape[1]
    square = np.asarray(rows @ rows.T if wide else rows.T @ rows, np.float64)
    values, vectors = np.linalg.eigh(square)
    real = values > values[-1] * 1e-10 if values[-1] > 0 else np.zeros(len(values), bool)
    values, vectors = values[real], vectors[:, real]
    other = np.asarray((rows.T if wide else rows) @ vectors, np.float64) / np.sqrt(values)
    return (vectors, values, other) if wide else (other, values, vectors)
