"""Boxes as people write them down: one file per format, each read and written.

A format knows how its file says a box. What is wrong with a box, and what is done about it, is one
set of rules for all (`rules`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...readers import unreadable

if TYPE_CHECKING:
    from .outlines import Outline


@dataclass(frozen=True, slots=True, eq=False)
class Noted:
    """The boxes of one sample as its file says them.

    Args:
        names: the class of each. boxes: (n, 2 R) low and high corners in the grid's axis order,
            in cells of the sample, edges counted from 0; nothing about them has been checked.
        size: cells of the sample along each axis as the file states them; None where it does not.
        says: what the file calls its sample, "" where it does not.
        broken: things in the file that are no boxes, as people would say it.
        outlines: shapes of things, where the file was asked for these: then there are no boxes.
    """

    names: tuple[str, ...]
    boxes: NDArray[np.float64]
    size: tuple[int, ...] | None = None
    says: str = ""
    broken: tuple[str, ...] = ()
    outlines: tuple[Outline, ...] = ()


def parsed(content: bytes, key: str, most: int) -> Any:
    """What a JSON file of ``most`` bytes at most holds. Raises: DataError naming ``key``."""
    if len(content) > most:
        raise unreadable(f"{len(content):,} bytes are more than an annotation may have", key)
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise unreadable(f"no JSON that can be read ({str(error)[:60]})", key) from error


def table(rows: list[list[float]], rank: int) -> NDArray[np.float64]:
    """Rows of corners as an array, also where there is none."""
    return np.array(rows, np.float64).reshape(-1, 2 * rank)


def crossed(x0: float, y0: float, x1: float, y1: float) -> list[float]:
    """Corners of a rectangle in the order of a picture's axes, from the order that files use."""
    return [y0, x0, y1, x1]
