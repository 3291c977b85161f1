"""Items that lie in stacked arrays ``(N, ...)``, one stack per part, as a listing."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, overload

import numpy as np

from ...errors import DataError
from ...grid import Axis, Sample
from ...readers.array import Rows, as_sample
from ..listing import Listing, parts_present, stamp_of
from ._targets import of_arrays

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """One stack: ``x`` ``(N, ...)``, in memory or on disk; ``y`` ``(N,)`` or
    ``(N, K)``."""

    name: str
    part: int
    x: NDArray[np.generic] | Rows
    y: NDArray[np.generic]


class _Keys(Sequence[str]):
    """ "name[0]", "name[1]", ...: made when asked for, so they take no memory."""

    def __init__(self, names: Sequence[str], counts: Sequence[int]) -> None:
        self._names = list(names)
        self._starts = [0, *np.cumsum(counts).tolist()]

    def __len__(self) -> int:
        return int(self._starts[-1])

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        piece, row = self.locate(range(len(self))[index])
        return f"{self._names[piece]}[{row}]"

    def __iter__(self) -> Iterator[str]:
        return (self[i] for i in range(len(self)))

    def locate(self, position: int) -> tuple[int, int]:
        """Which stack holds an item, and in which row."""
        piece = bisect_right(self._starts, position) - 1
        return piece, position - self._starts[piece]


def stacked(
    path: str | Path,
    name: str,
    layout: str,
    pieces: Sequence[Piece],
    stamp: str,
    axes: tuple[Axis, ...] | None = None,
) -> Listing:
    """The listing of stacks that lie in memory or are mapped.

    Raises: DataError when labels and items do not pair, or the stacks differ in shape.
    """
    for piece in pieces:
        _check(piece, str(path))
    shapes = {piece.x.shape[1:] for piece in pieces}
    if len(shapes) > 1:
        raise DataError(
            f"the stacks hold items of different shapes: {sorted(shapes)}",
            where=str(path),
            mend="give all parts the same shape",
        )
    targets = of_arrays([p.y for p in pieces], [p.name for p in pieces], str(path))
    keys = _Keys([p.name for p in pieces], [len(p.x) for p in pieces])
    parts = np.repeat(np.array([p.part for p in pieces], np.int8), [len(p.x) for p in pieces])
    listing = Listing(
        path=str(path),
        name=name,
        layout=layout,
        keys=keys,
        labels=targets.labels,
        parts=parts,
        has_parts=parts_present(parts),
        classes=targets.classes,
        read=_reader(pieces, keys, axes),
        stamp=stamp_of(stamp, layout, targets.labels, parts, targets.classes, axes),
    )
    return targets.placed(listing)


def _reader(
    pieces: Sequence[Piece], keys: _Keys, axes: tuple[Axis, ...] | None
) -> Callable[[int], Sample]:
    def read(position: int) -> Sample:
        piece, row = keys.locate(position)
        # A copy, so that what is done to one sample never reaches the user's array.
        return as_sample(np.array(pieces[piece].x[row]), keys[position], axes)

    return read


def _check(piece: Piece, path: str) -> None:
    """Raises: DataError when a stack is none, or has other than one row of targets per item."""
    if len(piece.x.shape) < 2 or piece.x.dtype.kind not in "biuf":
        raise DataError(
            f"{piece.name} is not a stack of items: shape {piece.x.shape} of {piece.x.dtype}",
            where=path,
            mend="give an array of numbers (N, ...), with one row per item",
        )
    if len(piece.y.shape) not in (1, 2) or len(piece.y) != len(piece.x) or 0 in piece.y.shape[1:]:
        raise DataError(
            f"{piece.name} has {len(piece.x)} items, but labels of shape {piece.y.shape}",
            where=path,
            mend="give one label per item, shape (N,) or (N, 1), or (N, K) for several",
        )
