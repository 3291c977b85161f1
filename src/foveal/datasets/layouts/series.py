"""Time series in text files: NAME_TRAIN.ts beside NAME_TEST.ts, or tables of plain rows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import numpy as np

from ...card import PARTS
from ...errors import DataError
from ...grid import Axis, Grid, Sample
from ..listing import Listing, encode, parts_present, stamp_of
from ..names import paper
from ..source import read_file
from . import Layout, Place
from ._parts import part_of, with_label
from ._series import Series, looks_like_rows, parse_rows, parse_ts

if TYPE_CHECKING:
    from numpy.typing import NDArray

# The distance between two values is not told, only that they follow each other in time.
SERIES_AXES = (Axis("time", kind="time", mirrors=False),)
_TABLES = (".tsv", ".csv", ".txt")
_LAST = re.compile(r"(.*?)[-_. ]?([A-Za-z0-9]+)$")


@dataclass(frozen=True, slots=True)
class _File:
    """One file of a set: its name, the set's name without the part, and the part."""

    name: str
    stem: str
    part: int
    series: Series


def _fits(place: Place) -> bool:
    return bool(_names(place))


def _names(place: Place) -> list[str]:
    """The files that hold series: all .ts files at the top, or the tables of rows in the archive's
    names ("GunPoint_TRAIN.tsv")."""
    if place.source is None:
        name = place.path.name
        if name.lower().endswith(".ts"):
            return [name]
        parted = _split_name(name)[1] is not None and name.lower().endswith(_TABLES)
        return [name] if parted and looks_like_rows(_content(place, name)) else []
    top = [name for name in place.source.names if "/" not in name and not paper(name)]
    series = [name for name in top if name.lower().endswith(".ts")]
    if series:
        return series
    tables = [n for n in top if n.lower().endswith(_TABLES) and _split_name(n)[1] is not None]
    # The archive brings each table twice: as .tsv and as .txt, with other separators.
    endings = {ending: [n for n in tables if n.lower().endswith(ending)] for ending in _TABLES}
    first = next((names for names in endings.values() if names), [])
    return first if first and all(looks_like_rows(_content(place, n)) for n in first) else []


def _split_name(name: str) -> tuple[str, int | None]:
    """ "GunPoint_TRAIN.ts" -> ("GunPoint", 0); a name that tells no part -> (name, None)."""
    stem = PurePosixPath(name).stem
    match = _LAST.fullmatch(stem)
    part = part_of(match[2]) if match else None
    return (match[1] if match and part is not None else stem), part


def _content(place: Place, name: str) -> bytes:
    if place.source is None:
        return read_file(place.path, str(place.path))
    return place.source.read(next(i for i, n in enumerate(place.source.names) if n == name))


def _listing(place: Place) -> Listing:
    names = _names(place)
    told = [_split_name(name) for name in names]
    sets = {stem.lower() for stem, _ in told}
    parts = [part for _, part in told]
    if len(names) > 1 and (len(sets) > 1 or None in parts or len(set(parts)) < len(parts)):
        raise DataError(
            f"{len(names)} files hold series, and they are not the parts of one set: "
            + ", ".join(map(repr, names[:6])),
            where=str(place.path),
            mend="give the path of one file, or call them NAME_TRAIN and NAME_TEST",
        )
    files = []
    for name, (stem, part) in zip(names, told, strict=True):
        where = str(place.path) if place.source is None else str(place.path / name)
        parse = parse_ts if name.lower().endswith(".ts") else parse_rows
        files.append(_File(name, stem, part or 0, parse(_content(place, name), where)))
    return _build(place, files)


def _build(place: Place, files: list[_File]) -> Listing:
    where = str(place.path)
    items = [item for file in files for item in file.series.items]
    _check(items, where)
    keys = [f"{file.name} line {line}" for file in files for line in file.series.lines]
    parts = np.repeat(
        np.array([file.part for file in files], np.int8), [len(f.series.items) for f in files]
    )
    if any(file.series.numbers for file in files):
        return _of_numbers(place, files, items, keys, parts)
    labels, classes = encode([name for f in files for name in f.series.labels], where)
    return Listing(
        path=where,
        name=files[0].stem or place.name,
        layout="time series",
        keys=keys,
        labels=labels,
        parts=parts,
        has_parts=parts_present(parts),
        classes=classes,
        read=with_label(_Reader(items, keys), labels, classes),
        stamp=_stamp(items, keys, labels, parts, classes),
        doubts=tuple(_filled(files)),
    )


def _of_numbers(
    place: Place,
    files: list[_File],
    items: list[NDArray[np.float32]],
    keys: list[str],
    parts: NDArray[np.int8],
) -> Listing:
    values = np.array([n for f in files for n in f.series.numbers], np.float32)[:, None]
    if len(values) != len(items):
        raise DataError(
            "some of the files tell a number for each series, others do not",
            where=str(place.path),
            mend="give files with one kind of target",
        )
    return Listing(
        path=str(place.path),
        name=files[0].stem or place.name,
        layout="time series",
        keys=keys,
        labels=np.zeros(len(items), np.int32),
        parts=parts,
        has_parts=parts_present(parts),
        classes=(),
        read=_Reader(items, keys),
        stamp=_stamp(items, keys, values, parts, ()),
        target="numbers",
        values=values,
        outputs=("target",),
        doubts=tuple(_filled(files)),
    )


def _check(items: list[NDArray[np.float32]], where: str) -> None:
    channels = {len(item) for item in items}
    if len(channels) > 1:
        raise DataError(
            f"the series have different numbers of dimensions: {sorted(channels)}",
            where=where,
            mend="give every series the same dimensions",
        )


def of_file(content: bytes, where: str) -> Iterator[tuple[str, Sample]]:
    """The series of one ``.ts`` file by name; what it says of their classes is left aside.

    Raises: DataError naming the line that is broken, before the first series.
    """
    found = parse_ts(content, where)
    keys = [f"{where} line {line}" for line in found.lines]
    read = _Reader(found.items, keys)
    return ((key, read(position)) for position, key in enumerate(keys))


class _Reader:
    """Position -> the series there. They were read with the listing: no file tells its end."""

    def __init__(self, items: list[NDArray[np.float32]], keys: list[str]) -> None:
        self.items, self.keys = items, keys

    def __call__(self, position: int) -> Sample:
        x = self.items[position].copy()
        grid = Grid(SERIES_AXES, x.shape[1:])
        return Sample(self.keys[position], x, grid, mode=f"series x {len(x)}")


def _stamp(
    items: list[NDArray[np.float32]],
    keys: list[str],
    targets: NDArray[np.generic],
    parts: NDArray[np.int8],
    classes: tuple[str, ...],
) -> str:
    shapes = [item.shape for item in items]
    values = np.concatenate([item.reshape(-1) for item in items])
    return stamp_of("series", shapes, values, keys, targets, parts, classes)


def _filled(files: list[_File]) -> list[str]:
    """What must be said of missing values."""
    return [
        f"{file.series.filled:,} missing values of the {PARTS[file.part]} part were filled in on a "
        "straight line between their neighbours"
        for file in files
        if file.series.filled
    ]


LAYOUT = Layout(
    order=25,
    says="NAME_TRAIN.ts beside NAME_TEST.ts, or one .ts file",
    fits=_fits,
    listing=_listing,
)
