"""Masks that belong to another sample: told from where borders of values and of classes lie."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..target import VOID

MOST = 64  # samples looked at
FEWEST = 8
LEAST = 0.02  # of correlation, by which another mask must fit better
SURE = 3.0  # standard errors of that difference


def mispaired(x: NDArray[Any], y: NDArray[Any]) -> str:
    """A sentence when masks fit the sample before or after their own better; else "".

    The change of values from cell to cell is compared with where the class changes. A list of
    label files that lost an entry, or begins one later, is off by one from there on.

    Args:
        x: ``(N, C, *S)`` samples in the order of their files; y: ``(N, *S)`` their masks.
    """
    if len(x) < FEWEST:
        return ""
    values, classes = _edges(x), _borders(y)
    own = (values * classes).mean(1)[1:-1]
    for step, side in ((-1, "before"), (1, "after")):
        other = (values[1 + step : len(x) - 1 + step] * classes[1:-1]).mean(1)
        gain = other - own
        error = float(gain.std()) / len(gain) ** 0.5
        if gain.mean() > max(LEAST, SURE * error):
            return (
                f"the masks fit the borders of the picture {side} their own better (correlation "
                f"{other.mean():.2f} against {own.mean():.2f}): label files may be shifted by one"
            )
    return ""


def _edges(x: NDArray[Any]) -> NDArray[np.float64]:
    """How much values change at each cell, standardised, ``(N, cells)``."""
    wide = np.nan_to_num(x.astype(np.float64)).mean(1)
    found = np.zeros(wide.shape)
    for axis in range(1, wide.ndim):
        found += np.abs(np.diff(wide, axis=axis, append=np.take(wide, [-1], axis=axis)))
    return _standardised(found)


def _borders(y: NDArray[Any]) -> NDArray[np.float64]:
    """Where the class changes, standardised, ``(N, cells)``; borders of void are none."""
    found = np.zeros(y.shape)
    for axis in range(1, y.ndim):
        behind = np.concatenate(
            [np.take(y, range(1, y.shape[axis]), axis=axis), np.take(y, [-1], axis=axis)], axis
        )
        found += (behind != y) & (behind != VOID) & (y != VOID)
    return _standardised(np.minimum(found, 1))


def _standardised(values: NDArray[np.float64]) -> NDArray[np.float64]:
    flat = values.reshape(len(values), -1)
    spread = flat.std(1, keepdims=True)
    return np.asarray((flat - flat.mean(1, keepdims=True)) / np.where(spread > 0, spread, 1))
