"""Masks that networks which never met the sample see quite otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .cells import Counts, dices

FAR = 3.5  # robust standard deviations below the usual overlap
LEAST = 0.2  # of overlap that must be lacking besides
EDGE = 0.005  # overlaps this near to 0 and 1 are taken as equal


@dataclass(frozen=True, slots=True)
class Odd:
    """What speaks against the truth of one sample, its mask or boxes.

    score: 0 (nothing) to 1. suspect: far from what is usual. given, likely: the class that the
    truth says and the one that networks see instead, "" where it is no class. why: in words.
    """

    score: float
    suspect: bool
    given: str
    likely: str
    why: str


def odd_masks(counts: Counts, judged: NDArray[np.bool_], names: Sequence[str]) -> list[Odd]:
    """One per sample, from the cells of each class that were called another, ``(N, K, K)``.

    A class's overlap with what networks see (Dice) is held against that class's median over the
    samples: a structure that all find hard is not blamed. The score is the lack of the worst class.
    A sample is suspect where that is at least 0.2 and the class's overlap, as log odds, lies over
    3.5 robust standard deviations below the median: the modified z-score of Iglewicz and Hoaglin,
    "How to Detect and Handle Outliers", 1993, there of the plain values.

    Args:
        judged: classes that count, ``(K,)``.
    """
    overlap = np.where(judged, dices(counts), np.nan)
    usual, below = _beside(overlap)
    lack = np.clip(np.where(np.isfinite(overlap), usual - overlap, 0.0), 0, 1)
    found = []
    for each, sample, far in zip(counts, lack, below, strict=True):
        worst = int(sample.argmax())
        if sample[worst] <= 0:
            found.append(Odd(0.0, False, "", "", ""))
            continue
        true, said, many = _mixed(each, worst)
        value = overlap[len(found), worst]
        why = (
            f"Dice {value:.2f} of {names[worst]!r} where {usual[worst]:.2f} is usual; {many:,} "
            f"cells given {names[true]!r} are seen as {names[said]!r}"
        )
        suspect = bool(far[worst] > FAR and sample[worst] >= LEAST)
        found.append(Odd(round(float(sample[worst]), 4), suspect, names[true], names[said], why))
    return found


def _beside(overlap: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Each class's median ``(K,)``, and how far below it samples lie ``(N, K)``, in robust
    standard deviations of the log odds; 0 where a sample has no such class."""
    usual = np.zeros(overlap.shape[1])
    below = np.zeros(overlap.shape)
    near = np.clip(overlap, EDGE, 1 - EDGE)
    odds = np.log(near) - np.log1p(-near)
    for k in range(overlap.shape[1]):
        known = np.isfinite(overlap[:, k])
        if not known.any():
            continue
        usual[k], middle = np.median(overlap[known, k]), np.median(odds[known, k])
        spread = 1.4826 * np.median(np.abs(odds[known, k] - middle))
        below[known, k] = (middle - odds[known, k]) / max(spread, 0.1)
    return usual, below


def _mixed(counts: Counts, worst: int) -> tuple[int, int, int]:
    """The largest mix-up ``(true, said, cells)`` that one class of a sample takes part in."""
    part = np.zeros_like(counts)
    part[worst], part[:, worst] = counts[worst], counts[:, worst]
    part[worst, worst] = 0
    true, said = np.unravel_index(int(part.argmax()), part.shape)
    return int(true), int(said), int(part[true, said])
