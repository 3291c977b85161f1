"""Pictures: PNG, JPEG, TIFF, BMP, WebP, GIF (first frame), PGM/PPM; 8 and 16 bit, any mode."""

from __future__ import annotations

import functools
import importlib
import io
import mmap
import struct
import threading
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError
from ..grid import IMAGE_AXES, Grid, Sample
from . import Reader, unreadable

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image, ImageFile

MOST_PIXELS = 50_000_000
_STRIP = 4_000_000  # pixels copied at a time, so that a large picture is never held three times

# Pillow's own guess also tries formats that start other programs (EPS) or eat memory (BLP).
# Here the first bytes choose one plugin, and no other is asked.
_MAGIC = (
    (b"\xff\xd8\xff", "Jpeg"),
    (b"\x89PNG\r\n\x1a\n", "Png"),
    (b"BM", "Bmp"),
    (b"GIF87a", "Gif"),
    (b"GIF89a", "Gif"),
    (b"II*\0", "Tiff"),
    (b"MM\0*", "Tiff"),
    (b"II+\0", "Tiff"),
    (b"MM\0+", "Tiff"),
    (b"RIFF", "WebP"),
    *((b"P%d" % n, "Ppm") for n in range(1, 7)),
)
_PLAIN = frozenset({"L", "LA", "RGB", "RGBA", "I;16", "I;16L", "I;16B", "I", "F"})
_VIA = {"1": "L", "La": "LA", "RGBa": "RGBA", "PA": "RGBA"}
_DEEP = ("RGB;16", "RGBA;16", "LA;16")  # Pillow keeps only the high byte of these
_WARNINGS = threading.Lock()


def read(content: bytes, key: str, *, indices: bool = False) -> Sample:
    """The picture in ``content``: x ``(C, y, x)`` with 1 to 4 channels (L, LA, RGB, RGBA).

    8-bit values stay uint8, 16-bit grey uint16, whole numbers int32, float float32. EXIF
    orientation is applied once. Palettes become RGB(A), CMYK and the like RGB, bits 0 and 255.
    ``mode`` tells the file's own mode. indices: places in a palette stay what they are, for
    pictures that hold a class per pixel. x may be a view of cells-first memory.

    Raises: DataError for anything damaged, empty, over 50 million pixels, or not finite.
    """
    kind = next((name for magic, name in _MAGIC if content.startswith(magic)), None)
    if kind is None:
        raise unreadable("the file is empty" if not content else "not a picture we know", key)
    try:
        if kind == "Tiff" or (kind == "Png" and b"acTL" in content):
            with _strict():
                pixels, mode = _decode(content, kind, key, indices)
        else:
            pixels, mode = _decode(content, kind, key, indices)
    except DataError:
        raise
    except Exception as error:  # decoders raise six classes of errors on damaged files
        raise unreadable(f"damaged picture ({_short(error)})", key) from error
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        raise unreadable("the picture holds values that are not finite (NaN or infinite)", key)
    x = pixels[None] if pixels.ndim == len(IMAGE_AXES) else pixels.transpose(2, 0, 1)
    return Sample(key, x, Grid(IMAGE_AXES, x.shape[1:]), mode=mode)


def header(content: bytes) -> tuple[tuple[int, int], int] | None:
    """Rows and columns as `read` gives them, and the EXIF orientation that it applies (1 to 8).

    content: the first bytes of a file will do. None where they do not tell.
    """
    kind = next((name for magic, name in _MAGIC if content.startswith(magic)), None)
    if kind is None:
        return None
    try:
        with _strict():
            image = _plugin(kind)(io.BytesIO(content))
            turn = 1 if kind == "Tiff" else _orientation(image.info.get("exif", b""))
    except Exception:  # what is damaged is told when the file is read
        return None
    width, height = image.size
    return ((width, height) if turn > 4 else (height, width)), turn


def _decode(content: bytes, kind: str, key: str, indices: bool) -> tuple[NDArray[np.generic], str]:
    if kind == "Png":
        _check_png(content, key)
    if kind == "WebP":
        _check_size(*_webp_size(content), key)
    if kind == "Jpeg" and (quick := _quick_jpeg(content, key)) is not None:
        return quick
    image = _plugin(kind)(io.BytesIO(content))
    _check_size(*image.size, key)
    mode = image.mode
    raw = image.tile[0][3] if kind == "Png" and image.tile else mode
    if isinstance(raw, str) and raw.startswith(_DEEP):
        mode = raw
    image.load()
    turn = 1 if kind == "Tiff" else _orientation(image.info.get("exif", b""))  # TIFF: by Pillow
    pixels = _pixels(image if indices and image.mode == "P" else _plain(image))
    return _TURNS[turn](pixels), mode


def _quick_jpeg(content: bytes, key: str) -> tuple[NDArray[np.generic], str] | None:
    """Plain grey and colour JPEG by simplejpeg, where it is installed; None sends to Pillow.

    Both decode with libjpeg-turbo and give the same values (tests hold that); of a 32 x 32
    picture Pillow's own overhead is nine tenths: 130 us against 15 (Zen 3, 2026).
    """
    library = _simplejpeg()
    if library is None or b"Exif\0" in content[: 1 << 16]:  # orientation is left to Pillow
        return None
    try:
        height, width, space, _ = library.decode_jpeg_header(content, strict=True)
        into, mode = {"Gray": ("GRAY", "L"), "YCbCr": ("RGB", "RGB")}[space]
        _check_size(width, height, key)
        pixels = library.decode_jpeg(content, into, strict=True)
    except (ValueError, KeyError):  # damaged or unusual: Pillow reads it or says why not
        return None
    return (pixels[..., 0] if mode == "L" else pixels), mode


