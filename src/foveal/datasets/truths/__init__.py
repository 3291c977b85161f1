"""Targets that lie on their sample's grid: how each kind is kept and how it moves with its sample.

One file per kind, found by its name, which is that of the target ("mask"). A class or a number
of the whole sample does not move, so there is no file for it. What a file offers under the name
``TRUTH`` is all that survey, cache, batches and augmentation ask of it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ... import find
from ...grid import Sample
from ...plan import DataPart

Rows = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Truth:
    """One kind of target on the grid.

    A sample's target is stored as rows of one shape and dtype: exactly one row (a mask), or as
    many as it has things (boxes), which is what ``ragged`` tells. A batch of the former is
    ``(B, *shape)``; of the latter ``(B, most, *shape)``, NaN behind the last row of a sample.

    Args:
        form: data -> shape and numpy dtype of a row.
        rows: sample with its y, data -> ``(n, *shape)``, laid onto the prepared grid.
            Raises: DataError naming the sample where y does not fit it.
        cover: rows, number of classes K -> ``(K,)`` float32, how much of each class they hold
            (cells, boxes). Strata, counts and doubts are told from it.
        mirror: y, grid axis, coins ``(B,)``, size -> y, as `augment.mirror` turns x.
        translate: y, reach, starts, size -> y, as `augment.translate` moves x.
        resize: y, size, new size -> y, as `layers.resize` scales x.
        zoom: y, scale and offset ``(B, rank)`` of `moved.zoomed`, size -> y; None where samples
            are not zoomed.
        sides: rows -> cells along each axis of each thing ``(n, rank)``; None where they have none.
        doubt: some samples ``(N, C, *S)`` and their y -> what a look at both raises, or "".
        renamed: y, table ``(256,)`` of new class positions by old ones -> y.
    """

    ragged: bool
    form: Callable[[DataPart], tuple[tuple[int, ...], str]]
    rows: Callable[[Sample, DataPart], Rows]
    cover: Callable[[Rows, int], NDArray[np.float32]]
    mirror: Callable[[Tensor, int, Tensor, tuple[int, ...]], Tensor]
    translate: Callable[[Tensor, list[int], Tensor, tuple[int, ...]], Tensor]
    resize: Callable[[Tensor, tuple[int, ...], tuple[int, ...]], Tensor]
    renamed: Callable[[Rows, NDArray[np.int64]], Rows]
    zoom: Callable[[Tensor, Tensor, Tensor, tuple[int, ...]], Tensor] | None = None
    sides: Callable[[Rows], NDArray[np.float64]] | None = None
    doubt: Callable[[Rows, Rows], str] | None = None


def truth_of(target: str) -> Truth | None:
    """How targets of a kind are kept; None for those that are one or a few numbers per sample."""
    package = sys.modules[__name__]
    if target not in find.names(package):
        return None
    found: Truth = find.load(package, target).TRUTH
    return found
