"""The directory at the end of a zip archive, read entry by entry into a few arrays.

`zipfile` keeps an object of some 600 bytes per entry; with 200,000 pictures that alone is more
than training takes. Layout of the records: PKWARE, ".ZIP File Format Specification" (APPNOTE
6.3.10), sections 4.3.12 to 4.3.16 and 4.5.3.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_ENTRY = struct.Struct("<4s4B4HL2L5H2L")
_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")
_COMMENT = 2**16
_PIECE = 2**20
_WIDE = 0xFFFFFFFF
_UTF8 = 0x800


class NotAZipError(ValueError):
    """The file has no directory where a zip archive must have one, or a damaged one."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry as the directory states it; nothing of it has been checked."""

    name: str
    size: int
    packed: int
    start: int
    checksum: int
    method: int
    flags: int
    attributes: int

    @property
    def is_folder(self) -> bool:
        return self.name.endswith("/")


def entries(path: Path) -> Iterator[Entry]:
    """Every entry, in the order of the directory; memory does not grow with their number.

    Raises: NotAZipError when the directory is missing, spans several disks, or is damaged; OSError.
    """
    with open(path, "rb") as file:
        count, size, start, shift = _end(file)
        file.seek(start + shift)
        block, at, left = b"", 0, size
        for _ in range(count):
            if len(block) - at < _ENTRY.size + 3 * _COMMENT and left:
                piece = file.read(min(_PIECE, left))
                left = left - len(piece) if piece else 0
                block, at = block[at:] + piece, 0
            entry, at = _entry(block, at, shift)
            yield entry


def _entry(block: bytes, at: int, shift: int) -> tuple[Entry, int]:
    if len(block) - at < _ENTRY.size or block[at : at + 4] != b"PK\x01\x02":
        raise NotAZipError("its directory is damaged")
    (
        *_, flags, method, _time, _date, checksum, packed, size,
        name_length, extra_length, comment_length, _disk, _inner, attributes, start,
    ) = _ENTRY.unpack_from(block, at)  # fmt: skip
    begin = at + _ENTRY.size
    after = begin + name_length + extra_length + comment_length
    if after > len(block):
        raise NotAZipError("its directory is cut short")
    raw = block[begin : begin + name_length]
    extra = block[begin + name_length : begin + name_length + extra_length]
    size, packed, start = _widened(extra, size, packed, start)
    try:
        name = raw.decode("utf-8" if flags & _UTF8 else "cp437")
    except UnicodeDecodeError as error:
        raise NotAZipError("a name in its directory is not the text it claims to be") from error
    return Entry(name, size, packed, start + shift, checksum, method, flags, attributes), after


def _widened(extra: bytes, *values: int) -> tuple[int, ...]:
    """``values`` (size, packed, start), those that are all ones taken from the 64-bit field."""
    if _WIDE not in values:
        return values
    found = list(values)
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<2H", extra)
        field, extra = extra[4 : 4 + length], extra[4 + length :]
        if kind != 1:
            continue
        for i, value in enumerate(found):
            if value == _WIDE:
                if len(field) < 8:
                    raise NotAZipError("a 64-bit size in its directory is missing")
                found[i], field = struct.unpack_from("<Q", field)[0], field[8:]
        break
    return tuple(found)


def _end(file: IO[bytes]) -> tuple[int, int, int, int]:
    """Entries, bytes and place of the directory, and how far everything lies behind its place
    (archives may follow another file)."""
    total = file.seek(0, 2)
    most = min(total, _END.size + _COMMENT)
    file.seek(total - most)
    tail = file.read(most)
    at = tail.rfind(b"PK\x05\x06")
    while at >= 0 and at + _END.size + _comment_length(tail, at) != len(tail):
        at = tail.rfind(b"PK\x05\x06", 0, at)
    if at < 0:
        raise NotAZipError("File is not a zip file")
    _, disk, first, here, count, size, start, _ = _END.unpack_from(tail, at)
    end = total - most + at
    wide = _end64(file, end)
    if wide is not None:
        disk, first, here, count, size, start, end = wide
    if disk or first or here != count:
        raise NotAZipError("it is split over several files")
    shift = end - size - start
    if shift < 0 or count * _ENTRY.size > size:
        raise NotAZipError("its directory is damaged")
    return count, size, start, shift


def _comment_length(tail: bytes, at: int) -> int:
    if at + _END.size > len(tail):
        return -1
    length: int = _END.unpack_from(tail, at)[-1]
    return length


def _end64(file: IO[bytes], end: int) -> tuple[int, ...] | None:
    """What the 64-bit end record says, and its place; None where there is none."""
    if end < _LOCATOR.size + _END64.size:
        return None
    file.seek(end - _LOCATOR.size)
    mark, _, _, disks = _LOCATOR.unpack(file.read(_LOCATOR.size))
    if mark != b"PK\x06\x07":
        return None
    place = end - _LOCATOR.size - _END64.size
    file.seek(place)
    found = _END64.unpack(file.read(_END64.size))
    if found[0] != b"PK\x06\x06" or disks > 1:
        raise NotAZipError("its 64-bit directory is damaged")
    _, _, _, _, disk, first, here, count, size, start = found
    return disk, first, here, count, size, start, place
