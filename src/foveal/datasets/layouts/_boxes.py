"""What the layouts of boxes share: pictures with what is noted of them become a listing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import numpy as np

from ...card import Skipped
from ...errors import DataError
from ...grid import Sample
from ...readers import read, reader_for, readers
from ...readers.image import header
from ..annotations import Noted
from ..annotations.odd import odd
from ..annotations.rules import FAULTS, Settled, settled
from ..listing import Listing, encode, parts_present, stamp_of
from ..names import Names
from ..source import Source
from . import Place
from ._parts import items as readable

if TYPE_CHECKING:
    from numpy.typing import NDArray

HEAD = 2**16
SHOWN = 3
MOST_CLASSES = 250  # tables of classes have 256 rows


@dataclass(frozen=True, slots=True, eq=False)
class Item:
    """A picture at a position of the source, what is noted of it, and its part (0, 1, 2)."""

    position: int
    noted: Noted
    part: int


def stem(name: str) -> str:
    """The file's name without folders and without its ending."""
    return PurePosixPath(name).stem


def frame(source: Source, position: int) -> tuple[tuple[int, int] | None, int]:
    """Rows and columns of a picture and its EXIF turn, from its first bytes; None if they do not
    tell, or it is no picture."""
    if reader_for(source.names[position]) is not readers()["image"]:
        return None, 1
    try:
        found = header(source.head(position, HEAD)) or header(source.read(position))
    except DataError:
        found = None  # told when it is read
    return found if found is not None else (None, 1)


def pictures(names: Sequence[str]) -> list[int]:
    """Positions of the files that hold samples."""
    return [i for i, reads in enumerate(readable(list(names))) if reads]


def listed(
    place: Place,
    source: Source,
    layout: str,
    items: Sequence[Item],
    *,
    left_out: Sequence[Skipped] = (),
    doubts: Sequence[str] = (),
    classes: Sequence[str] = (),
    measured: bool = False,
) -> Listing:
    """The listing of samples with boxes.

    classes: as the format lists them, in its order; what occurs beside them comes behind.
    measured: corners are in the unit of the samples' axes (seconds), not in cells.
    Raises: DataError where no box is left at all.
    """
    keys = Names(source.names[item.position] for item in items)
    met: dict[str, list[str]] = {}
    counts: Counter[str] = Counter()
    kept: list[Settled] = []
    for item, key in zip(items, keys, strict=True):
        size, turn = frame(source, item.position)
        found = settled(item.noted, size if size is not None else item.noted.size, turn)
        for fault, count in (*found.faults.items(), *_named(item.noted, key)):
            met.setdefault(fault, []).append(key)
            counts[fault] += count
        kept.append(found)
    if 2 * len(met.get("crossed", ())) <= len({*met.get("outside", ()), *met.get("gone", ())}):
        met.pop("crossed", None)  # a slip here and there, not another order
    names = _names(items, kept, classes, str(place.path))
    boxes = _tables(items, kept, names)
    parts = np.array([item.part for item in items], np.int8)
    positions = np.array([item.position for item in items], np.int64)
    return Listing(
        path=str(place.path),
        name=place.name,
        layout=layout,
        keys=keys,
        labels=np.zeros(len(items), np.int32),
        parts=parts,
        has_parts=parts_present(parts),
        classes=names,
        read=_reader(source, positions, keys, boxes, measured),
        stamp=stamp_of(source.stamp, layout, parts, names, *boxes),
        left_out=tuple(left_out),
        target="boxes",
        target_why=f"{sum(map(len, boxes)):,} boxes in {len(items):,} samples",
        doubts=(*doubts, *_told(met, counts), *odd(keys, boxes, names)),
    )


def _named(noted: Noted, key: str) -> list[tuple[str, int]]:
    """A fault where the annotation names another picture."""
    other = noted.says and stem(noted.says).casefold() != stem(key).casefold()
    return [("named", 1)] if other else []


def _names(
    items: Sequence[Item], kept: Sequence[Settled], classes: Sequence[str], path: str
) -> tuple[str, ...]:
    there = [
        items[i].noted.names[row] for i, found in enumerate(kept) for row in found.kept.tolist()
    ]
    if not there:
        raise DataError(
            f"not one box in {len(items)} annotations can be used",
            where=path,
            mend="`foveal look` lists what is wrong with them; give boxes with an extent inside "
            "their pictures",
        )
    _, found = encode(there, path)
    names = (*classes, *(name for name in found if name not in classes))
    if len(names) > MOST_CLASSES:
        raise DataError(
            f"{len(names)} classes of boxes are more than {MOST_CLASSES}",
            where=path,
            mend="join rare classes",
        )
    return names


def _tables(
    items: Sequence[Item], kept: Sequence[Settled], names: tuple[str, ...]
) -> list[NDArray[np.float64]]:
    """Class and corners of the boxes of every item."""
    place = {name: i for i, name in enumerate(names)}
    found = []
    for item, one in zip(items, kept, strict=True):
        labels = [[float(place[item.noted.names[row]])] for row in one.kept.tolist()]
        column = np.array(labels, np.float64).reshape(-1, 1)
        found.append(np.concatenate([column, one.boxes], axis=1))
    return found


def _reader(
    source: Source,
    positions: NDArray[np.int64],
    keys: Names,
    boxes: Sequence[NDArray[np.float64]],
    measured: bool,
) -> Callable[[int], Sample]:
    def reading(i: int) -> Sample:
        item = read(source.read(int(positions[i])), keys[i])
        steps = [axis.step if measured else 1.0 for axis in item.grid.axes]
        y = boxes[i] if len(steps) != boxes[i].shape[1] // 2 else boxes[i] / [1.0, *steps, *steps]
        return replace(item, y=y)

    return reading


def _told(met: dict[str, list[str]], counts: Counter[str]) -> list[str]:
    """A sentence for each fault: how often, what is done, and where first."""
    told = []
    for fault, words in FAULTS.items():
        if fault not in met:
            continue
        where, many = met[fault], counts[fault]
        shown = ", ".join(where[:SHOWN]) + (", ..." if len(where) > SHOWN else "")
        have = "has" if len(where) == 1 else "have"
        if many == len(where) and not words.startswith(("boxes", "things")):
            told.append(f"{len(where):,} {_noun(len(where))} {have} {words} ({shown})")
        else:
            told.append(f"{many:,} in {len(where):,} {_noun(len(where))}: {words} ({shown})")
    return told


def _noun(count: int) -> str:
    return "sample" if count == 1 else "samples"
