"""Arrays that are already in memory, as a listing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...card import PARTS
from ...errors import DataError
from ...grid import Axis
from ..listing import Listing, check_classes, stamp_of
from ._stack import Piece, stacked

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def from_arrays(
    x: ArrayLike,
    y: ArrayLike,
    *,
    validation: tuple[ArrayLike, ArrayLike] | None = None,
    test: tuple[ArrayLike, ArrayLike] | None = None,
    axes: tuple[Axis, ...] | None = None,
    name: str = "arrays",
    apart: bool = False,
) -> Listing:
    """A listing of ``x`` ``(N, ...)`` and its labels ``y`` ``(N,)``, of whole numbers or text.

    ``validation`` and ``test`` are pairs like (x, y). ``axes`` tells what the dimensions of one
    item mean; without it they are told as ``readers.array.axes_of`` says. apart: parts may hold
    classes that training lacks.

    Raises: DataError when items and labels do not pair, or are not numbers and classes.
    """
    pairs = [(x, y), validation, test]
    pieces = [
        Piece(part, i, _array(pair[0], f"x of {part}"), _array(pair[1], f"y of {part}"))
        for i, (part, pair) in enumerate(zip(PARTS, pairs, strict=True))
        if pair is not None
    ]
    stamp = stamp_of("arrays", *(value for p in pieces for value in (p.x, p.y)))
    found = stacked(name, name, "arrays", pieces, stamp, axes)
    return found if apart else check_classes(found)


def _array(value: ArrayLike, where: str) -> NDArray[np.generic]:
    try:
        array = np.asarray(value)
    except Exception as error:  # whatever the user's own object raises
        raise _unusable(f"cannot become an array ({error})", where) from error
    if array.dtype.kind == "O":
        flat = array.ravel().tolist()
        if not all(isinstance(v, str) for v in flat):
            raise _unusable("an array of objects that are not text", where)
        array = np.array(flat, dtype=np.str_).reshape(array.shape)
    if array.dtype.kind not in "biufUS":
        raise _unusable(f"an array of {array.dtype} holds no numbers", where)
    return array


def _unusable(reason: str, where: str) -> DataError:
    return DataError(reason, where=where, mend="give arrays of numbers, all of one shape")
