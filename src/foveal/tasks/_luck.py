"""How far a score may move by chance alone, for the choice of weights."""

from __future__ import annotations

from math import sqrt


def of_share(score: float, count: int) -> float:
    """The standard error of a share (or of a mean of shares) counted on ``count`` rows."""
    return sqrt(max(score * (1 - score), 1e-4) / max(count, 1))


def of_explained(score: float, count: int) -> float:
    """The standard error of R2 on ``count`` rows: that of a mean squared error, in its units.

    A mean square of normal errors is known to a share of sqrt(2 / n).
    """
    return max(1.0 - score, 1e-4) * sqrt(2.0 / max(count, 1))
