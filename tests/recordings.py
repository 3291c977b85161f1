"""Small sets of sounds and series, written as people keep them."""

import struct
from pathlib import Path

import numpy as np


def wav(path: Path, x, rate=8000, bits=16) -> Path:
    """``x`` (samples,) or (channels, samples) between -1 and 1 as a plain wav."""
    x = np.atleast_2d(x)
    values = np.round(x.T * (2 ** (bits - 1) - 1)).astype(np.int64)
    if bits == 8:
        content = (values + 128).astype(np.uint8).tobytes()
    elif bits == 24:
        content = np.ascontiguousarray(values, "<i4").view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
    else:
        content = values.astype(f"<i{bits // 8}").tobytes()
    return raw_wav(path, content, 1, len(x), rate, bits)


def raw_wav(path: Path, content: bytes, tag, channels, rate, bits, tail=b"", length=None) -> Path:
    block = channels * bits // 8
    form = struct.pack("<HHIIHH", tag, channels, rate, rate * block, block, bits) + tail
    chunks = b"fmt " + struct.pack("<I", len(form)) + form
    chunks += b"data" + struct.pack("<I", len(content) if length is None else length) + content
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks)
    return path


def tone(hertz, seconds=0.2, rate=8000, seed=0):
    """A tone with a little noise, between -1 and 1."""
    noise = np.random.default_rng(seed).normal(0, 0.02, round(seconds * rate))
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(len(noise)) / rate) + noise


def spoken(root: Path, classes=3, speakers=4, each=3, rate=8000) -> Path:
    """Recordings "class_speaker_index.wav": the class is a pitch, each speaker's a little off."""
    for c in range(classes):
        for s in range(speakers):
            for i in range(each):
                seconds = 0.15 + 0.02 * ((c + s + i) % 5)
                hertz = 400 * 3**c * (1 + 0.02 * s)
                x = tone(hertz, seconds, rate, seed=100 * c + 10 * s + i)
                wav(root / f"{c}_{'abcdefgh'[s] * 3}_{i}.wav", x, rate)
    return root


def ts(path: Path, items, labels, *head) -> Path:
    """``items`` of (C, L) lists as a .ts file; values are written as they stand."""
    classes = " ".join(dict.fromkeys(labels))
    lines = ["# a comment", "", "@problemName made", *head, f"@classLabel true {classes}", "@data"]
    for item, label in zip(items, labels, strict=True):
        rows = [",".join(map(str, row)) for row in item]
        lines.append(":".join([*rows, label]))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path


def waves(count, length=40, channels=1, seed=0):
    """(N, C, L) slow and fast waves, and their class names."""
    chance = np.random.default_rng(seed)
    t = np.arange(length)
    names = [("slow", "fast")[i % 2] for i in range(count)]
    x = [
        [
            np.round(np.sin(t / (6 if n == "slow" else 2) + chance.uniform(0, 6)), 4).tolist()
            for _ in range(channels)
        ]
        for n in names
    ]
    return x, names
