"""Random convolutions: many fixed kernels, and how much of each one's answer is positive."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from math import log2

import numpy as np
from numpy.typing import NDArray

from . import Own, Rows
from .cells import Gather
from .ridge import fit_ridge

TAPS = 9
# A kernel has weight 2 on three of its nine taps and -1 on the others: all 84 choices of three.
TRIPLES = tuple(combinations(range(TAPS), 3))
FEATURES = 9996  # as published: 119 for each kernel
MOST_DILATIONS = 32
_GOLDEN = (5**0.5 + 1) / 2
_CACHED = 2**19  # values worked on at a time, so that they stay in the processor's cache

MOST_ROWS = 2000  # training series: the decomposition behind the ridge takes the cube of them
SPEED = 1e9  # values compared with a bias per second on one slow core; sizes the model

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Rocket:
    """Kernels whose biases were taken from training series.

    Feature j belongs to kernel ``j // n % 84`` of one dilation, whose biases lie together.

    Args:
        length: cells of the longest training series. dilations: cells between two taps.
        channels: per dilation and kernel the channels that are summed; ``biases`` likewise
            ``(84, n)`` for each dilation.
    """

    length: int
    dilations: tuple[int, ...]
    channels: tuple[tuple[NDArray[np.int64], ...], ...]
    biases: tuple[Floats, ...]

    @property
    def features(self) -> int:
        return sum(b.size for b in self.biases)


def fit_rocket(x: Floats, *, features: int = FEATURES, seed: int = 0) -> Rocket:
    """The kernels for training series; of them only the biases and channels are drawn.

    Args:
        x: ``(N, C, L)``; NaN behind a series that is shorter than the longest.
        features: about how many to make, at least one for each of the 84 kernels.

    Source: Dempster, Schmidt and Webb, "MiniRocket", arXiv:2012.08791, section 3: kernels,
        dilations, biases from quantiles of one series' convolution, and padding for every other
        kernel; channels after the authors' multivariate code. Ours: series of unequal length,
        whose padding never counts.
    """
    chance = np.random.default_rng(seed)
    each = max(1, features // len(TRIPLES))
    dilations, counts = _dilations(x.shape[2], each)
    quantiles = (np.arange(1, 1 + each * len(TRIPLES)) * _GOLDEN) % 1
    most = log2(min(x.shape[1], TAPS) + 1)
    channels, biases, at = [], [], 0
    for dilation, count in zip(dilations, counts, strict=True):
        drawn = [
            np.sort(chance.choice(x.shape[1], int(2 ** chance.uniform(0, most)), replace=False))
            for _ in TRIPLES
        ]
        found = np.empty((len(TRIPLES), count), np.float32)
        for kernel, example in enumerate(chance.integers(len(x), size=len(TRIPLES))):
            series, real = _whole(x[example : example + 1])
            answer = next(_answers(series, dilation, [drawn[kernel]], [kernel]))[0, : real[0]]
            found[kernel] = np.quantile(answer, quantiles[at : at + count])
            at += count
        channels.append(tuple(drawn))
        biases.append(found)
    return Rocket(x.shape[2], dilations, tuple(channels), tuple(biases))


def rocket_features(rocket: Rocket, x: Floats) -> Floats:
    """Per kernel and bias the share of the series above the bias. Shape ``(N, features)``.

    Args:
        x: ``(N, C, L)`` with the channels the kernels were made for; NaN behind short series.
    """
    out = np.empty((len(x), rocket.features), np.float32)
    step = max(1, _CACHED // (x.shape[2] * (x.shape[1] + TAPS)))
    for start in range(0, len(x), step):
        series, real = _whole(x[start : start + step])
        at = 0
        for number, (dilation, biases) in enumerate(
            zip(rocket.dilations, rocket.biases, strict=True)
        ):
            padding = (TAPS // 2) * dilation
            answers = _answers(series, dilation, rocket.channels[number], range(len(TRIPLES)))
            for kernel, answer in enumerate(answers):
                inner = (number + kernel) % 2 == 1
                shares = _positive(answer, real, padding if inner else 0, biases[kernel])
                out[start : start + len(series), at : at + len(shares)] = shares.T
                at += len(shares)
    return out


def own(gather: Gather, train: Rows, test: Rows, *, seconds: float = 10.0, seed: int = 0) -> Own:
    """Ridge regression on random convolutions, as a baseline for signals of any task.

    How many kernels and training series are used follows from sizes alone. A picture of pitch
    and time counts as a series with a channel for each pitch.

    Args:
        gather: rows -> ``(B, C, *S)``, the cached values, time last.
        train, test: rows of both parts. seconds: about the most that one slow core may take.
    """
    length = gather(train[:1]).shape[-1] if len(train) else 1
    features = int(min(FEATURES, seconds * SPEED / 2 / max(length * (len(train) + len(test)), 1)))
    features = max(features, 12 * len(TRIPLES))
    most = int(max(200, min(MOST_ROWS, seconds * SPEED / 2 / (length * features))))
    some = np.arange(len(train))
    if most < len(some):
        some = np.sort(np.random.default_rng(seed).permutation(len(some))[:most])
    used = "" if len(some) == len(train) else f", from {len(some):,} training series"

    def answer(targets: NDArray[np.float64]) -> NDArray[np.float64]:
        known = _series(gather, train[some])
        rocket = fit_rocket(known, features=features, seed=seed)
        learned = rocket_features(rocket, known)
        mean, scale = learned.mean(0), learned.std(0) + 1e-6
        fitted = fit_ridge((learned - mean) / scale, targets[some])
        asked = rocket_features(rocket, _series(gather, test))
        return fitted((asked - mean) / scale)

    return Own(
        name="random_convolutions",
        title="Random convolutions",
        called="ridge regression on random convolutions",
        words=f"one weighted sum of {features:,} fixed random convolutions for each answer{used}",
        answer=answer,
    )


def _series(gather: Gather, rows: Rows) -> Floats:
    """Rows as ``(N, C, L)``: axes before the last one, time, become channels."""
    x = gather(rows).cpu().numpy().astype(np.float32)
    return x.reshape(len(x), -1, x.shape[-1])


def _dilations(length: int, each: int) -> tuple[tuple[int, ...], list[int]]:
    """Gaps between taps, spread evenly by their logarithm up to the series' length, and how many
    of a kernel's ``each`` features each of them gets."""
    widest = log2(max((length - 1) / (TAPS - 1), 1))
    wanted = min(each, MOST_DILATIONS)
    values = np.logspace(0, widest, wanted, base=2).astype(np.int64)
    gaps, counts = np.unique(values, return_counts=True)
    counts = (counts * (each / wanted)).astype(np.int64)
    for i in range(each - int(counts.sum())):  # what rounding left over
        counts[i % len(counts)] += 1
    return tuple(gaps.tolist()), counts.tolist()


