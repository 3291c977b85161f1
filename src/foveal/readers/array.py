"""Arrays: one item, or a stack of them, in numpy's .npy and .npz files. Nothing is unpickled."""

from __future__ import annotations

import io
import math
import os
import threading
import zipfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError
from ..grid import IMAGE_AXES, Axis, Grid, Sample
from . import Reader, unreadable

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_BYTES = 4 * 2**30  # of one array
MOST_FROM_SMALL = 2**30  # of one array packed in a file of under 20 MB: bombs stop here
_SMALL = 20 * 2**20
MOST_ITEM = 400 * 2**20  # of one array that is one item
MOST_CHANNELS = 4  # an end axis of at most this many cells holds channels
_AXES: dict[int, tuple[Axis, ...]] = {
    1: (Axis("position", kind="order", mirrors=False),),
    2: IMAGE_AXES,
    3: (Axis("z"), Axis("y"), Axis("x")),
}


def read(content: bytes, key: str) -> Sample:
    """The array in ``content`` as one item: x ``(C, *size)`` in the array's own dtype.

    An .npz must hold one array alone. Which axis holds channels is told by ``axes_of``.

    Raises: DataError for an array that is damaged, too large, not of numbers, or not finite.
    """
    if content.startswith(b"PK"):
        file: IO[bytes] = io.BytesIO(content)
        arrays = open_npz(file, len(content), key)
        if len(arrays) != 1:
            raise unreadable(f"holds {len(arrays)} arrays; one item is one array", key)
        value = load_member(file, next(iter(arrays.values())), len(content), key, MOST_ITEM)
    else:
        value = load_npy(io.BytesIO(content), len(content), key, MOST_ITEM)
    return as_sample(value, key)


def as_sample(value: NDArray[np.generic], key: str, axes: tuple[Axis, ...] | None = None) -> Sample:
    """One item ``(*size)``, ``(C, *size)`` or ``(*size, C)`` as a Sample.

    Raises: DataError when it has no cells, is not finite, or its axes make no sense.
    """
    axes, channel = axes_of(value.shape, key, axes)
    if value.size == 0:
        raise unreadable(f"the array has no cells: its shape is {value.shape}", key)
    if value.dtype.kind == "f" and not np.isfinite(value).all():
        raise unreadable("the array holds values that are not finite (NaN or infinite)", key)
    x = value[None] if channel is None else np.moveaxis(value, channel, 0)
    return Sample(key, x, Grid(axes, x.shape[1:]), mode=f"{value.dtype} x {x.shape[0]}")


def axes_of(
    shape: tuple[int, ...], key: str, axes: tuple[Axis, ...] | None = None
) -> tuple[tuple[Axis, ...], int | None]:
    """The axes of one item of this shape, and which of its dimensions holds channels, if any.

    With ``axes`` given, one more dimension than axes holds channels: the last one when it has
    at most 4 cells, else the first. Without: one dimension is a signal, two are a grey picture;
    of three or more, the last, else the first, holds channels when it has at most 4 cells; three
    that do not are a grey volume.

    Raises: DataError when no such reading exists.
    """
    ends = [i for i in (-1, 0) if len(shape) > 1 and shape[i] <= MOST_CHANNELS]
    if axes is not None:
        if len(shape) == len(axes):
            return axes, None
        if len(shape) == len(axes) + 1:
            return axes, ends[0] if ends else 0
    elif len(shape) <= len(IMAGE_AXES) and shape:
        return _AXES[len(shape)], None
    elif ends and len(shape) - 1 in _AXES:
        return _AXES[len(shape) - 1], ends[0]
    elif len(shape) in _AXES:
        return _AXES[len(shape)], None
    raise unreadable(f"an array of shape {shape} is not one item on a grid", key)


