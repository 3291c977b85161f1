"""Time series in the text formats of the UCR and UEA archives, parsed line by line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ...errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_VALUES = 200_000_000  # in one file: 800 MB once read
MOST_DIMENSIONS = 10_000
MOST_VALUE = float(np.finfo(np.float32).max)
_FLAGS = {"true": True, "false": False}
# Words with which a header line may begin, and what they mean here.
_KNOWN = frozenset(
    {
        *("problemname", "timestamps", "missing", "univariate", "dimensions", "dimension"),
        *("equallength", "serieslength", "classlabel", "targetlabel", "data"),
    }
)


@dataclass(slots=True)
class Series:
    """What one file holds.

    items: ``(C, L)`` each; lengths may differ. labels: class names as written, or None.
    numbers: targets where the file is for regression. filled: missing values that were filled in.
    lines: where each item stood.
    """

    items: list[NDArray[np.float32]] = field(default_factory=list)
    labels: list[str | None] = field(default_factory=list)
    numbers: list[float] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    filled: int = 0
    values: int = 0

    def add(self, item: NDArray[np.float64], line: int, where: str) -> None:
        """Take in ``(C, L)`` with NaN for what is missing. Raises: DataError."""
        self.values += item.size
        if self.values > MOST_VALUES:
            raise _broken(f"more than {MOST_VALUES:,} values", line, where)
        whole, filled = _whole(item, line, where)
        self.filled += filled
        self.items.append(whole)
        self.lines.append(line)


def parse_ts(content: bytes, where: str) -> Series:
    """The series of a ``.ts`` file: header lines with @, then one item per line.

    Dimensions are separated by ":", values by ",", and "?" is a missing value; the class or the
    target stands behind the last ":". Missing values become the straight line between their
    neighbours; those behind the end of all dimensions make the series shorter.

    Raises: DataError naming the line that is broken.
    Source: the format of sktime and of timeseriesclassification.com (Bagnall et al.).
    """
    head: dict[str, str] = {}
    found = Series()
    for number, line in _lines(content, where):
        if "data" not in head:
            _header(line, head, number, where)
        else:
            _item(line, head, found, number, where)
    if "data" not in head:
        raise _broken("there is no line @data", 0, where)
    if not found.items:
        raise _broken("there is no series behind @data", 0, where)
    return found


def parse_rows(content: bytes, where: str) -> Series:
    """The series of a table without a header: the class, then the values, on each line.

    Cells are separated by tabs, commas or spaces; empty cells and NaN at the end make a series
    shorter, others are missing values.

    Raises: DataError naming the line that is broken.
    Source: the older format of the UCR archive (Dau et al., arXiv:1810.07758).
    """
    found = Series()
    for number, line in _lines(content, where):
        separator = next((s for s in ("\t", ",", ";") if s in line), None)
        label, *cells = line.split(separator)
        values = [_number(cell.strip() or "?", number, where) for cell in cells]
        if not values:
            raise _broken("has a class and no values", number, where)
        found.labels.append(_class(label.strip()))
        found.add(np.array([values]), number, where)
    if not found.items:
        raise _broken("there is no line in it", 0, where)
    return found


def looks_like_rows(content: bytes) -> bool:
    """Whether the first line is a class and at least eight numbers, and no header."""
    line = content[: 2**16].decode("latin-1").lstrip("\ufeff\r\n").partition("\n")[0].strip()
    separator = next((s for s in ("\t", ",", ";") if s in line), None)
    cells = line.split(separator)
    return len(cells) > 8 and all(_is_number(cell) for cell in cells[1:] if cell.strip())


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _class(word: str) -> str:
    """ "1.0000000e+00" and "1" are one class."""
    try:
        value = float(word)
    except ValueError:
        return word
    return str(int(value)) if np.isfinite(value) and value == int(value) else word


def _lines(content: bytes, where: str) -> Iterator[tuple[int, str]]:
    """Numbers, from 1, and texts of the lines that are neither empty nor comments."""
    text = content.decode("utf-8-sig", "replace")
    if "\0" in text:
        raise _broken("is no text: it holds zero bytes", 0, where)
    for number, line in enumerate(re.split(r"\r\n|\r|\n", text), 1):
        bare = line.strip()
        if bare and not bare.startswith("#"):
            yield number, bare


def _header(line: str, head: dict[str, str], number: int, where: str) -> None:
    if not line.startswith("@"):
        raise _broken(f"{line[:40]!r} stands before @data", number, where)
    name, _, value = line[1:].partition(" ")
    name = name.strip().lower()
    if name not in _KNOWN:
        raise _broken(f"unknown header @{name[:40]}", number, where)
    if name in head:
        raise _broken(f"header @{name} stands there twice", number, where)
    head[name] = value.strip()
    if name == "timestamps" and _flag(head, name, number, where):
        raise DataError(
            "the values carry time stamps",
            where=f"{where} line {number}",
            mend="write values at even steps, without time stamps (@timeStamps false)",
        )


def _flag(head: dict[str, str], name: str, number: int, where: str) -> bool:
    """The first word of a header, true or false; False where there is no such header."""
    word = head.get(name, "false").split()[:1]
    if not word or word[0].lower() not in _FLAGS:
        raise _broken(f"@{name} is neither true nor false", number, where)
    return _FLAGS[word[0].lower()]


def _item(line: str, head: dict[str, str], found: Series, number: int, where: str) -> None:
    dimensions = line.split(":")
    if _flag(head, "classlabel", number, where):
        found.labels.append(_label(dimensions.pop().strip(), head, number, where))
    elif _flag(head, "targetlabel", number, where):
        target = _number(dimensions.pop().strip(), number, where)
        if not np.isfinite(target):
            raise _broken("the target is missing", number, where)
        found.numbers.append(target)
    else:
        found.labels.append(None)
    wanted = _dimensions(head, found, number, where)
    if len(dimensions) != wanted:
        raise _broken(f"has {len(dimensions)} dimensions, {wanted} are needed", number, where)
    rows = [[_number(v, number, where) for v in part.split(",")] for part in dimensions]
    lengths = {len(row) for row in rows}
    if len(lengths) > 1:
        raise _broken(f"its dimensions have different lengths: {sorted(lengths)}", number, where)
    found.add(np.array(rows), number, where)


def _label(word: str, head: dict[str, str], number: int, where: str) -> str:
    known = head["classlabel"].split()[1:]
    if not word or (known and word not in known):
        raise _broken(f"the class {word[:40]!r} is none of @classLabel", number, where)
    return word


def _dimensions(head: dict[str, str], found: Series, number: int, where: str) -> int:
    """How many dimensions an item must have: as told, else as many as the first one has."""
    told = head.get("dimensions", head.get("dimension"))
    if told is not None:
        if not told.isdecimal() or not 0 < int(told) <= MOST_DIMENSIONS:
            raise _broken(f"@dimensions {told[:40]!r} is no count", number, where)
        return int(told)
    if "univariate" in head and _flag(head, "univariate", number, where):
        return 1
    return len(found.items[0]) if found.items else 1


def _number(word: str, line: int, where: str) -> float:
    word = word.strip()
    if word in ("?", "NaN", "nan"):
        return float("nan")
    try:
        value = float(word)
    except ValueError:
        raise _broken(f"{word[:40]!r} is no number", line, where) from None
    if not np.isfinite(value) or abs(value) > MOST_VALUE:
        raise _broken(f"{word[:40]!r} is not a finite number", line, where)
    return value


def _whole(item: NDArray[np.float64], line: int, where: str) -> tuple[NDArray[np.float32], int]:
    """``(C, L)`` without NaN, and how many values were filled in."""
    absent = np.isnan(item)
    if not absent.any():
        return item.astype(np.float32), 0
    there = np.flatnonzero(~absent.all(axis=0))
    item = item[:, : there[-1] + 1] if len(there) else item
    absent = np.isnan(item)
    cells = np.arange(item.shape[1])
    for values, gaps in zip(item, absent, strict=True):
        if gaps.all():
            raise _broken("a dimension has no value at all", line, where)
        if gaps.any():
            values[gaps] = np.interp(cells[gaps], cells[~gaps], values[~gaps])
    return item.astype(np.float32), int(absent.sum())


def _broken(reason: str, line: int, where: str) -> DataError:
    return DataError(
        reason,
        where=f"{where} line {line}" if line else where,
        mend="mend the file, or fetch it again",
    )
