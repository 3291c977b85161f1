"""Pictures too large to hold in memory: decoded once onto the disk, and read from there.

Only what is asked about is read so (`foveal predict`); what is learned from keeps the limits of
`image`. What a lying header could cost is asked before a single pixel is decoded.
"""

from __future__ import annotations

import math
import mmap
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError
from ..grid import IMAGE_AXES, Grid, Sample
from . import unreadable
from .image import (
    _MAGIC,
    _TURNS,
    MOST_PIXELS,
    _check_png,
    _orientation,
    _plain,
    _plugin,
    _short,
    _strict,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

LIMIT = 500_000_000  # pixels
_MOST_BYTES = 4 * 2**30  # of the file
_KINDS = ("Png", "Tiff", "Jpeg")
# Of one pixel by mode: bytes that Pillow holds, bits that a file spends before compression.
_MODES = {"1": (1, 1), "L": (1, 8), "P": (1, 1), "I;16": (2, 16), "LA": (4, 16)}
_MODES |= {"RGB": (4, 24), "RGBA": (4, 32), "CMYK": (4, 32)}
_PACKED = ("raw", "packbits", "tiff_lzw", "tiff_deflate", "tiff_adobe_deflate")
_TIGHTEST = 1032  # times that deflate, the best of these, makes a file smaller
_SHARE = 0.8  # of the machine's memory, that decoding may take
_STRIP = 2**22  # pixels copied at a time


def read(path: Path, key: str, folder: Path) -> Sample | None:
    """The picture at ``path`` with x on the disk; None for what `image.read` has to judge.

    PNG, TIFF and JPEG of 8 bits, or of 16 in grey, up to 500 million pixels. x ``(C, y, x)`` is a
    view of a file in ``folder`` that has no name, and goes with the array.

    Raises: DataError for more pixels, for a file too small to hold what it promises, for too
    little memory or disk, and for anything damaged.
    """
    try:
        about = os.stat(path)
        with open(path, "rb") as file:
            head = file.read(16)
            kind = next((name for magic, name in _MAGIC if head.startswith(magic)), None)
            if kind not in _KINDS or not about.st_size:
                return None
            file.seek(0)
            with _strict():
                image = _plugin(kind)(file)  # type: ignore[arg-type]  # any file will do
                if math.prod(image.size) <= MOST_PIXELS or image.mode not in _MODES:
                    return None
                _check(image, kind, about.st_size, key, folder)
                if kind == "Png":
                    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                        _check_png(content, key)
                return _decoded(image, kind, key, folder)
    except DataError:
        raise
    except MemoryError as error:
        raise unreadable("too large for the memory of this machine", key) from error
    except Exception as error:  # decoders raise six classes of errors on damaged files
        raise unreadable(f"damaged picture ({_short(error)})", key) from error


def forget(x: NDArray[Any]) -> None:
    """Give back the memory that pages of an array on the disk take; nothing for any other."""
    base: Any = x
    while base is not None and not isinstance(base, mmap.mmap):
        base = getattr(base, "base", None)
    if base is not None and hasattr(base, "madvise"):
        base.madvise(mmap.MADV_DONTNEED)


def room(shape: tuple[int, ...], dtype: Any, folder: Path) -> NDArray[Any]:
    """An array of zeros in a file without a name. Raises: DataError where the disk is full."""
    needed = math.prod(shape) * np.dtype(dtype).itemsize
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DataError(
            f"no room on the disk: {needed / 2**20:,.0f} MB are needed, {free / 2**20:,.0f} MB are "
            "free",
            where=str(folder),
            mend="free some disk, or set FOVEAL_CACHE to a folder on a larger one",
        )
    with tempfile.TemporaryFile(dir=folder) as file:
        file.truncate(needed)
        return np.memmap(file, dtype, "r+", shape=shape)


def _check(image: Any, kind: str, size: int, key: str, folder: Path) -> None:
    """Raises: DataError where the header promises what cannot be, or cannot be held."""
    pixels = math.prod(image.size)
    wide, high = image.size
    if pixels > LIMIT:
        raise unreadable(f"{wide} x {high} pixels are more than the limit of {LIMIT:,}", key)
    if size > _MOST_BYTES:
        raise unreadable(f"{size:,} bytes are more than one picture may have", key)
    held, bits = _MODES[image.mode]
    packed = kind == "Png" or image.info.get("compression") in _PACKED
    if packed and size * _TIGHTEST < pixels * bits / 8:
        raise unreadable(
            f"{wide} x {high} pixels are promised, but {size:,} bytes cannot hold so many", key
        )
    memory = _memory()
    if memory and pixels * held > _SHARE * memory:
        raise DataError(
            f"{wide} x {high} pixels take {pixels * held / 2**20:,.0f} MB to decode, of "
            f"{memory / 2**20:,.0f} MB",
            where=key,
            mend="cut the picture into smaller files",
        )


def _memory() -> int:
    """Bytes of memory that the machine has; 0 where it does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 0


def _decoded(image: Any, kind: str, key: str, folder: Path) -> Sample:
    """The picture in a file, a strip of rows at a time; what decoded it is let go."""
    mode, exif = image.mode, image.info.get("exif", b"")
    image.load()
    width, height = image.size
    rows = max(1, _STRIP // width)
    first = np.asarray(_plain(image.crop((0, 0, width, 1))))
    out = room((height, *first.shape[1:]), first.dtype.newbyteorder("="), folder)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        out[top:bottom] = np.asarray(_plain(image.crop((0, top, width, bottom))))
        forget(out)
    image.close()
    pixels = _TURNS[1 if kind == "Tiff" else _orientation(exif)](out)
    x = pixels[None] if pixels.ndim == len(IMAGE_AXES) else pixels.transpose(2, 0, 1)
    return Sample(key, x, Grid(IMAGE_AXES, x.shape[1:]), mode=mode)
