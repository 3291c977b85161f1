"""The MNIST database's files: train-images-idx3-ubyte(.gz) and its three companions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from ...errors import DataError
from ...readers.idx import load
from ..listing import Listing
from . import Layout, Place
from ._parts import part_of
from ._stack import Piece, stacked

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NAME = re.compile(r"([a-z0-9]+)[-_](images|labels)[-._]idx[13][-._]ubyte(\.gz)?$", re.I)


def _fits(place: Place) -> bool:
    return "images" in {kind for _, kind in _files(place)}


def _files(place: Place) -> dict[tuple[int, str], int]:
    """Positions in the source by part and by "images" or "labels"."""
    found: dict[tuple[int, str], int] = {}
    for position, name in enumerate(place.source.names if place.source else ()):
        match = _NAME.fullmatch(name.rpartition("/")[2]) if "idx" in name.lower() else None
        part = part_of(match[1]) if match else None
        if match and part is not None:
            found.setdefault((part, match[2].lower()), position)
    return found


def _listing(place: Place) -> Listing:
    assert place.source is not None, "idx files lie in a folder or an archive"
    files, source, pieces = _files(place), place.source, []
    for (part, kind), position in sorted(files.items()):
        if kind != "images":
            continue
        name = source.names[position]
        if (part, "labels") not in files:
            raise DataError(
                f"{name} has no labels beside it",
                where=str(place.path),
                mend=f"add {name.replace('images', 'labels').replace('idx3', 'idx1')}",
            )
        labels = _array(place, files[part, "labels"])
        pieces.append(Piece(name.split(".")[0], part, _array(place, position), labels))
    return stacked(place.path, place.name, "idx", pieces, source.stamp)


def _array(place: Place, position: int) -> NDArray[np.generic]:
    assert place.source is not None, "idx files lie in a folder or an archive"
    name = place.source.names[position]
    try:
        return load(place.source.read(position), name)
    except DataError as error:
        where = str(place.path / name)
        raise DataError(error.what, where=where, mend="fetch the file again") from error


LAYOUT = Layout(
    order=10,
    says="idx files in MNIST's names (train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, ...)",
    fits=_fits,
    listing=_listing,
)
