"""Run lengths, as COCO writes masks: cells outside and inside by turns, down one column after the
other. Plain lists of numbers, or the COCO tool's text of them.

Source: the text is that of the COCO API (Lin et al., arXiv:1405.0312): five bits to a character
from "0" on, the lowest first, a sixth where more follow; from the fourth number on the difference
to the last but one before.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Runs = NDArray[np.int64]
MOST_CELLS = 50_000_000  # as many as a picture may have
_MOST_TEXT = 2**24
_LONGEST = 7  # characters of one number: 35 bits
_FIRST, _BITS, _MORE, _SIGN = 48, 5, 0x20, 0x10


def runs_of(counts: Any, size: tuple[int, int]) -> Runs | None:
    """Lengths of runs by turns outside and inside, that fill ``size`` exactly; None if they do
    not, or are none.

    counts: whole numbers, or text. size: rows and columns.
    """
    cells = size[0] * size[1]
    if min(size) < 1 or cells > MOST_CELLS:
        return None
    found: Runs | None = None
    if isinstance(counts, str) and len(counts) <= _MOST_TEXT:
        found = _spelled(counts)
    elif isinstance(counts, list) and len(counts) <= cells + 1:
        whole = all(type(n) is int and 0 <= n <= cells for n in counts)
        found = np.array(counts, np.int64) if whole else None
    if found is None or not len(found) or found.min() < 0 or found.max() > cells:
        return None
    return found if int(found.sum()) == cells else None


def mask_of(runs: Runs, size: tuple[int, int]) -> NDArray[np.bool_]:
    """The cells inside, ``(rows, columns)``."""
    inside = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return inside.reshape(size[::-1]).T


def spelled(runs: Runs) -> str:
    """The COCO tool's text of run lengths."""
    told = runs.copy()
    told[3:] -= runs[1:-2]
    out = []
    for number in told.tolist():
        more = True
        while more:
            low = number & (_MORE - 1)
            number >>= _BITS
            more = number != (-1 if low & _SIGN else 0)
            out.append(chr(low + _MORE * more + _FIRST))
    return "".join(out)


def _spelled(text: str) -> Runs | None:
    """The numbers in a text; None where it is none. No loop over characters: texts are long."""
    if not text or not text.isascii():
        return None
    values = np.frombuffer(text.encode("ascii"), np.uint8).astype(np.int64) - _FIRST
    if values.min() < 0 or values.max() >= 2 * _MORE or values[-1] & _MORE:
        return None
    last = np.flatnonzero((values & _MORE) == 0)
    first = np.concatenate([[0], last[:-1] + 1])
    length = last - first + 1
    if length.max() > _LONGEST:
        return None
    place = np.arange(len(values)) - np.repeat(first, length)
    numbers = np.add.reduceat((values & (_MORE - 1)) << (_BITS * place), first)
    below = (values[last] & _SIGN) != 0
    numbers -= np.where(below, np.left_shift(1, _BITS * length), 0)
    for start in (1, 2):
        numbers[start::2] = np.cumsum(numbers[start::2])
    return numbers
