"""Clips: MP4, MOV, AVI, MKV, WebM and animated GIF, as frames at even distances."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ..errors import DataError
from ..grid import Axis, Grid, Sample, time_axis
from . import Reader, unreadable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

KEPT = 32  # frames of a longer clip: so many at least, under twice as many at most
MOST_FRAMES = 50_000  # half an hour: what is longer is no clip
MOST_PIXELS = 2**24  # of one frame: a decoder holds up to 17 of them
MOST_DECODED = 5 * 10**10  # pixels of all frames: minutes of one core
MOST_KEPT = 2**16  # pixels of a kept frame; a larger one is shrunk as it is decoded

# The first bytes choose one demuxer and no other is asked: several of FFmpeg's open further files
# or addresses that the content names.
_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    *((4, kind, "mov") for kind in (b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip")),
    (8, b"AVI ", "avi"),
    (0, b"\x1a\x45\xdf\xa3", "matroska"),
    (0, b"GIF8", "gif"),
)
_CODECS = frozenset(
    {
        *("h264", "hevc", "av1", "vp8", "vp9", "mpeg4", "mjpeg", "mpeg1video", "mpeg2video"),
        *("msmpeg4v2", "msmpeg4v3", "wmv1", "wmv2", "flv1", "h263", "theora", "prores", "dnxhd"),
        *("dvvideo", "cinepak", "indeo5", "svq1", "svq3", "rv40", "ffv1", "huffyuv", "ffvhuff"),
        *("utvideo", "rawvideo", "qtrle", "rle", "msrle", "png", "gif"),
    }
)
_GREY = ("gray", "mono", "y400")
T = TypeVar("T")
V = TypeVar("V")


def read(content: bytes, key: str) -> Sample:
    """The clip in ``content``: x ``(C, time, y, x)`` uint8, C 3 (RGB), or 1 where it is grey.

    Of more than 63 frames 32 to 63 are kept, at even distances; the step of the axis of time is
    that distance in seconds. Frames of over 65,536 pixels are shrunk to so many as they are
    decoded, so memory stays below 13 MB and one decoder's. The rotation that the file asks for is
    applied; transparency and sound are dropped.

    Raises: DataError for anything damaged, cut short, of another kind, over 50,000 frames or over
        16 million pixels a frame; also where PyAV is not installed.
    """
    av = _library(key)
    kind = next((k for at, magic, k in _MAGIC if content.startswith(magic, at)), None)
    if kind is None:
        raise unreadable("the file is empty" if not content else "not a video we know", key)
    _check_whole(content, kind, key)
    try:
        frames, step = _decode(av, content, kind, key)
    except DataError:
        raise
    except Exception as error:  # FFmpeg's errors have thirty classes
        raise unreadable(f"damaged video ({_short(error)})", key) from error
    return as_clip(frames, key, time_axis(step))


def as_clip(frames: list[Pixels], key: str, time: Axis) -> Sample:
    """Frames ``(y, x, C)`` of one shape as a sample with the axes time, y, x."""
    x = np.stack(frames).transpose(3, 0, 1, 2)
    axes = (time, Axis("y"), Axis("x"))
    return Sample(key, x, Grid(axes, x.shape[1:]), mode="L" if len(x) == 1 else "RGB")


def evenly(frames: Iterable[T], make: Callable[[T], V]) -> tuple[list[V], int]:
    """What ``make`` gives of frames at even distances, and that distance in frames.

    The number of frames need not be known: each time twice `KEPT` are held, every second one is
    let go and the distance doubles.
    """
    kept: list[V] = []
    every = 1
    for number, frame in enumerate(frames):
        if number % every:
            continue
        kept.append(make(frame))
        if len(kept) == 2 * KEPT:
            kept, every = kept[::2], 2 * every
    return kept, every


def spacing(count: int) -> int:
    """The distance at which `evenly` keeps ``count`` frames."""
    every = 1
    while -(-count // every) >= 2 * KEPT:
        every *= 2
    return every


def shrunk(height: int, width: int) -> tuple[int, int]:
    """Height and width of a kept frame: its own, or of `MOST_KEPT` pixels in its aspect."""
    scale = min(1.0, (MOST_KEPT / (height * width)) ** 0.5)
    return max(1, int(height * scale)), max(1, int(width * scale))


def _library(key: str) -> Any:
    try:
        import av
    except ImportError as error:
        raise DataError(
            "reading video needs PyAV, which is not installed",
            where=key,
            mend="pip install 'foveal[video]'",
        ) from error
    return av


def _decode(av: Any, content: bytes, kind: str, key: str) -> tuple[list[Pixels], float]:
    """The kept frames and the seconds between two of them."""
    # max_pixels is FFmpeg's own guard: it holds before a frame's memory is taken.
    limits = {"max_pixels": str(MOST_PIXELS), "threads": "1"}
    with av.open(
        io.BytesIO(content), format=kind, options=limits, metadata_errors="replace"
    ) as container:
        stream = container.streams.best("video")
        if stream is None:
            raise unreadable("there is no video in the file", key)
        codec = stream.codec_context
        name = "an unknown format" if codec is None else codec.codec.canonical_name
        if name not in _CODECS:
            raise unreadable(f"coded as {name}, which is none of the codecs we read", key)
        if codec.width * codec.height > MOST_PIXELS:
            raise unreadable(
                f"{codec.width} x {codec.height} pixels are more than the limit of "
                f"{MOST_PIXELS:,} of one frame",
                key,
            )
        # One thread each: several files are read at the same time.
        codec.thread_count = 1
        codec.options = limits | {"err_detect": "explode"}
        rate = stream.average_rate or stream.guessed_rate
        shape: list[tuple[int, int]] = []
        frames, every = evenly(_frames(container, stream, key), lambda frame: _pixels(frame, shape))
    if not frames:
        raise unreadable("there is no whole frame in the video", key)
    return frames, float(every / (rate or Fraction(25)))


def _frames(container: Any, stream: Any, key: str) -> Iterator[Any]:
    """Every frame of a stream, in the order of display."""
    count = cells = 0
    for packet in container.demux(stream):
        if packet.is_corrupt:
            raise unreadable("damaged video (a packet is cut short)", key)
        for frame in packet.decode():
            count += 1
            cells += frame.width * frame.height
            if count > MOST_FRAMES or cells > MOST_DECODED:
                raise unreadable(
                    f"over {count - 1:,} frames of {frame.width} x {frame.height}: too long for "
                    "one sample; cut it into clips",
                    key,
                )
            yield frame


def _pixels(frame: Any, shape: list[tuple[int, int]]) -> Pixels:
    """One frame upright ``(y, x, C)``; ``shape`` holds what the first was brought to."""
    if not shape:
        shape.append(shrunk(frame.height, frame.width))
    height, width = shape[0]
    grey = frame.format.name.startswith(_GREY)
    values: Pixels = frame.to_ndarray(
        format="gray" if grey else "rgb24", width=width, height=height, interpolation="AREA"
    )
    return _upright(values[..., None] if grey else values, _matrix(frame))


def _matrix(frame: Any) -> tuple[int, int, int, int]:
    """Where the axes of a frame go on the display: signs of (x to x, x to y, y to x, y to y)."""
    data = frame.side_data.get("DISPLAYMATRIX")
    if data is None or len(bytes(data)) < 36:
        return 1, 0, 0, 1
    a, b, _, c, d, *_ = struct.unpack("=9i", bytes(data)[:36])
    return _sign(a), _sign(b), _sign(c), _sign(d)


def _sign(value: int) -> int:
    return (value > 2**15) - (value < -(2**15))  # 16.16 fixed point: half of one or more


def _upright(values: Pixels, matrix: tuple[int, int, int, int]) -> Pixels:
    """Quarter turns and mirrors undone; other matrices leave the frame as it is."""
    xx, xy, yx, yy = matrix
    if abs(xy * yx) == 1 and xx == yy == 0:
        values, xx, yy = values.swapaxes(0, 1), yx, xy
    elif abs(xx * yy) != 1 or xy or yx:
        return values
    return values[::yy, ::xx]


def _check_whole(content: bytes, kind: str, key: str) -> None:
    """Raises: DataError where the container says that it is longer than it is.

    FFmpeg reads what there is, and says nothing.
    """
    ends = {"mov": _mov_end, "avi": _avi_end, "matroska": _matroska_end, "gif": _gif_end}
    try:
        end = ends[kind](content)
    except (struct.error, IndexError):
        end = len(content) + 1
    if end > len(content):
        raise unreadable("damaged video (the file ends too early)", key)


def _mov_end(content: bytes) -> int:
    """Where the last box ends."""
    at = 0
    while at < len(content):
        size, head = struct.unpack_from(">I", content, at)[0], 8
        if size == 1:
            size, head = struct.unpack_from(">Q", content, at + 8)[0], 16
        elif size == 0:  # up to the end of the file
            return len(content)
        if size < head:
            return len(content) + 1
        at += size
    return at


def _avi_end(content: bytes) -> int:
    return 8 + int(struct.unpack_from("<I", content, 4)[0])


def _matroska_end(content: bytes) -> int:
    """Where the segment ends; one of unknown length, as browsers record it, ends anywhere.

    Source: RFC 8794, section 4: a name and a length of 1 to 8 bytes each, then the content.
    """
    at = 0
    for last in (False, True):
        names = 9 - content[at].bit_length()
        lengths = 9 - content[at + names].bit_length()
        if at + names + lengths > len(content):
            raise IndexError("the file ends inside a head")
        marked = int.from_bytes(content[at + names : at + names + lengths], "big")
        size, unknown = marked - (1 << 7 * lengths), marked == (1 << 7 * lengths + 1) - 1
        at += names + lengths
        if last and unknown:
            return len(content)
        at += size
    return at


def _gif_end(content: bytes) -> int:
    return len(content) if content.rstrip(b"\0").endswith(b";") else len(content) + 1


def _short(error: Exception) -> str:
    text = " ".join(str(getattr(error, "strerror", None) or error).split())
    return f"{type(error).__name__}: {text[:80]}" if text else type(error).__name__


def _example(folder: Path) -> Path:
    import av

    path = folder / "example.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "yuv420p"
        for i in range(4):
            pixels = np.zeros((16, 16, 3), np.uint8)
            pixels[4:8, 2 * i : 2 * i + 4] = 255
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return path


READER = Reader(
    suffixes=(".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm"), read=read, example=_example
)
