"""Which columns of a table are to be learned, and how their cells read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ...errors import DataError
from ...find import nearest
from ._table import SIMULATOR, Table
from ._targets import (
    ASKED,
    FEW,
    Targets,
    is_number,
    number_why,
    of_classes,
    of_flags,
    of_numbers,
    of_sets,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

Kind = Literal["flag", "class", "number", "list", "text", "empty"]
LABELS = (
    "label",
    "labels",
    "class",
    "classes",
    "target",
    "category",
    "diagnosis",
    "sentiment",
    "y",
)
GROUP = re.compile(
    r"(patient|subject|person|speaker|participant|group)([ _-]?(id|no|number|name))?"
)
BETWEEN = re.compile(r"\s*[;|]\s*")
Value = Any  # a class name, names, or numbers; "" stands for a cell without any


@dataclass(frozen=True, slots=True)
class Chosen:
    """The columns to learn: their kind, positions and names, and why these."""

    kind: Literal["class", "list", "flag", "number"]
    columns: tuple[int, ...]
    names: tuple[str, ...]
    why: str

    def read(self, cells: Sequence[str]) -> tuple[Value | None, str]:
        """What a row says, or None and the reason why it says nothing."""
        texts = [cells[c] for c in self.columns]
        if self.kind == "class":
            return (texts[0], "") if texts[0] else (None, "has no class")
        if self.kind == "list":
            return tuple(sorted({n for n in BETWEEN.split(texts[0]) if n})), ""
        values = [_number(text) for text in texts]
        for name, value in zip(self.names, values, strict=True):
            if value is None:
                return None, f"has no number for {name!r}"
        return tuple(values), ""

    def targets(self, found: Sequence[Value], where: str) -> Targets:
        """What was read of the rows that are kept, put together."""
        return replace(self._targets(found, where), columns=self.names)

    def _targets(self, found: Sequence[Value], where: str) -> Targets:
        if self.kind == "class":
            return of_classes(list(found), where, self.why)
        if self.kind == "list":
            return of_sets(list(found), where, self.why)
        values = np.array(list(found), np.float64).reshape(len(found), len(self.columns))
        make = of_flags if self.kind == "flag" else of_numbers
        return make(values, self.names, self.why)


def chosen(table: Table, taken: Iterable[int | None], asked: Sequence[str], where: str) -> Chosen:
    """The columns that ``asked`` names (by name, or by number from 1), or those that it shows.

    taken: columns that hold paths, parts or groups. Raises: DataError when it cannot be told.
    """
    if asked:
        columns = [_find(table, name, where) for name in asked]
        return _as_asked(table, columns, where)
    if table.header == SIMULATOR:
        steering = SIMULATOR.index("steering")
        why = "the log of a driving simulator: steering is what a driver decides"
        return _single(table, steering, why)
    free = [i for i in range(len(table.header)) if i not in set(taken)]
    named = [i for i in free if table.header[i].lower() in LABELS]
    named = named or [i for i in free if _words(table.header[i]) & set(LABELS[:-1])]
    if len(named) == 1 or len(free) == 1:
        column = (named or free)[0]
        return _single(table, column, f"column {table.header[column]!r}")
    kinds = {i: kind_of(table, i) for i in free}
    told = {i: kind for i, kind in kinds.items() if kind not in ("text", "empty")}
    aside = [table.header[i] for i in free if i not in told]
    left = f"; left aside: {shown(aside)}" if aside else ""
    if len(told) == 1:
        column = next(iter(told))
        return _single(table, column, f"column {table.header[column]!r}{left}")
    names = tuple(table.header[i] for i in told)
    if told and set(told.values()) == {"flag"}:
        return Chosen("flag", tuple(told), names, f"{len(told)} columns of 0 and 1{left}")
    if told and set(told.values()) == {"number"}:
        return Chosen("number", tuple(told), names, f"{len(told)} columns of numbers{left}")
    raise DataError(
        "the column of classes cannot be told: "
        + (f"there are {shown(table.header[i] for i in free)}" if free else "there is no other"),
        where=where,
        mend="name it 'label', or say which to learn: --target COLUMN[,COLUMN]",
    )


def again(table: Table, wanted: Chosen, taken: Iterable[int | None], where: str) -> Chosen:
    """The same targets in the table of another part: columns of the same names, else its own."""
    if set(wanted.names) <= set(table.header):
        columns = tuple(table.header.index(name) for name in wanted.names)
    else:
        columns = chosen(table, taken, (), where).columns
    if len(columns) != len(wanted.columns):
        raise DataError(
            f"there are not the columns {shown(wanted.names)} of the first table",
            where=where,
            mend="give the tables of all parts the same columns",
        )
    return replace(wanted, columns=columns)


def group_column(
    table: Table, taken: Iterable[int | None], asked: str = "", where: str = ""
) -> int | None:
    """The column that tells whose a sample is: as ``asked`` (by name, or by number from 1), or by
    its own name, if there is exactly one such. Raises: DataError for one that is not there."""
    if asked:
        return _find(table, asked, where)
    skip = set(taken)
    found = [i for i, n in enumerate(table.header) if i not in skip and GROUP.fullmatch(n.lower())]
    return found[0] if len(found) == 1 else None


def by_column(named: Sequence[str], asked: str = "") -> tuple[NDArray[np.int64], str]:
    """Groups of equal cells ``(N,)``, -1 for empty ones, and how that was told."""
    names, member = np.unique(np.array(named), return_inverse=True)
    why = f"{len(names)} names in a column that tells whose a sample is"
    if asked:
        why = f"set by you: --group {asked} ({len(names)} values)"
    return np.where(names[member] == "", -1, member).astype(np.int64), why


def kind_of(table: Table, column: int) -> Kind:
    """What the cells of a column look like."""
    texts = [cells[column] for _, cells in table.rows if cells[column]]
    if not texts:
        return "empty"
    numbers = [_number(text) for text in texts]
    if None not in numbers:
        values = np.array(numbers, np.float64)
        if set(np.unique(values)) <= {0.0, 1.0}:
            return "flag"
        return "number" if is_number(values) else "class"
    if any(BETWEEN.search(text) for text in texts):
        return "list"
    different = len(set(texts))
    return "text" if len(texts) >= FEW and 2 * different > len(texts) else "class"


def _single(table: Table, column: int, why: str) -> Chosen:
    kind, name = kind_of(table, column), (table.header[column],)
    if kind == "number":
        texts = [cells[column] for _, cells in table.rows if cells[column]]
        values = np.array([_number(text) for text in texts], np.float64)
        return Chosen("number", (column,), name, f"{why}: {number_why(values)}")
    if kind == "list":
        return Chosen("list", (column,), name, f"{why}: names apart by ; or |")
    return Chosen("class", (column,), name, why)


def _as_asked(table: Table, columns: Sequence[int], where: str) -> Chosen:
    names = tuple(table.header[c] for c in columns)
    why = f"{ASKED}: --target {','.join(names)}"
    if len(columns) == 1:
        return _single(table, columns[0], why)
    kinds = [kind_of(table, c) for c in columns]
    if set(kinds) == {"flag"}:
        return Chosen("flag", tuple(columns), names, why)
    for name, column, kind in zip(names, columns, kinds, strict=True):
        cells = [row[column] for _, row in table.rows if row[column]]
        if kind not in ("flag", "number", "class") or None in map(_number, cells):
            raise DataError(
                f"column {name!r} holds no numbers, so it cannot be learned beside others",
                where=where,
                mend="name columns of numbers, or one column alone",
            )
    return Chosen("number", tuple(columns), names, why)


def _find(table: Table, name: str, where: str) -> int:
    """The column called ``name``, or of that number, from 1 on."""
    lower = [known.lower() for known in table.header]
    if name.lower() in lower:
        return lower.index(name.lower())
    if name.isascii() and name.isdigit() and 0 < int(name) <= len(lower):
        return int(name) - 1
    raise DataError(
        f"there is no column {name!r}",
        where=where,
        mend=nearest(name, table.header) or f"there are: {shown(table.header)}",
    )


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if np.isfinite(value) else None


def _words(name: str) -> set[str]:
    return set(re.split(r"[^a-z0-9]+", name.lower()))


def shown(names: Iterable[str]) -> str:
    """At most eight names for a message."""
    return ", ".join(repr(name[:40]) for name in list(names)[:8])