def open_npz(file: IO[bytes], size: int, key: str) -> dict[str, zipfile.ZipInfo]:
    """The members of an .npz by array name, in the file's order.

    Raises: DataError when the archive is damaged, encrypted, or names an array twice.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            infos = [i for i in archive.infolist() if i.filename.endswith(".npy")]
    except Exception as error:
        raise unreadable(f"damaged .npz archive ({type(error).__name__})", key) from error
    members = {i.filename.removesuffix(".npy"): i for i in infos}
    if len(members) != len(infos):
        raise unreadable("names one array twice", key)
    for name, info in members.items():
        if info.flag_bits & 0x1 or info.compress_size > size:
            raise unreadable(f"array {name[:80]!r} is encrypted or lies about its size", key)
    return members


def load_member(
    file: IO[bytes], info: zipfile.ZipInfo, size: int, key: str, most: int = MOST_BYTES
) -> NDArray[np.generic]:
    """One array of an .npz of ``size`` bytes, unpacked.

    Raises: DataError as ``load_npy``; also when it unpacks to over 1 GiB from a small file.
    """
    where = f"{key}: {info.filename.removesuffix('.npy')[:80]}"
    if size < _SMALL:
        most = min(most, MOST_FROM_SMALL)
    try:
        with zipfile.ZipFile(file) as archive, archive.open(info) as member:
            return load_npy(member, info.file_size, where, most)
    except DataError:
        raise
    except Exception as error:
        raise unreadable(f"damaged .npz archive ({type(error).__name__})", where) from error


def load_npy(file: IO[bytes], size: int, key: str, most: int = MOST_BYTES) -> NDArray[np.generic]:
    """The array in a stream of ``size`` bytes, in this machine's byte order.

    Its declared size is compared with ``size`` and ``most`` before memory is taken.
    Raises: DataError when they disagree, or the array is not of numbers or text.
    """
    shape, fortran, dtype, _ = header(file, size, key)
    count = math.prod(shape)
    if count * dtype.itemsize > most:
        raise unreadable(f"{count * dtype.itemsize:,} bytes are over the limit of {most:,}", key)
    flat = np.empty(count, dtype)
    view, at = flat.view(np.uint8).data if count else memoryview(b""), 0
    while at < len(view):
        piece = file.read(min(len(view) - at, 2**20))
        if not piece:
            raise unreadable("the array ends too early", key)
        view[at : at + len(piece)] = piece
        at += len(piece)
    if not dtype.isnative:
        flat = flat.astype(dtype.newbyteorder("="))
    return flat.reshape(shape[::-1]).transpose() if fortran else flat.reshape(shape)


class Rows:
    """A stack ``(N, ...)`` on disk, one row read at a time: memory does not grow with N."""

    def __init__(self, path: Path, offset: int, shape: tuple[int, ...], dtype: Any) -> None:
        self.shape, self.dtype = shape, np.dtype(dtype)
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115
        self._offset, self._where = offset, str(path)
        self._bytes = math.prod(shape[1:]) * self.dtype.itemsize
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, row: int) -> NDArray[np.generic]:
        flat = np.empty(self._bytes, np.uint8)
        start = self._offset + row * self._bytes
        if hasattr(os, "preadv"):  # no file position to share with threads or forked workers
            got = os.preadv(self._file.fileno(), [flat.data], start)
        else:
            with self._lock:
                self._file.seek(start)
                got = self._file.readinto(flat.data)
        if got != self._bytes:
            raise unreadable(f"row {row} is no longer in the file", self._where)
        values = flat.view(self.dtype).reshape(self.shape[1:])
        native: NDArray[np.generic] = values.astype(self.dtype.newbyteorder("="), copy=False)
        return native

    def whole(self) -> NDArray[np.generic]:
        """All rows at once, for labels. Raises: DataError when they are over 4 GiB."""
        if len(self) * self._bytes > MOST_BYTES:
            raise unreadable("too large to be loaded", self._where)
        rows = [self[i] for i in range(len(self))]
        return np.stack(rows) if rows else np.empty(self.shape, self.dtype)

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            self._file.close()


def open_rows(path: Path, offset: int, size: int, key: str) -> Rows | NDArray[np.generic]:
    """The stack whose .npy image of ``size`` bytes begins ``offset`` bytes into a file.

    It is loaded whole when columns come first, for then no row lies in one place.
    Raises: DataError as ``load_npy``; rows on disk have no limit but the length of the file.
    """
    try:
        with open(path, "rb") as file:
            file.seek(offset)
            shape, fortran, dtype, start = header(file, size, key)
            if not fortran and len(shape) > 1 and math.prod(shape[1:]) > 0:
                return Rows(path, offset + start, shape, dtype)
            file.seek(offset)
            return load_npy(file, size, key)
    except OSError as error:
        raise unreadable(f"cannot be read ({error.strerror})", key) from error


def header(
    file: IO[bytes], size: int, key: str
) -> tuple[tuple[int, ...], bool, np.dtype[np.generic], int]:
    """Shape, whether columns come first, dtype, and where the values start.

    Raises: DataError when the header is damaged, asks for objects, or disagrees with ``size``.
    """
    start = file.tell() if file.seekable() else 0
    try:
        version = np.lib.format.read_magic(file)
        parse = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        found: tuple[tuple[int, ...], bool, np.dtype[np.generic]] = parse(file)
        shape, fortran, dtype = found
    except Exception as error:
        raise unreadable(f"not an array file ({type(error).__name__})", key) from error
    if dtype.kind not in "biufUS" or dtype.itemsize == 0:
        raise unreadable(f"an array of {dtype} holds no numbers", key)
    if any(not isinstance(n, int) or n < 0 for n in shape):
        raise unreadable(f"an array cannot have the shape {shape}", key)
    begin = file.tell() - start
    if math.prod(shape) * dtype.itemsize > size - begin:
        raise unreadable(f"shape {shape} of {dtype} needs more bytes than the file has", key)
    return shape, fortran, dtype, begin


def _example(folder: Path) -> Path:
    path = folder / "example.npy"
    np.save(path, np.arange(20, dtype=np.uint8).reshape(4, 5))
    return path


READER = Reader(suffixes=(".npy", ".npz"), read=read, example=_example)
