"""A csv or tsv file with a column of paths, columns to be learned, and perhaps one of parts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ...card import Skipped
from ...errors import DataError
from ...readers import read, reader_for
from ..listing import Listing, parts_present, stamp_of
from ..names import Names
from ..source import Source, open_source, read_file
from . import Layout, Place
from ._columns import Chosen, Value, again, by_column, chosen, group_column, shown
from ._frames import stretches
from ._parts import part_of
from ._table import Table, parse

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ENDINGS = (".csv", ".tsv")
_SAMPLE = 200  # rows that are asked whether a column names files


class _Files:
    """The readable files of a source, found as tables name them: by path, by name, or without
    ending. Only files of the source are ever found, so no path can lead out of it."""

    def __init__(self, source: Source) -> None:
        self._exact: dict[str, int] = {}
        self._loose: dict[str, int] = {}
        for position, name in enumerate(source.names):
            if reader_for(name) is None:
                continue
            self._exact[name] = position
            last = name.rpartition("/")[2]
            for short in {last, last.rpartition(".")[0], name.rpartition(".")[0]} - {name}:
                # A short name that two files share names neither.
                self._loose[short] = -1 if short in self._loose else position

    def find(self, value: str) -> int:
        """The position of the file that a cell names, or -1."""
        path = value.replace("\\", "/").removeprefix("./")
        found = self._exact.get(path)
        if found is None:
            found = self._loose.get(path)
        if found is None:
            last = path.rpartition("/")[2]
            found = self._exact.get(last, self._loose.get(last, -1)) if last else -1
        return found


@dataclass(slots=True)
class _Rows:
    """What the tables gave: one entry per item, in the order of the tables."""

    items: list[int] = field(default_factory=list)
    values: list[Value] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    parts: list[int] = field(default_factory=list)
    left_out: list[Skipped] = field(default_factory=list)
    seen: dict[int, int] = field(default_factory=dict)  # file -> entry

    def add(self, file: int, value: Value, part: int, group: str, key: str, line: str) -> None:
        if file not in self.seen:
            self.seen[file] = len(self.items)
            self.items.append(file)
            self.values.append(value)
            self.groups.append(group)
            self.parts.append(part)
            return
        first = self.seen[file]
        if self.values[first] == value and self.parts[first] == part:
            self.left_out.append(Skipped(key, f"{line}: listed twice"))
            return
        both = f"{self.values[first]!r} and {value!r}"
        what = both if self.values[first] != value else "two parts"
        self.left_out.append(Skipped(key, f"{line}: listed twice, with {what}"))
        self.items[first] = -1  # neither can be trusted


def _fits(place: Place) -> bool:
    if place.source is None:
        return place.path.suffix.lower() in _ENDINGS
    if not (tables := _tables(place.source)):
        return False
    files = _Files(place.source)
    return any(_names_files(place, position, files) for position in tables)


def _tables(source: Source) -> list[int]:
    """Tables at the top of the source."""
    return [
        i
        for i, name in enumerate(source.names)
        if "/" not in name and name.lower().endswith(_ENDINGS)
    ]


def _names_files(place: Place, position: int, files: _Files) -> bool:
    assert place.source is not None, "a table among files lies in a source"
    try:
        table = parse(place.source.read(position), place.source.names[position], _is_file)
    except DataError:
        return False  # a damaged table beside class folders is no reason to stop
    return _path_column(table, files) is not None


def _path_column(table: Table, files: _Files) -> int | None:
    """The column most of whose first cells name files, if there is one."""
    rows = table.rows[:_SAMPLE]
    shares = [
        sum(files.find(cells[column]) >= 0 for _, cells in rows) / max(len(rows), 1)
        for column in range(len(table.header))
    ]
    best = max(range(len(shares)), key=shares.__getitem__, default=None)
    return best if best is not None and shares[best] > 0.5 else None


def _listing(place: Place) -> Listing:
    source, tables = _contents(place)
    files, rows = _Files(source), _Rows()
    usable = [(name, table) for name, table in tables if _path_column(table, files) is not None]
    if not usable:
        name, table = tables[0]
        raise DataError(
            f"no column of {name!r} names files that are there; columns: {shown(table.header)}",
            where=str(place.path),
            mend="add a column with the path of each picture, as seen from the table's folder",
        )
    by_part = [part_of(name.rpartition(".")[0]) for name, _ in usable]
    if len(usable) > 1 and (None in by_part or len(set(by_part)) < len(by_part)):
        raise DataError(
            f"{len(usable)} tables name files: {shown([name for name, _ in usable])}",
            where=str(place.path),
            mend="give the path of one table, or call them train.csv, val.csv and test.csv",
        )
    wanted = None
    order = sorted(range(len(usable)), key=lambda i: by_part[i] or 0)
    for (name, table), part in ((usable[i], by_part[i]) for i in order):
        # All parts learn what the training part shows, even where their own values look different.
        wanted = _collect(name, table, part or 0, files, rows, place, wanted)
    assert wanted is not None, "there is one usable table at least"
    return _build(place, source, rows, wanted)


def _is_file(cell: str) -> bool:
    """Whether a cell reads like the path of a file that could be an item."""
    return reader_for(cell.replace("\\", "/").rpartition("/")[2]) is not None


def _contents(place: Place) -> tuple[Source, list[tuple[str, Table]]]:
    """The files that the tables can name, and the tables by name."""
    if place.source is None:
        content = read_file(place.path, str(place.path))
        return open_source(place.path.parent), [
            (place.path.name, parse(content, str(place.path), _is_file))
        ]
    source, tables = place.source, []
    for position in _tables(source):
        name = source.names[position]
        tables.append((name, parse(source.read(position), str(place.path / name), _is_file)))
    return source, tables


def _collect(
    name: str,
    table: Table,
    part: int,
    files: _Files,
    rows: _Rows,
    place: Place,
    wanted: Chosen | None,
) -> Chosen:
    """Note every row of one table; what it was asked for comes back."""
    path, where = _path_column(table, files), f"{place.path}: {name}"
    assert path is not None, "only tables with such a column come here"
    split = _split_column(table, path)
    group = group_column(table, {path, split}, place.group, where)
    taken = {path, split, group}
    if wanted is None:
        wanted = chosen(table, taken, place.target, where)
    else:
        wanted = again(table, wanted, taken, where)
    for line, cells in table.rows:
        found, at = files.find(cells[path]), f"{name} line {line}"
        key = cells[path][:200]
        value, reason = wanted.read(cells)
        if found < 0:
            rows.left_out.append(Skipped(key, f"{at}: names no readable file, or several"))
        elif value is None:
            rows.left_out.append(Skipped(key, f"{at}: {reason}"))
        else:
            here = part if split is None else part_of(cells[split])
            assert here is not None, "a column with other words is not the split"
            rows.add(found, value, here, "" if group is None else cells[group], key, at)
    for line, count in table.ragged:
        reason = f"has {count} cells, the header {len(table.header)}"
        rows.left_out.append(Skipped(f"{name} line {line}", reason))
    return wanted


def _split_column(table: Table, path: int) -> int | None:
    """The column all of whose cells are names of parts, if there is one."""
    for column in range(len(table.header)):
        words = {cells[column] for _, cells in table.rows}
        if column != path and words and all(part_of(word) is not None for word in words):
            return column
    return None


def _build(place: Place, source: Source, rows: _Rows, wanted: Chosen) -> Listing:
    kept = [i for i, item in enumerate(rows.items) if item >= 0]
    targets = wanted.targets([rows.values[i] for i in kept], str(place.path))
    few = len(targets.classes) < 2 or (len(kept) >= 20 and 2 * len(targets.classes) > len(kept))
    if targets.target == "label" and few:
        raise DataError(
            f"{len(kept)} items with {len(targets.classes)} different labels are nothing to "
            "learn from",
            where=str(place.path),
            mend="give two classes at least, and several items of each",
        )
    positions = np.array([rows.items[i] for i in kept], np.int64)
    parts = np.array([rows.parts[i] for i in kept], np.int8)
    keys = Names(source.names[int(i)] for i in positions)
    groups, why = _groups(
        [rows.groups[i] for i in kept], list(keys), targets.values, asked=place.group
    )
    listing = Listing(
        path=str(place.path),
        name=place.name,
        layout="table of paths",
        keys=keys,
        labels=targets.labels,
        parts=parts,
        has_parts=parts_present(parts),
        classes=targets.classes,
        read=lambda i: read(source.read(int(positions[i])), keys[i]),
        stamp=stamp_of(source.stamp, "table", targets.labels, parts, targets.classes, keys.content),
        left_out=tuple(rows.left_out),
        groups=groups,
        group_why=why,
    )
    return targets.placed(listing)


def _groups(
    named: list[str],
    keys: list[str],
    values: NDArray[np.float32] | None,
    *,
    asked: str,
) -> tuple[NDArray[np.int64] | None, str]:
    """Groups by a column of names, or by time; (None, "") where there are neither."""
    if any(named) or asked:
        return by_column(named, asked)
    return stretches(keys, values) or (None, "")


LAYOUT = Layout(
    order=30,
    says="a csv or tsv file with a column of paths and a column named label, or columns of "
    "numbers or of 0 and 1",
    fits=_fits,
    listing=_listing,
)
