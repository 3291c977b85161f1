"""The idx format of the MNIST database: one array of numbers, plain or gzipped."""

from __future__ import annotations

import math
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..grid import Sample
from . import Reader, unreadable
from .array import MOST_BYTES, as_sample

if TYPE_CHECKING:
    from numpy.typing import NDArray

# The third byte of the file tells the type; values are stored with the high byte first.
_TYPES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}


def read(content: bytes, key: str) -> Sample:
    """The array in ``content`` as one item; see ``array.as_sample``. Raises: DataError."""
    return as_sample(load(content, key), key)


def load(content: bytes, key: str) -> NDArray[np.generic]:
    """The array in ``content``, unpacked when it is gzipped, in this machine's byte order.

    Raises: DataError when the header is damaged or disagrees with the length of the file.
    """
    if content.startswith(b"\x1f\x8b"):
        return _parse(*_unpacked(content, key), key)
    return _parse(content[:1024], content, key)


def _parse(head: bytes, content: bytes, key: str) -> NDArray[np.generic]:
    dtype, shape, start = _header(head, key)
    need = math.prod(shape) * dtype.itemsize
    if len(content) - start != need:
        raise unreadable(
            f"shape {shape} of {dtype} needs {need:,} bytes, {len(content) - start:,} are there",
            key,
        )
    flat = np.frombuffer(content, dtype, offset=start)
    return flat.astype(dtype.newbyteorder("=")).reshape(shape)


def _header(head: bytes, key: str) -> tuple[np.dtype[np.generic], tuple[int, ...], int]:
    if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in _TYPES or not head[3]:
        raise unreadable("not an idx file (its first four bytes are wrong)", key)
    dimensions, start = head[3], 4 + 4 * head[3]
    if len(head) < start:
        raise unreadable("the idx header ends too early", key)
    return np.dtype(_TYPES[head[2]]), struct.unpack_from(f">{dimensions}I", head, 4), start


def _unpacked(content: bytes, key: str) -> tuple[bytes, bytes]:
    """The first kilobyte and the whole; never more than the header there declares."""
    unpack = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        head = unpack.decompress(content, 1024)
        dtype, shape, start = _header(head, key)
        need = start + math.prod(shape) * dtype.itemsize
        if need > MOST_BYTES:
            raise unreadable(f"{need:,} bytes are over the limit of {MOST_BYTES:,}", key)
        # One byte too many is enough to know that the header lies.
        rest = unpack.decompress(unpack.unconsumed_tail, max(need - len(head) + 1, 1))
    except zlib.error as error:
        raise unreadable(f"damaged gzip file ({error})", key) from error
    return head, head + rest


def _example(folder: Path) -> Path:
    path = folder / "example-idx2-ubyte"
    path.write_bytes(b"\0\0\x08\x02" + struct.pack(">II", 4, 5) + bytes(range(20)))
    return path


READER = Reader(
    suffixes=("-ubyte", "-ubyte.gz", ".idx", ".idx.gz", ".ubyte", ".ubyte.gz"),
    read=read,
    example=_example,
)
