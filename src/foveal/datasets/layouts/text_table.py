"""A csv, tsv or jsonl file with a column of texts, a column of classes, perhaps one of parts."""

from __future__ import annotations

import json
import re

from ...card import Skipped
from ...errors import DataError
from ...readers import reader_for
from ...readers.text import decode
from ..listing import Listing
from ..source import read_file
from . import Layout, Place
from ._columns import Chosen, again, chosen, group_column
from ._parts import part_of
from ._table import Table, parse
from ._texts import Texts

LAYOUT_NAME = "table of texts"
_TABLES, _OBJECTS = (".csv", ".tsv"), (".jsonl", ".ndjson")
_TEXTS = ("text", "sentence", "review", "comment", "content", "message", "question", "document")
_NUMBERED = ("id", "index", "key", "no", "")
_SAMPLE = 200
_MOST_COLUMNS = 1000
_WORDED = re.compile(r"\w+\W+\w+")


def _fits(place: Place) -> bool:
    return any(_text_column(table) is not None for _, table, _ in _tables(place))


def _tables(place: Place) -> list[tuple[str, Table, str]]:
    """Name, rows and encoding of every table; damaged ones beside others are passed over."""
    if place.source is None:
        name = place.path.name
        if not name.lower().endswith(_TABLES + _OBJECTS):
            return []
        found = _parsed(read_file(place.path, str(place.path)), name, str(place.path))
        return [found] if found is not None else []
    names = place.source.names
    top = [i for i, n in enumerate(names) if "/" not in n]
    if len(top) < len(names):  # files in folders are what its tables are about
        return []
    kept = [i for i in top if names[i].lower().endswith(_TABLES + _OBJECTS)]
    found_all = (
        _parsed(place.source.read(i), names[i], str(place.path / names[i])) for i in kept[:20]
    )
    return [table for table in found_all if table is not None]


def _parsed(content: bytes, name: str, where: str) -> tuple[str, Table, str] | None:
    try:
        text, mode = decode(content, where)
        if name.lower().endswith(_OBJECTS):
            return name, _objects(text, where), mode
        return name, parse(text.encode("utf-8"), where), mode
    except DataError:
        if name.lower().endswith(_OBJECTS):
            raise
        return None  # the layout of tables of paths says what is wrong with a csv


def _objects(text: str, where: str) -> Table:
    """The objects of a jsonl file, one a line, as a table. Lines that are none count as ragged."""
    rows: list[tuple[int, dict[str, str]]] = []
    broken: list[tuple[int, int]] = []
    header: dict[str, None] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict) or not found:
            broken.append((number, 0))
            continue
        rows.append((number, {str(k): _cell(v) for k, v in found.items()}))
        header.update(dict.fromkeys(map(str, found)))
        if len(header) > _MOST_COLUMNS:
            break
    if not rows or len(header) > _MOST_COLUMNS:
        raise DataError(
            "its lines are not JSON objects with the same names",
            where=where,
            mend='write one object a line, as in {"text": "...", "label": "..."}',
        )
    names = tuple(header)
    return Table(names, [(n, [o.get(k, "") for k in names]) for n, o in rows], broken)


def _cell(value: object) -> str:
    if isinstance(value, str):
        return value.strip()
    return "" if value is None else json.dumps(value)


def _text_column(table: Table) -> int | None:
    """The column of texts: by its name, or the one whose cells hold the most words."""
    rows = table.rows[:_SAMPLE]
    if not rows:
        return None
    means = [_words(table, c, rows) for c in range(len(table.header))]
    named = [i for i, n in enumerate(table.header) if n.lower() in _TEXTS and means[i] >= 0]
    if len(named) == 1:
        return named[0]
    best = max(range(len(means)), key=means.__getitem__)
    return best if means[best] >= 3 else None


def _words(table: Table, column: int, rows: list[tuple[int, list[str]]]) -> float:
    """Words of a cell on average; -1 where cells name files."""
    cells = [cells[column] for _, cells in rows]
    if sum(reader_for(c) is not None and len(c) < 300 for c in cells) > 0.5 * len(cells):
        return -1
    if sum(bool(_WORDED.search(c)) for c in cells) <= 0.5 * len(cells):
        return 0
    return sum(len(c.split()) for c in cells) / len(cells)


def _listing(place: Place) -> Listing:
    tables = [t for t in _tables(place) if _text_column(t[1]) is not None]
    parts = [part_of(name.rpartition(".")[0]) for name, _, _ in tables]
    if len(tables) > 1 and (None in parts or len(set(parts)) < len(parts)):
        shown = ", ".join(repr(name) for name, _, _ in tables[:6])
        raise DataError(
            f"{len(tables)} tables hold texts: {shown}",
            where=str(place.path),
            mend="give the path of one table, or call them train.csv, val.csv and test.csv",
        )
    found, wanted = Texts(), None
    for (name, table, mode), part in zip(tables, parts, strict=True):
        part = part or 0 if len(tables) > 1 else 0
        wanted = _collect(found, place, name, table, mode, part, wanted)
    assert wanted is not None, "there is one table at least"
    return found.listing(place, LAYOUT_NAME, wanted.targets(found.values, str(place.path)))


def _collect(
    found: Texts,
    place: Place,
    name: str,
    table: Table,
    mode: str,
    part: int,
    wanted: Chosen | None,
) -> Chosen:
    """Note every row of one table; what it was asked for comes back."""
    text = _text_column(table)
    assert text is not None, "only tables with such a column come here"
    split = _split_column(table, text)
    where = f"{place.path}: {name}"
    group = group_column(table, (), place.group, where) if place.group else None
    taken = {text, split, group}
    taken |= {i for i, n in enumerate(table.header) if n.lower() in _NUMBERED}
    if wanted is None:
        wanted = chosen(table, taken, place.target, where)
    else:
        wanted = again(table, wanted, taken, where)
    for line, cells in table.rows:
        here = part if split is None else part_of(cells[split])
        assert here is not None, "a column with other words is not the split"
        value, reason = wanted.read(cells)
        whose = "" if group is None else cells[group]
        found.add(f"{name} line {line}", cells[text], value, here, mode, reason, whose)
    for line, count in table.ragged:
        reason = f"has {count} cells, the header {len(table.header)}" if count else "is no object"
        found.left_out.append(Skipped(f"{name} line {line}", reason))
    return wanted


def _split_column(table: Table, text: int) -> int | None:
    """The column all of whose cells are names of parts, if there is one."""
    for column in range(len(table.header)):
        words = {cells[column] for _, cells in table.rows}
        if column != text and words and all(part_of(word) is not None for word in words):
            return column
    return None


LAYOUT = Layout(
    order=25,
    says="a csv, tsv or jsonl file with a column of texts and a column named label",
    fits=_fits,
    listing=_listing,
)
