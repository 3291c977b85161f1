"""A zip archive read in place: no file is ever written, no name ever becomes a path."""

from __future__ import annotations

import os
import stat
import struct
import threading
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import DataError
from ..readers import unreadable
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
        infos = [i for i in _directory(path) if not i.is_dir()]
        _check(infos, path)
        infos = [i for i in infos if not any(map(hidden, i.filename.split("/")))]
        infos.sort(key=lambda info: natural(info.filename))
        self.names = Names(i.filename for i in infos)
        self.sizes: NDArray[np.int64] = np.array([i.file_size for i in infos], np.int64)
        self._packed = np.array([i.compress_size for i in infos], np.int64)
        self._starts = np.array([i.header_offset for i in infos], np.int64)
        self._sums = np.array([i.CRC for i in infos], np.uint32)
        self._methods = np.array([i.compress_type for i in infos], np.uint16)
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


def _directory(path: Path) -> list[zipfile.ZipInfo]:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, struct.error) as error:
        raise DataError(
            f"not a zip archive that can be read ({error})",
            where=str(path),
            mend="give a folder, a whole .zip, .npz, .npy, .csv or idx file",
        ) from error


def _check(infos: list[zipfile.ZipInfo], path: Path) -> None:
    """Refuse the whole archive for what no honest tool packs."""
    seen: set[str] = set()
    total, length = 0, path.stat().st_size
    for info in infos:
        reason = _fault(info)
        if info.header_offset < 0 or info.header_offset + info.compress_size > length:
            reason = "lies outside of the file"
        low = info.filename.lower()
        if reason is None and low in seen:
            reason = "has the same name as another entry, if case does not count"
        if reason is not None:
            raise _refused(f"entry {info.orig_filename[:80]!r} {reason}", path)
        seen.add(low)
        total += info.file_size
    if len(infos) > MOST_ENTRIES or total > MOST_BYTES:
        raise _refused(f"{len(infos):,} entries of {total:,} bytes are over the limit", path)
    starts = np.array([i.header_offset for i in infos], np.int64)
    order = np.argsort(starts, kind="stable")
    ends = starts + np.array([i.compress_size + _LOCAL.size for i in infos], np.int64)
    if len(infos) and (ends[order][:-1] > starts[order][1:]).any():
        raise _refused("entries share the same bytes", path)


def _fault(info: zipfile.ZipInfo) -> str | None:
    name = info.orig_filename
    if not name or "\0" in name:
        return "has no proper name"
    if "\\" in name:
        return "has a backslash in its name"
    if name.startswith("/") or name[1:2] == ":":
        return "has an absolute name"
    if any(part in {"..", "."} for part in name.split("/")) or "//" in name:
        return "has a name that leaves its folder"
    if stat.S_ISLNK(info.external_attr >> 16):
        return "is a link"
    if info.flag_bits & 0x1:
        return "is encrypted"
    if info.file_size > 2**20 and info.file_size > MOST_RATIO * max(info.compress_size, 1):
        return "would unpack to over 1000 times its size"
    return None


def _refused(reason: str, path: Path) -> DataError:
    return DataError(
        f"the archive is not safe to use: {reason}",
        where=str(path),
        mend="pack the folder anew, or unpack it yourself and give the folder",
    )
