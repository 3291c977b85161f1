"""Boxes that are unlike all others of their class: a slip of the hand, or another class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

LEAST = 20  # boxes of a class, for fewer tell no custom
FAR = 8.0  # robust standard deviations of the logarithm from the middle
NARROW = 0.15  # least such deviation: classes of one size are not drawn to the cell
SHOWN = 3


def odd(
    keys: Sequence[str], boxes: Sequence[NDArray[np.float64]], names: Sequence[str]
) -> list[str]:
    """A doubt that names boxes whose size or shape is far from that of their class; [] for none.

    Size is the mean logarithm of the sides, shape what is left of each; both are compared with
    the class's median, in median absolute deviations, so that odd ones cannot hide themselves.

    Args:
        keys: of the samples. boxes: of each, class and corners ``(n, 1 + 2 R)``.
    """
    counts = [len(rows) for rows in boxes]
    if not sum(counts):
        return []
    table, owner = np.concatenate(boxes), np.repeat(np.arange(len(boxes)), counts)
    low, high = np.split(table[:, 1:], 2, axis=1)
    sides = high - low
    logs = np.log(np.maximum(sides, 1e-6))
    size = logs.mean(1, keepdims=True)
    told = np.concatenate([size, logs - size], axis=1)
    far = np.zeros(len(table))
    for label in np.unique(table[:, 0]):
        here = np.flatnonzero(table[:, 0] == label)
        if len(here) >= LEAST:
            far[here] = _far(told[here])
    met = np.flatnonzero(far > FAR)
    if not len(met):
        return []
    first = met[np.argsort(-far[met], kind="stable")][:SHOWN]
    shown = "; ".join(
        f"{keys[int(owner[i])]}: {names[int(table[i, 0])]} of {_sides(sides[i])}, "
        f"mostly {_sides(np.median(sides[table[:, 0] == table[i, 0]], axis=0))}"
        for i in first.tolist()
    )
    more = ", ..." if len(met) > SHOWN else ""
    return [
        f"{len(met):,} of {len(table):,} boxes are of another size or shape than the others of "
        f"their class ({shown}{more}): look whether they are slips"
    ]


def _far(told: NDArray[np.float64]) -> NDArray[np.float64]:
    away = np.abs(told - np.median(told, axis=0))
    spread = np.maximum(1.4826 * np.median(away, axis=0), NARROW)
    return np.asarray((away / spread).max(1))


def _sides(sides: NDArray[np.float64]) -> str:
    return " x ".join(f"{side:.4g}" for side in sides)
