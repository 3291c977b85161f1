"""Sound as a picture: how loud it is, by pitch and time (log mel spectrogram)."""

from __future__ import annotations

import functools
from fractions import Fraction
from math import ceil, log2

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..forms import SoundPart
from ..grid import Axis, Grid

FLOOR = 80.0  # decibels below the loudest cell that still count
_ALIKE = 1e-3  # rates that differ by less are one
_TERMS = 1000  # largest numbers in the ratio of two rates

Floats = NDArray[np.float32]


def heard(x: NDArray[np.generic], part: SoundPart, grid: Grid | None) -> Floats:
    """A recording ``(C, L)`` as the plan wants it: one channel, at ``part.rate``.

    With ``part.bands`` it becomes a picture ``(1, bands, frames)``, see `log_mel`; without, it
    stays a waveform ``(1, samples)``.

    Args:
        grid: axes of the recording, whose step in seconds tells its rate; at ``part.rate`` where
            it is None or has another unit.
    """
    mono = np.asarray(x, np.float32).mean(axis=0, dtype=np.float32)
    if grid is not None and grid.axes[-1].unit == "s":
        mono = at_rate(mono, 1 / grid.axes[-1].step, part.rate)
    return log_mel(mono, part)[None] if part.bands else mono[None]


def sound_axes(part: SoundPart) -> tuple[Axis, ...]:
    """Axes of what `heard` gives. Pitch is an order and no space: it has no distance in
    millimetres, and a sound higher up is another sound."""
    pitch = Axis("pitch", unit="mel band", kind="order", mirrors=False)
    step = part.hop if part.bands else 1 / part.rate
    time = Axis("time", step, "s", "time", mirrors=False)
    return (pitch, time) if part.bands else (time,)


def at_rate(x: Floats, rate: float, wanted: float) -> Floats:
    """``x`` ``(L,)`` of ``rate`` samples a second at ``wanted`` ones, without aliases.

    Polyphase filter with a Kaiser window (scipy); the ratio is rounded to terms of at most 1,000.
    """
    if abs(wanted / rate - 1) < _ALIKE:
        return x
    from scipy.signal import resample_poly

    ratio = Fraction(wanted / rate).limit_denominator(_TERMS)
    if not ratio.numerator:
        ratio = Fraction(1, _TERMS)
    return np.asarray(resample_poly(x, ratio.numerator, ratio.denominator), np.float32)


def frames(samples: int, part: SoundPart) -> int:
    """How many frames `log_mel` gives for so many samples at ``part.rate``: one per hop."""
    return max(1, ceil(samples / _cells(part.hop, part)))


def log_mel(x: Floats, part: SoundPart) -> Floats:
    """Decibels below the loudest cell, 0 to -80, of a waveform ``(L,)`` at ``part.rate``.

    Frame t is centred on sample ``t * hop``; both ends see silence beyond them. A silent
    recording is -80 throughout. Loudness as such is lost: a microphone's distance means nothing.

    Shapes: ``(L,) -> (bands, frames)``.
    Source: power under a Hann window, summed over triangles that are evenly spaced on the mel
        scale ``2595 log10(1 + f / 700)`` (O'Shaughnessy 1987, as in HTK), each of unit area
        (Slaney, Auditory Toolbox, 1998).
    """
    window, hop = _cells(part.window, part), _cells(part.hop, part)
    size = _size(window)
    count = frames(len(x), part)
    wave = torch.zeros(size + (count - 1) * hop)
    start, end = size // 2, min(len(x), len(wave) - size // 2)
    wave[start : start + end] = torch.from_numpy(np.ascontiguousarray(x))[:end]
    spectrum = torch.stft(
        wave, size, hop, window, torch.hann_window(window), center=False, return_complex=True
    )
    power = spectrum.real.square() + spectrum.imag.square()
    loudness = bank(part) @ power
    least = loudness.max() * 10 ** (-FLOOR / 10)
    if not float(least) > 0:
        return np.full(loudness.shape, -FLOOR, np.float32)
    decibels: Floats = (10 * (loudness.clamp_min(least) / loudness.max()).log10()).numpy()
    return decibels


@functools.lru_cache(maxsize=8)
def bank(part: SoundPart) -> Tensor:
    """Share of each bin of the spectrum in each mel band, ``(bands, bins)``."""
    size = _size(_cells(part.window, part))
    bins = np.arange(size // 2 + 1) * part.rate / size
    edges = _hertz(np.linspace(_mel(part.low), _mel(part.high), part.bands + 2))
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    triangles = np.minimum((bins - low) / (middle - low), (high - bins) / (high - middle))
    area = 2 / (high - low)
    return torch.from_numpy((np.maximum(triangles, 0) * area).astype(np.float32))


def _mel(hertz: float) -> float:
    return float(2595 * np.log10(1 + hertz / 700))


def _hertz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    return 700 * (10 ** (mel / 2595) - 1)


def _cells(seconds: float, part: SoundPart) -> int:
    return max(1, round(seconds * part.rate))


def _size(window: int) -> int:
    """Samples of a Fourier transform: twice the window at least, so that the lowest, narrowest
    bands are wider than a bin."""
    return int(2 ** (1 + ceil(log2(max(window, 2)))))
