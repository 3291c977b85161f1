"""The mel picture against a slow reference, and how a recording becomes what the plan wants."""

from dataclasses import replace

import numpy as np
import pytest

from foveal.datasets.mel import FLOOR, at_rate, bank, frames, heard, log_mel, sound_axes
from foveal.datasets.prepare import prepare
from foveal.errors import DataError
from foveal.forms import SoundPart
from foveal.grid import Grid, data_of, time_axis
from foveal.plan import DataPart

PART = SoundPart(8000.0, 0.025, 0.010, 20, 20.0, 4000.0)
DATA = DataPart(
    (20, 16), 1, "stretch", (-FLOOR,), (0.0,), (0.5,), (0.25,), 0.1, 0.1, "float32", sound=PART
)


def noise(samples=1200, seed=0):
    return np.random.default_rng(seed).normal(0, 0.1, samples).astype(np.float32)


def slow_mel(x, part):
    """One frame and one band at a time, in float64, from the definitions."""
    window, hop = round(part.window * part.rate), round(part.hop * part.rate)
    size = 1
    while size < 2 * window:
        size *= 2
    padded = np.concatenate([np.zeros(size), x, np.zeros(2 * size)])
    hann = np.array([0.5 - 0.5 * np.cos(2 * np.pi * n / window) for n in range(window)])
    count = -(-len(x) // hop)

    def mel(f):
        return 2595 * np.log10(1 + f / 700)

    edges = [
        700 * (10 ** (m / 2595) - 1)
        for m in np.linspace(mel(part.low), mel(part.high), part.bands + 2)
    ]
    out = np.zeros((part.bands, count))
    for t in range(count):
        middle = size + t * hop
        piece = padded[middle - window // 2 : middle - window // 2 + window] * hann
        power = np.abs(np.fft.rfft(piece, size)) ** 2
        for band, (low, centre, high) in enumerate(zip(edges, edges[1:], edges[2:], strict=False)):
            for k, p in enumerate(power):
                f = k * part.rate / size
                weight = min((f - low) / (centre - low), (high - f) / (high - centre))
                out[band, t] += max(weight, 0) * 2 / (high - low) * p
    loudest = out.max()
    return 10 * np.log10(np.maximum(out, loudest * 1e-8) / loudest)


def test_it_is_what_the_definitions_say():
    x = noise()
    assert np.abs(log_mel(x, PART) - slow_mel(x.astype(np.float64), PART)).max() < 1e-3


def test_loudness_does_not_matter_and_silence_is_the_floor():
    x = noise()
    assert np.abs(log_mel(x, PART) - log_mel(x * 0.01, PART)).max() < 1e-3
    assert (log_mel(np.zeros(800, np.float32), PART) == -FLOOR).all()
    assert log_mel(x, PART).max() == 0
    assert log_mel(x, PART).min() >= -FLOOR


@pytest.mark.parametrize("hertz", [200, 800, 3000])
def test_a_tone_lights_its_own_band(hertz):
    x = np.sin(2 * np.pi * hertz * np.arange(4000) / 8000).astype(np.float32)
    brightest = log_mel(x, PART)[:, 10:-10].mean(1).argmax()
    bins = np.arange(bank(PART).shape[1]) * 8000 / (2 * (bank(PART).shape[1] - 1))
    centre = (bank(PART)[brightest].numpy() * bins).sum() / bank(PART)[brightest].sum().item()
    assert abs(centre / hertz - 1) < 0.2


def test_every_band_holds_a_bin():
    for part in (PART, replace(PART, bands=40), replace(PART, rate=44100.0, bands=64, high=16e3)):
        assert (bank(part).sum(1) > 0).all()


@pytest.mark.parametrize("samples", [1, 79, 80, 81, 1200])
def test_there_is_one_frame_per_hop(samples):
    assert log_mel(noise(samples), PART).shape == (20, frames(samples, PART))
    assert frames(samples, PART) == -(-samples // 80)


def test_another_rate_is_brought_to_the_plans():
    t = np.arange(16000) / 16000
    x = np.sin(2 * np.pi * 300 * t).astype(np.float32)
    slower = at_rate(x, 16000, 8000)
    inner = slice(100, -100)
    assert slower.shape == (8000,)
    assert np.abs(slower - x[::2])[inner].max() < 1e-2
    assert at_rate(x, 16000, 16000.001) is x
    alias = at_rate(np.sin(2 * np.pi * 6000 * t).astype(np.float32), 16000, 8000)
    assert np.abs(alias[inner]).max() < 1e-2  # above half the new rate: gone, not folded back


def test_channels_are_mixed_and_a_waveform_can_stay_one():
    x = np.stack([noise(seed=1), noise(seed=2)])
    plain = heard(x, replace(PART, bands=0), None)
    assert plain.shape == (1, 1200)
    assert np.allclose(plain[0], x.mean(0))
    assert heard(x, PART, None).shape == (1, 20, 15)


def test_the_axes_are_a_signals_and_nothing_may_be_mirrored():
    for part, names in ((PART, ("pitch", "time")), (replace(PART, bands=0), ("time",))):
        axes = sound_axes(part)
        assert tuple(axis.name for axis in axes) == names
        assert data_of(axes) == "signal"
        assert not any(axis.mirrors for axis in axes)
    assert sound_axes(PART)[1].step == PART.hop


def test_prepare_makes_the_picture_at_any_rate_and_length():
    grid = Grid((time_axis(1 / 16000),), (3000,))
    row = prepare(np.stack([noise(3000), noise(3000)]), DATA, grid=grid)
    assert (row.shape, row.dtype) == ((1, 20, 16), np.float32)
    assert row.min() >= -FLOOR
    assert row.max() <= 0


def test_prepare_refuses_a_picture_where_a_recording_is_needed():
    with pytest.raises(DataError, match="where 1 axes are needed"):
        prepare(np.zeros((1, 8, 8), np.float32), DATA, key="a")


def test_recordings_of_a_waveform_plan_are_mixed_or_repeated():
    grid = Grid((time_axis(1.0),), (6,))
    mono = replace(DATA, size=(6,), sound=None, low=(0.0,), high=(1.0,))
    stereo = np.array([[0, 1, 2, 3, 4, 5], [2, 3, 4, 5, 6, 7]], np.float32)
    assert prepare(stereo, mono, grid=grid).tolist() == [[1, 2, 3, 4, 5, 6]]
    both = replace(mono, channels=2)
    assert prepare(stereo[:1], both, grid=grid).tolist() == [[0, 1, 2, 3, 4, 5]] * 2
