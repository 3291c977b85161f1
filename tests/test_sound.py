"""Recordings: every depth of wav against its values, other formats, and what is refused."""

import builtins
import io
import struct

import numpy as np
import pytest

from foveal.errors import DataError
from foveal.readers import sound
from recordings import raw_wav, tone, wav

soundfile = pytest.importorskip("soundfile")


def read(path):
    return sound.read(path.read_bytes(), path.name)


@pytest.mark.parametrize("bits", [8, 16, 24, 32])
def test_every_depth_gives_the_values_between_minus_one_and_one(tmp_path, bits):
    x = np.stack([tone(300), -tone(700)])
    sample = read(wav(tmp_path / "a.wav", x, bits=bits))
    assert sample.x.dtype == np.float32
    assert np.abs(sample.x - x).max() < 2.1 / 2 ** (bits - 1) + 1e-6
    assert sample.mode == f"8,000 Hz stereo {bits}-bit"


@pytest.mark.parametrize("bits", [32, 64])
def test_float_values_are_taken_as_they_are(tmp_path, bits):
    x = tone(300).astype(f"<f{bits // 8}")
    sample = read(raw_wav(tmp_path / "a.wav", x.tobytes(), 3, 1, 8000, bits))
    assert np.array_equal(sample.x[0], x.astype(np.float32))
    assert sample.mode == f"8,000 Hz mono {bits}-bit float"


def test_the_axis_tells_the_rate(tmp_path):
    (axis,) = read(wav(tmp_path / "a.wav", tone(300), rate=16000)).grid.axes
    assert (axis.kind, axis.unit, axis.mirrors) == ("time", "s", False)
    assert axis.step == 1 / 16000


def test_an_extensible_header_and_a_streamed_length_are_understood(tmp_path):
    x = np.round(tone(300) * 32767).astype("<i2")
    tail = struct.pack("<HHIH", 22, 16, 4, 1) + b"\0" * 14  # the sub-format begins with PCM's tag
    path = raw_wav(tmp_path / "a.wav", x.tobytes(), 0xFFFE, 1, 8000, 16, tail, 0xFFFFFFFF)
    assert np.array_equal(read(path).x[0] * 32768, x)


@pytest.mark.parametrize(
    ("kind", "subtype", "error"),
    [
        ("FLAC", "PCM_16", 1e-4),
        ("OGG", "VORBIS", 0.1),
        ("AIFF", "PCM_16", 1e-4),
        ("WAV", "ULAW", 0.05),
    ],
)
def test_other_formats_are_read_through_soundfile(kind, subtype, error):
    x, content = tone(300, 0.5), io.BytesIO()
    soundfile.write(content, x, 8000, format=kind, subtype=subtype)
    sample = sound.read(content.getvalue(), "a")
    assert sample.x.shape == (1, len(x))
    assert np.abs(sample.x[0] - x).max() < error
    assert sample.mode == f"8,000 Hz mono {kind.lower()} {subtype.lower()}"


def test_a_cut_flac_is_refused():
    content = io.BytesIO()
    soundfile.write(content, tone(300, 1.0), 8000, format="FLAC")
    with pytest.raises(DataError, match=r"cut short|not a recording"):
        sound.read(content.getvalue()[:-300], "a.flac")


def test_a_missing_soundfile_is_named_with_its_extra(monkeypatch):
    real = builtins.__import__

    def absent(name, *rest):
        if name == "soundfile":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(DataError, match=r"pip install 'foveal\[audio\]'"):
        sound.read(b"fLaC" + b"\0" * 100, "a.flac")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"content": b""}, "holds no sound"),
        ({"content": b"\0" * 80, "length": 200}, "cut short: 80 of 200 bytes"),
        ({"content": b"\0" * 80, "bits": 12}, "12 bits in blocks"),
        ({"content": b"\0" * 80, "channels": 0}, "0 channels"),
        ({"content": b"\0" * 80, "channels": 500}, "500 channels"),
        ({"content": b"\0" * 80, "rate": 0}, "at 0 Hz"),
        ({"content": np.array([np.nan, 1], "<f4").tobytes(), "tag": 3, "bits": 32}, "not finite"),
        ({"content": np.array([1e300], "<f8").tobytes(), "tag": 3, "bits": 64}, "not finite"),
    ],
)
def test_a_damaged_wav_is_refused_by_name(tmp_path, change, message):
    asked = {"tag": 1, "channels": 1, "rate": 8000, "bits": 16, **change}
    path = raw_wav(tmp_path / "bad.wav", **asked)
    with pytest.raises(DataError, match=message) as caught:
        read(path)
    assert caught.value.where == "bad.wav"
    assert caught.value.mend


def test_sound_before_its_format_or_none_at_all_is_refused():
    head = b"RIFF" + struct.pack("<I", 100) + b"WAVE"
    for body, message in [
        (b"data" + struct.pack("<I", 4) + b"\0" * 4, "sound comes before its format"),
        (b"LIST" + struct.pack("<I", 4) + b"\0" * 4, "no sound in it"),
        (b"fmt " + struct.pack("<I", 4) + b"\0" * 4, "format is cut short"),
    ]:
        with pytest.raises(DataError, match=message):
            sound.read(head + body, "bad.wav")


def test_more_values_than_memory_should_hold_are_refused_before_it_is_taken(monkeypatch, tmp_path):
    path = wav(tmp_path / "a.wav", tone(300))
    monkeypatch.setattr(sound, "MOST_VALUES", 1000)
    with pytest.raises(DataError, match=r"1,600 samples of 1 channels are over the limit of 1,000"):
        read(path)
    content = io.BytesIO()
    soundfile.write(content, tone(300), 8000, format="FLAC")
    with pytest.raises(DataError, match="over the limit"):
        sound.read(content.getvalue(), "a.flac")
