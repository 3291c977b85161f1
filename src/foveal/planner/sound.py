"""Rules for sounds: waveform or picture of pitch and time, measured; its size, and its changes."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..baselines.ridge import fit_ridge
from ..baselines.rocket import fit_rocket, rocket_features
from ..card import Card
from ..datasets.mel import FLOOR, frames, heard, sound_axes
from ..forms import SoundPart
from ..grid import Axis
from ..plan import AugmentPart, DataPart
from .kinds import Rows

LEAST_RATE = 1000.0  # samples per second from which a series counts as sound
MEL_RATE, MEL_SECONDS = 4000.0, 0.1  # where nothing was measured: sounds that are worth a picture
LISTENED = 300  # training recordings that the measurement hears
LONGEST = 2**13  # samples of each that the random convolutions see
HOP, WINDOW, MOST_FRAMES = 0.010, 2.5, 256

Reasons = dict[str, str]
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Heard:
    """Share of ``count`` training recordings named rightly when left out, from the mel picture
    and from the waveform; mean and spread of the picture's values, mapped to 0 to 1."""

    mel: float
    wave: float
    count: int
    mean: float
    std: float


def listen(card: Card, rows: Rows) -> Heard | None:
    """Whether simple models learn more from the mel picture or from the waveform; None for
    series that are no sound, and where there are no classes to tell apart.

    Both are ridge regression with each recording left out in turn: on the picture's mean and
    spread per band in three stretches of time, and on random convolutions of the waveform.
    """
    if not is_sound(card) or not card.classes:
        return None
    chance = np.random.default_rng(rows.seed)
    some = np.sort(chance.permutation(len(rows.rows))[:LISTENED])
    labels = rows.labels[some]
    present, place = np.unique(labels, return_inverse=True)
    if len(present) < 2 or len(some) < 2 * len(present):
        return None
    x = np.asarray(rows.gather(rows.rows[some]), np.float32)
    part, target = _sound(card, 1), 2.0 * np.eye(len(present))[place] - 1
    pictures = [heard(wave[:, ~np.isnan(wave[0])], part, None)[0] for wave in x]
    every = np.concatenate([p.reshape(-1) for p in pictures]) / FLOOR + 1
    kernels = fit_rocket(x[..., :LONGEST], features=1000, seed=rows.seed)
    mel = _left_out(np.stack([_pooled(p) for p in pictures]), target, place)
    wave = _left_out(rocket_features(kernels, x[..., :LONGEST]), target, place)
    return Heard(mel, wave, len(some), float(every.mean()), float(max(every.std(), 0.01)))


def _left_out(features: Floats, target: NDArray[np.float64], place: NDArray[np.intp]) -> float:
    scaled = (features - features.mean(0)) / (features.std(0) + 1e-6)
    return float((fit_ridge(scaled, target).left_out.argmax(1) == place).mean())


def _pooled(picture: Floats) -> Floats:
    """Mean and spread of each band in three stretches of time."""
    stretches = [s for s in np.array_split(picture, 3, axis=1) if s.shape[1]]
    stretches += stretches[-1:] * (3 - len(stretches))
    return np.concatenate([f(s, axis=1) for s in stretches for f in (np.mean, np.std)])


def is_sound(card: Card) -> bool:
    """Whether the series of a set are recordings: steps in seconds, and short ones."""
    return card.axes[0].unit == "s" and 1 / card.axes[0].step >= LEAST_RATE


def _sound(card: Card, bands: int) -> SoundPart:
    """How a recording of this set is heard; ``bands`` 0 leaves it a waveform."""
    rate = 1 / card.axes[0].step
    hop = max(HOP, card.median[0] / rate / MOST_FRAMES)
    count = (40 if rate <= 12000 else 64) if bands else 0
    return SoundPart(round(rate, 6), WINDOW * hop, hop, count, 20.0, min(rate / 2, 16000.0))


def heard_as(
    data: DataPart, card: Card, found: Any, why: Reasons
) -> tuple[DataPart, tuple[Axis, ...]]:
    """Waveform or mel picture, measured where training recordings were heard."""
    rate = 1 / card.axes[0].step
    seconds = card.median[0] / rate
    picture, reason = rate >= MEL_RATE and seconds >= MEL_SECONDS, "by rule"
    if isinstance(found, Heard):
        picture = found.mel >= found.wave
        reason = (
            f"measured on {found.count} training recordings, each left out in turn: ridge names "
            f"{found.mel:.1%} from the mel picture, {found.wave:.1%} from random convolutions of "
            "the waveform"
        )
    part = _sound(card, int(picture))
    kind = f"mel picture of {part.bands} bands" if picture else "waveform"
    why["data.sound"] = f"{kind} ({rate:,.0f} Hz, {seconds:.2f} s in the middle): {reason}"
    why["data.channels"] = "the channels of a recording are mixed"
    if not picture:
        one = {name: getattr(data, name)[:1] for name in ("low", "high", "mean", "std")}
        return replace(data, sound=part, channels=1, **one), sound_axes(part)
    count = 8 * math.ceil(frames(round(seconds * part.rate), part) / 8)
    why["data.size"] = f"{part.bands} bands by {count} steps of time, as the middle recording has"
    why["data.fit"] = (
        "short and long recordings are stretched to the same steps of time: of a speaker held out "
        "that named 90 % of the digits where padding and masks named 81 %, in a fifth of the time"
    )
    why["data.low"] = why["data.high"] = f"{FLOOR:g} decibels below the loudest cell, and that cell"
    why["data.mean"] = why["data.std"] = "of the pictures of training recordings"
    mean, std = (found.mean, found.std) if isinstance(found, Heard) else (0.5, 0.25)
    changed = replace(
        data,
        size=(part.bands, count),
        channels=1,
        fit="stretch",
        low=(-FLOOR,),
        high=(0.0,),
        mean=(mean,),
        std=(std,),
        dtype="float32",
        sound=part,
    )
    return changed, sound_axes(part)


def of_picture(augment: AugmentPart, data: DataPart, why: Reasons) -> AugmentPart:
    """Changes of voice and pace."""
    bands, count = data.size
    why["augment.translate"] = "a tenth of the bands up or down is another voice saying the same"
    why["augment.warp"] = "people speak a fifth faster or slower"
    why["augment.gain"] = "loudness is gone already: values are below the loudest cell"
    return replace(augment, translate=(bands // 10, count // 16), warp=(0.0, 0.2))
