"""Numbers to be told, from their own units to standardised ones and back."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..card import Card
from ..plan import Plan

FLAT = 1e-9  # a spread below this share of the mean is none


def centre(plan: Plan) -> NDArray[np.float64]:
    """The mean of each number over the training part, (K,)."""
    return np.array([n.mean for n in plan.numbers], np.float64)


def spread(of: Plan | Card) -> NDArray[np.float64]:
    """The spread of each number over the training part, (K,); 1 for one that does not vary."""
    deviation = np.array([n.std for n in of.numbers], np.float64)
    return np.where(flat(of), 1.0, deviation)


def flat(of: Plan | Card) -> NDArray[np.bool_]:
    """Which numbers do not vary, (K,)."""
    return np.array([n.std <= FLAT * max(abs(n.mean), 1e-30) for n in of.numbers], bool)
