"""The rows of a csv or tsv file, whatever program wrote it."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass

from ...errors import DataError

# What the simulator of Udacity's self-driving course writes, without a line that says so.
SIMULATOR = ("center", "left", "right", "steering", "throttle", "brake", "speed")
_DELIMITERS = ",;\t|"


@dataclass(frozen=True, slots=True)
class Table:
    """``rows`` hold (line number in the file, cells); all have as many cells as ``header``.
    ``ragged`` are the lines of the file that do not."""

    header: tuple[str, ...]
    rows: list[tuple[int, list[str]]]
    ragged: list[tuple[int, int]]


def parse(content: bytes, where: str, is_file: Callable[[str], bool] = lambda cell: False) -> Table:
    """The table in ``content``: UTF-8 or, with its mark, UTF-16; cells apart by , ; | or tab.

    Where a cell of the first line ``is_file``, the table has no line with names: its columns are
    then called 1, 2, 3, ..., or as is known of the log of a driving simulator.
    Raises: DataError when it is no text, has no header, or a cell does not end.
    """
    text = _decoded(content, where)
    first = text.split("\n", 1)[0]
    delimiter = max(_DELIMITERS, key=first.count)
    rows: list[tuple[int, list[str]]] = []
    ragged: list[tuple[int, int]] = []
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        header = tuple(cell.strip() for cell in next(lines, []))
        if any(map(is_file, header)):
            rows.append((lines.line_num, list(header)))
            header = _called(header)
        for cells in lines:
            if len(cells) == len(header):
                rows.append((lines.line_num, [cell.strip() for cell in cells]))
            elif any(cells):
                ragged.append((lines.line_num, len(cells)))
    except csv.Error as error:
        raise _damaged(f"line {lines.line_num}: {error}", where) from error
    if not any(header) or len(set(header)) != len(header):
        raise _damaged("the first line does not name each column once", where)
    return Table(header, rows, ragged)


def _called(cells: tuple[str, ...]) -> tuple[str, ...]:
    """Names for the columns of a table whose first line has none."""
    last = [cell.replace("\\", "/").rpartition("/")[2].lower() for cell in cells]
    begin = all(name.startswith(start) for name, start in zip(last, SIMULATOR[:3], strict=False))
    if len(cells) == len(SIMULATOR) and begin and all(map(_is_number, cells[3:])):
        return SIMULATOR
    return tuple(str(i + 1) for i in range(len(cells)))


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _decoded(content: bytes, where: str) -> str:
    if b"\0" in content and not content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise _damaged("it holds zero bytes, so it is no text", where)
    wide = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        return content.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise _damaged(f"it is not text in UTF-8 (byte {error.start})", where) from error


def _damaged(reason: str, where: str) -> DataError:
    return DataError(
        f"not a table that can be read: {reason}",
        where=where,
        mend="save it as csv in UTF-8, with the names of the columns in the first line",
    )
