"""A zip archive read in place: no file is ever written, no name ever becomes a path."""

from __future__ import annotations

import os
import stat
import struct
import threading
import zipfile
import zlib
from array import array
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import DataError
from ..readers import unreadable
from .directory import Entry, NotAZipError, entries
from .listing import stamp_of
from .names import Names, hidden, natural

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_ENTRIES = 2_000_000
MOST_BYTES = 1 << 40  # of all entries together, as declared
MOST_ENTRY = 400 * 2**20
MOST_RATIO = 1000  # of one entry over 1 MB; deflate itself cannot pass 1032
_LOCAL = struct.Struct("<4s5H3I2H")
_SLACK = 64  # room for the extra field of a local header, so that one read fetches all


class ZipSource:
    """Every visible file of a zip archive, in natural order.

    Raises: DataError when the archive is damaged or encrypted, holds links, names that leave
        it or that clash, entries that overlap, or unpacks to more than it may.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        found = _Found()
        try:
            for entry in entries(path):
                found.add(entry, path)
        except (NotAZipError, OSError) as error:
            raise _no_archive(error, path) from error
        found.check(path)
        order = found.order()
        self.names = Names(found.names[i] for i in order)
        self.sizes: NDArray[np.int64] = np.array(found.sizes, np.int64)[order]
        self._packed = np.array(found.packed, np.int64)[order]
        self._starts = np.array(found.starts, np.int64)[order]
        self._sums = np.array(found.sums, np.uint32)[order]
        self._methods = np.array(found.methods, np.uint16)[order]
        about = path.stat()
        self.stamp = stamp_of(
            *("zip", str(path.resolve()), about.st_size, about.st_mtime_ns),
            *(self.names.content, self._sums),
        )
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115
        self._lock = threading.Lock()

    def read(self, position: int) -> bytes:
        """The whole entry, unpacked. Raises: DataError when it is damaged or lies."""
        name, size = self.names[position], int(self.sizes[position])
        if size > MOST_ENTRY:
            raise unreadable(f"{size:,} bytes are more than one item may have", name)
        packed = self._fetch(position, name)
        method = int(self._methods[position])
        if method == zipfile.ZIP_STORED:
            content = packed
        elif method == zipfile.ZIP_DEFLATED:
            content = _inflate(packed, size, name)
        else:
            raise unreadable(f"packed by method {method}, which is not deflate", name)
        if len(content) != size or zlib.crc32(content) != int(self._sums[position]):
            raise unreadable("damaged in the archive (wrong length or checksum)", name)
        return content

    def head(self, position: int, length: int) -> bytes:
        """The first ``length`` bytes of an entry, or all there are; its checksum is not compared.

        Raises: DataError as `read`.
        """
        name = self.names[position]
        packed = self._fetch(position, name)
        if int(self._methods[position]) == zipfile.ZIP_STORED:
            return packed[:length]
        return _inflate(packed, length - 1, name)

    def _fetch(self, position: int, name: str) -> bytes:
        """The packed bytes behind the entry's local header, usually in one read."""
        start, length = int(self._starts[position]), int(self._packed[position])
        try:
            block = self._at(start, _LOCAL.size + len(name.encode()) + _SLACK + length)
        except OSError as error:
            raise unreadable(f"the archive cannot be read ({error.strerror})", name) from error
        if len(block) < _LOCAL.size or block[:4] != b"PK\x03\x04":
            raise unreadable("damaged in the archive (no entry where it should be)", name)
        *_, names, extra = _LOCAL.unpack_from(block)
        begin = _LOCAL.size + names + extra
        if begin + length > len(block):
            return self._at(start + begin, length)
        return block[begin : begin + length]

    def _at(self, start: int, length: int) -> bytes:
        if hasattr(os, "pread"):  # needs no lock: there is no file position to share
            return os.pread(self._file.fileno(), length, start)
        with self._lock:
            self._file.seek(start)
            return self._file.read(length) or b""

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            self._file.close()


def _inflate(packed: bytes, size: int, name: str) -> bytes:
    """At most ``size`` bytes, whatever the packed ones would like to become."""
    unpack = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        content = unpack.decompress(packed, size + 1)
    except zlib.error as error:
        raise unreadable(f"damaged in the archive ({error})", name) from error
    return content


class _Found:
    """What the directory lists, in columns: an object per entry would take ten times as much."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.sizes, self.packed, self.starts = array("q"), array("q"), array("q")
        self.sums, self.methods = array("L"), array("H")
        self.ends = array("q")  # of all entries, folders and hidden ones too
        self.begins = array("q")
        self.total = 0
        self.seen: set[int] = set()

    def add(self, entry: Entry, path: Path) -> None:
        """Raises: DataError for what no honest tool packs."""
        reason, low = _fault(entry), hash(entry.name.lower())
        if reason is None and low in self.seen:
            reason = "has the same name as another entry, if case does not count"
        if reason is not None:
            raise _refused(f"entry {entry.name[:80]!r} {reason}", path)
        self.seen.add(low)
        self.begins.append(entry.start)
        self.ends.append(entry.start + entry.packed + _LOCAL.size)
        self.total += entry.size
        if len(self.begins) > MOST_ENTRIES or self.total > MOST_BYTES:
            raise _refused(f"{len(self.begins):,} entries and more are over the limit", path)
        if entry.is_folder or any(map(hidden, entry.name.split("/"))):
            return
        self.names.append(entry.name)
        self.sizes.append(entry.size)
        self.packed.append(entry.packed)
        self.starts.append(entry.start)
        self.sums.append(entry.checksum)
        self.methods.append(entry.method)

    def check(self, path: Path) -> None:
        """Raises: DataError for entries outside of the file, or that share bytes."""
        begins, ends = np.array(self.begins, np.int64), np.array(self.ends, np.int64)
        if len(begins) and (begins.min() < 0 or ends.max() - _LOCAL.size > path.stat().st_size):
            raise _refused("an entry lies outside of the file", path)
        order = np.argsort(begins, kind="stable")
        if (ends[order][:-1] > begins[order][1:]).any():
            raise _refused("entries share the same bytes", path)

    def order(self) -> NDArray[np.int64]:
        """Positions in natural order; most archives are in it already, which costs no memory."""
        count, last = len(self.names), ("", "")
        for name in self.names:
            key = natural(name)
            if key < last:
                keys = sorted(range(count), key=lambda i: natural(self.names[i]))
                return np.array(keys, np.int64)
            last = key
        return np.arange(count)


def _fault(entry: Entry) -> str | None:
    name = entry.name
    if not name or "\0" in name:
        return "has no proper name"
    if "\\" in name:
        return "has a backslash in its name"
    if name.startswith("/") or name[1:2] == ":":
        return "has an absolute name"
    if any(part in {"..", "."} for part in name.split("/")) or "//" in name:
        return "has a name that leaves its folder"
    if stat.S_ISLNK(entry.attributes >> 16):
        return "is a link"
    if entry.flags & 0x1:
        return "is encrypted"
    if entry.size > 2**20 and entry.size > MOST_RATIO * max(entry.packed, 1):
        return "would unpack to over 1000 times its size"
    return None


def _no_archive(error: Exception, path: Path) -> DataError:
    return DataError(
        f"not a zip archive that can be read ({error})",
        where=str(path),
        mend="give a folder, a whole .zip, .npz, .npy, .csv or idx file",
    )


def _refused(reason: str, path: Path) -> DataError:
    return DataError(
        f"the archive is not safe to use: {reason}",
        where=str(path),
        mend="pack the folder anew, or unpack it yourself and give the folder",
    )
