"""Items that lie in stacked arrays ``(N, ...)``, one stack per part, as a listing."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, overload

import numpy as np

from ...errors import DataError
from ...grid import Axis, Sample
from ...readers.array import MOST_CHANNELS, Rows, as_sample, axes_of
from ..listing import Listing, parts_present, stamp_of
from ._codebook import distinct, told
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
    if all(_on_grid(piece) for piece in pieces):
        return _masked(path, name, layout, pieces, stamp, axes)
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


def _on_grid(piece: Piece) -> bool:
    """Whether the targets are masks: a whole number for every cell of an item."""
    x, y = piece.x.shape[1:], piece.y.shape[1:]
    grids = [x]
    grids += [x[:-1]] if x and x[-1] <= MOST_CHANNELS else []
    grids += [x[1:]] if x and x[0] <= MOST_CHANNELS else []
    return piece.y.dtype.kind in "biu" and bool(y) and y in grids


def _masked(
    path: str | Path,
    name: str,
    layout: str,
    pieces: Sequence[Piece],
    stamp: str,
    axes: tuple[Axis, ...] | None,
) -> Listing:
    """The listing of items beside masks in one more stack."""
    met = distinct([np.asarray(piece.y, np.int64) for piece in pieces])
    book = told(met, {}, False, str(path), "")
    keys = _Keys([p.name for p in pieces], [len(p.x) for p in pieces])
    parts = np.repeat(np.array([p.part for p in pieces], np.int8), [len(p.x) for p in pieces])
    # The masks tell which axis of the items is none of the grid.
    wide = (MOST_CHANNELS + 1,) * (len(pieces[0].y.shape) - 1)
    grid = axes or axes_of(wide, pieces[0].name)[0]
    read = _reader(pieces, keys, grid)

    def both(position: int) -> Sample:
        piece, row = keys.locate(position)
        mask = book.mask(np.asarray(pieces[piece].y[row], np.int64), keys[position])
        return replace(read(position), y=mask)

    return Listing(
        path=str(path),
        name=name,
        layout=f"{layout} of items and masks",
        keys=keys,
        labels=np.zeros(len(keys), np.int32),
        parts=parts,
        has_parts=parts_present(parts),
        classes=book.names,
        read=both,
        stamp=stamp_of(stamp, layout, "masks", parts, book.values, book.names, axes),
        target="mask",
        target_why=book.why,
    )


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
    if _on_grid(piece) and len(piece.y) == len(piece.x):
        return
    if len(piece.y.shape) not in (1, 2) or len(piece.y) != len(piece.x) or 0 in piece.y.shape[1:]:
        raise DataError(
            f"{piece.name} has {len(piece.x)} items, but labels of shape {piece.y.shape}",
            where=path,
            mend="give one label per item, shape (N,) or (N, 1), or (N, K) for several",
        )