def _whole(x: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """Series with 0 behind their end, and the real cells of each ``(N,)``."""
    absent = np.isnan(x[:, 0])
    real = x.shape[2] - absent.sum(1)
    return np.where(absent[:, None], np.float32(0), x), real


def _answers(
    x: Floats,
    dilation: int,
    channels: tuple[NDArray[np.int64], ...] | list[NDArray[np.int64]],
    kernels: range | list[int],
) -> Iterator[Floats]:
    """The convolution ``(N, L)`` of ``x`` ``(N, C, L)`` with each kernel, at one dilation.

    A kernel is three times its triple of taps, less all nine: both are sums of shifted copies.
    """
    shared = _shifted(x.sum(1), dilation) if x.shape[1] == 1 else None
    for kernel, chosen in zip(kernels, channels, strict=True):
        copies = _shifted(x[:, chosen].sum(1), dilation) if shared is None else shared
        first, second, third = TRIPLES[kernel]
        yield 3 * (copies[first] + copies[second] + copies[third]) - copies[TAPS]


def _shifted(x: Floats, dilation: int) -> Floats:
    """``x`` ``(N, L)`` as each of the nine taps sees it, zeros outside, and the sum of all nine.

    Shapes: ``(N, L) -> (10, N, L)``.
    """
    copies = np.zeros((TAPS + 1, *x.shape), np.float32)
    length = x.shape[1]
    for tap in range(TAPS):
        gap = (tap - TAPS // 2) * dilation
        if abs(gap) < length:
            copies[tap, :, max(-gap, 0) : length - max(gap, 0)] = x[
                :, max(gap, 0) : length + min(gap, 0)
            ]
    copies[TAPS] = copies[:TAPS].sum(0)
    return copies


def _positive(
    answer: Floats, real: NDArray[np.int64], padding: int, biases: Floats
) -> NDArray[np.float32]:
    """Share of each answer ``(N, L)`` above each bias, ``(n, N)``, without ``padding`` cells at
    both ends and without what lies behind the ``real`` cells of a series.

    A series too short to leave any keeps all its real cells.
    """
    length = answer.shape[1]
    start = np.where(real > 2 * padding, padding, 0)
    end = np.where(real > 2 * padding, real - padding, real)
    if (start == start[0]).all() and (end == end[0]).all():
        answer = answer[:, int(start[0]) : int(end[0])]
    else:
        cells = np.arange(length)
        outside = (cells < start[:, None]) | (cells >= end[:, None])
        answer = np.where(outside, -np.inf, answer).astype(np.float32)
    # A product with ones counts four times as fast as a mean of truth values.
    ones = np.ones(answer.shape[1], np.float32)
    counts = np.stack([(answer > bias).astype(np.float32) @ ones for bias in biases])
    return np.asarray(counts / np.maximum(end - start, 1), np.float32)
