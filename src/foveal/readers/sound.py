"""Recordings: wav by a small parser of our own; flac, ogg, mp3 and the rest through soundfile."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError
from ..grid import Grid, Sample, time_axis
from . import Reader, unreadable

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_VALUES = 100_000_000  # in one recording, all channels: 35 minutes of stereo at 24 kHz
MOST_CHANNELS = 64
MOST_RATE = 10_000_000  # samples per second
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_STREAMED = (0, 0xFFFFFFFF)  # lengths written by programs that did not know how much would come


@dataclass(frozen=True, slots=True)
class _Form:
    """What the "fmt " chunk of a wav tells. tag: how values are coded; block: bytes of one sample
    of all channels."""

    tag: int
    channels: int
    rate: int
    block: int
    bits: int


def read(content: bytes, key: str) -> Sample:
    """The recording in ``content``: x ``(channels, samples)`` float32, full scale at -1 and 1.

    Whatever the depth of the file (8 to 32 bits, or float), so that depths can be mixed in a set.

    Raises: DataError for a file that is damaged, empty, too long, not finite, or of a kind that
        soundfile does not know; also when soundfile is needed and absent.
    """
    x, rate, depth = _wav(content, key) or _other(content, key)
    if not x.shape[1]:
        raise unreadable("the recording holds no sound", key)
    if not np.isfinite(x).all():
        raise unreadable("the recording holds values that are not finite (NaN or infinite)", key)
    grid = Grid((time_axis(1 / rate),), x.shape[1:])
    many = {1: "mono", 2: "stereo"}.get(len(x), f"{len(x)} channels")
    return Sample(key, x, grid, mode=f"{rate:,} Hz {many} {depth}")


def _wav(content: bytes, key: str) -> tuple[NDArray[np.float32], int, str] | None:
    """Samples, rate and depth of a RIFF wav; None for any other kind of file, and for a wav whose
    values are packed.

    Source: Microsoft and IBM, "Multimedia Programming Interface and Data Specifications 1.0",
        1991, and WAVEFORMATEXTENSIBLE.
    """
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        return None
    form: _Form | None = None
    for name, start, length in _chunks(content):
        if name == b"fmt ":
            form = _form(content[start : start + length], key)
            if form.tag not in (_PCM, _FLOAT):
                return None
        elif name == b"data":
            if form is None:
                raise unreadable("damaged wav file (its sound comes before its format)", key)
            if length in _STREAMED:
                length = len(content) - start
            if start + length > len(content):
                there = len(content) - start
                raise unreadable(f"the wav file is cut short: {there:,} of {length:,} bytes", key)
            return *_values(content, start, length, form, key), _depth(form)
    raise unreadable("damaged wav file (no sound in it)", key)


def _chunks(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and declared length of each chunk."""
    at = 12
    while at + 8 <= len(content):
        name, length = struct.unpack_from("<4sI", content, at)
        yield name, at + 8, length
        at += 8 + length + length % 2


def _form(chunk: bytes, key: str) -> _Form:
    if len(chunk) < 16:
        raise unreadable("damaged wav file (its format is cut short)", key)
    tag, channels, rate, _, block, bits = struct.unpack_from("<HHIIHH", chunk)
    if tag == _EXTENSIBLE and len(chunk) >= 26:
        (tag,) = struct.unpack_from("<H", chunk, 24)  # the first bytes of the sub-format's name
    whole = bits in ((32, 64) if tag == _FLOAT else (8, 16, 24, 32))
    if tag in (_PCM, _FLOAT) and (not whole or block != channels * bits // 8):
        raise unreadable(f"damaged wav file ({bits} bits in blocks of {block} bytes)", key)
    if not 0 < channels <= MOST_CHANNELS or not 0 < rate <= MOST_RATE:
        raise unreadable(f"damaged wav file ({channels} channels at {rate:,} Hz)", key)
    return _Form(tag, channels, rate, block, bits)


def _depth(form: _Form) -> str:
    return f"{form.bits}-bit" + (" float" if form.tag == _FLOAT else "")


def _values(
    content: bytes, start: int, length: int, form: _Form, key: str
) -> tuple[NDArray[np.float32], int]:
    count = length // form.block
    _check(count, form.channels, key)
    raw = np.frombuffer(content, np.uint8, count * form.block, start)
    x: NDArray[np.float32]
    if form.tag == _FLOAT:
        with np.errstate(over="ignore"):  # what float32 cannot hold is refused as not finite
            x = raw.view(f"<f{form.bits // 8}").astype(np.float32)
    elif form.bits == 8:
        x = (raw.astype(np.float32) - 128) / np.float32(128)
    elif form.bits == 24:
        wide = np.zeros((count * form.channels, 4), np.uint8)
        wide[:, 1:] = raw.reshape(-1, 3)
        x = wide.reshape(-1).view("<i4").astype(np.float32) / np.float32(2**31)
    else:
        x = raw.view(f"<i{form.bits // 8}").astype(np.float32) / np.float32(2 ** (form.bits - 1))
    return np.ascontiguousarray(x.reshape(count, form.channels).T), form.rate


def _other(content: bytes, key: str) -> tuple[NDArray[np.float32], int, str]:
    """The same through soundfile (libsndfile). Its length is checked before memory is taken."""
    try:
        import soundfile
    except (ImportError, OSError) as error:  # OSError: the library below it is missing
        raise DataError(
            "this kind of sound needs the package soundfile (pip install 'foveal[audio]')",
            where=key,
            mend="pip install 'foveal[audio]', or convert the recordings to plain wav",
        ) from error
    try:
        with soundfile.SoundFile(io.BytesIO(content)) as file:
            frames, channels, rate = file.frames, file.channels, file.samplerate
            if not 0 < channels <= MOST_CHANNELS or not 0 < rate <= MOST_RATE:
                raise unreadable(f"damaged ({channels} channels at {rate:,} Hz)", key)
            _check(frames, channels, key)
            x: NDArray[Any] = file.read(frames, dtype="float32").reshape(-1, channels)
            exact = file.format != "MP3"  # whose length is a guess
            depth = f"{file.format} {file.subtype}".lower()
    except DataError:
        raise
    except Exception as error:  # whatever the decoder makes of damaged bytes
        reason = str(error).partition(":")[2].strip() or type(error).__name__
        raise unreadable(f"not a recording that can be read ({reason[:80]})", key) from error
    if exact and len(x) < frames:
        raise unreadable(f"the recording is cut short: {len(x):,} of {frames:,} samples", key)
    return np.ascontiguousarray(x.T), rate, depth


def _check(count: int, channels: int, key: str) -> None:
    if count < 0 or count * channels > MOST_VALUES:
        raise unreadable(
            f"{count:,} samples of {channels} channels are over the limit of {MOST_VALUES:,}", key
        )


def _example(folder: Path) -> Path:
    path = folder / "example.wav"
    tone = np.round(8000 * np.sin(np.arange(40) / 3)).astype("<i2").tobytes()
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, _PCM, 1, 8000, 16000, 2, 16)
    data = b"data" + struct.pack("<I", len(tone)) + tone
    path.write_bytes(b"RIFF" + struct.pack("<I", 4 + len(form) + len(data)) + b"WAVE" + form + data)
    return path


READER = Reader(
    suffixes=(
        *(".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3"),
        *(".aif", ".aiff", ".au", ".snd", ".caf", ".w64"),
    ),
    read=read,
    example=_example,
)