@functools.cache
def _simplejpeg() -> Any:
    try:
        return importlib.import_module("simplejpeg")
    except ImportError:
        return None


@functools.cache
def _plugin(kind: str) -> Callable[[io.BytesIO], ImageFile.ImageFile]:
    plugin: Any = importlib.import_module(f"PIL.{kind}ImagePlugin")
    opener: Callable[[io.BytesIO], ImageFile.ImageFile] = getattr(plugin, f"{kind}ImageFile")
    return opener


@contextmanager
def _strict() -> Iterator[None]:
    """Pillow warns of some damage and reads on; here that is an error. One thread at a time."""
    with _WARNINGS, warnings.catch_warnings():
        warnings.filterwarnings("error", module=r"PIL\.")
        yield


def _check_size(width: int, height: int, key: str) -> None:
    if width < 1 or height < 1:
        raise unreadable(f"the picture has no pixels ({width} x {height})", key)
    if width * height > MOST_PIXELS:
        raise unreadable(
            f"{width} x {height} pixels are more than the limit of {MOST_PIXELS:,}", key
        )


def _check_png(content: bytes | mmap.mmap, key: str) -> None:
    """Every needed chunk is whole. Pillow does not check the sums of the pixel chunks."""
    at, kind = 8, b""
    while kind != b"IEND" and at + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, at)
        kind, end = content[at + 4 : at + 8], at + 8 + length
        if end + 4 > len(content):
            break
        # Bit 5 of the first letter is clear for chunks that a decoder cannot do without.
        needed = not kind[0] & 0x20
        (told,) = struct.unpack_from(">I", content, end)
        if needed and zlib.crc32(memoryview(content)[at + 4 : end]) != told:
            raise unreadable(f"damaged picture (wrong checksum in PNG chunk {kind!r})", key)
        at = end + 4
    if kind != b"IEND":
        raise unreadable("damaged picture (the PNG file ends too early)", key)


def _webp_size(content: bytes) -> tuple[int, int]:
    """Width and height from the header: Pillow would allocate the canvas before we can ask."""
    kind = content[12:16]
    if kind == b"VP8X":
        wide = int.from_bytes(content[24:27], "little") + 1
        return wide, int.from_bytes(content[27:30], "little") + 1
    if kind == b"VP8L":
        bits = int.from_bytes(content[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        wide, high = struct.unpack_from("<HH", content, 26)
        return wide & 0x3FFF, high & 0x3FFF
    raise ValueError("not a WebP picture")


def _orientation(exif: bytes) -> int:
    """EXIF tag 274 of the first directory, 1 to 8; 1 where it is absent or makes no sense.

    Read here because Pillow reads every tag, at ten times the cost, and warns about others.
    """
    body = exif.removeprefix(b"Exif\0\0")
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(body[:4])
    if order is None or len(body) < 8:
        return 1
    (start,) = struct.unpack_from(f"{order}I", body, 4)
    if start + 2 > len(body):
        return 1
    (count,) = struct.unpack_from(f"{order}H", body, start)
    for at in range(start + 2, min(start + 2 + 12 * count, len(body) - 11), 12):
        tag, kind, _, value = struct.unpack_from(f"{order}HHIH", body, at)
        if tag == 274:
            return value if kind == 3 and 1 <= value <= 8 else 1
    return 1


# What brings the stored rows and columns upright, for each value of the tag (EXIF 2.32, 4.6.4).
_TURNS: dict[int, Callable[[NDArray[np.generic]], NDArray[np.generic]]] = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a, 1),
}


def upright(cells: NDArray[Any], turn: int) -> NDArray[Any]:
    """``(y, x)`` cells drawn before a picture was turned, as the picture is read: by its EXIF
    orientation, 1 to 8."""
    return np.ascontiguousarray(_TURNS[turn](cells))


def _plain(image: Image.Image) -> Image.Image:
    """The picture in a mode whose channels are what they seem."""
    clear = image.info.get("transparency")
    if image.mode == "P":
        return image.convert("RGB" if clear is None else "RGBA")
    if image.mode in {"1", "L"} and isinstance(clear, int) and clear < 256:
        return image.convert("LA")
    if image.mode == "RGB" and isinstance(clear, tuple) and max(clear) < 256:
        return image.convert("RGBA")
    if image.mode in _PLAIN:
        return image
    return image.convert(_VIA.get(image.mode, "RGB"))


def _pixels(image: Image.Image) -> NDArray[np.generic]:
    """The values ``(y, x)`` or ``(y, x, C)`` in memory of their own, in this machine's order."""
    width, height = image.size
    rows = max(1, _STRIP // width)
    if height <= rows:
        whole = np.array(image)
        return whole if whole.dtype.isnative else whole.astype(whole.dtype.newbyteorder("="))
    first = np.asarray(image.crop((0, 0, width, 1)))
    out = np.empty((height, *first.shape[1:]), first.dtype.newbyteorder("="))
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        out[top:bottom] = np.asarray(image.crop((0, top, width, bottom)))
    return out


def _short(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:80]}" if text else type(error).__name__


def _example(folder: Path) -> Path:
    from PIL import Image

    path = folder / "example.png"
    Image.fromarray(np.arange(60, dtype=np.uint8).reshape(4, 5, 3)).save(path)
    return path


READER = Reader(
    suffixes=(
        *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".tif", ".tiff", ".bmp", ".dib"),
        *(".webp", ".gif", ".pgm", ".ppm", ".pbm", ".pnm"),
    ),
    read=read,
    example=_example,
)
