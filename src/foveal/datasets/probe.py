"""A few hundred items of a listing, from which the shape of all is decided."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..grid import Axis, Sample, data_of, time_of
from ..plan import Fit
from .facts import Form
from .listing import Listing
from .prepare import ALPHA_MODES, has_colour, on_white
from .size import most_cells, of_clips, of_lengths, working_fit, working_size
from .spacing import lowest, measured, working_box, working_scale
from .truths import truth_of

PROBES = 512
DEPTHS = ("uint8", "uint16", "float32")
_PROBE_BYTES = 64 * 2**20
_SCAN_BYTES, _LEAST = 2**30, 32  # reading a scan twice takes seconds
CELLS_OF_MASKS = 4  # times as many cells where answers have places: borders are fine things
_WORTH = 128 * 128
Values = NDArray[Any]


class Probe:
    """A few hundred items spread over the listing, from which the shape of all is decided.

    Their samples are kept, up to 64 MB, so that a small set is not decoded twice.
    """

    def __init__(self, listing: Listing) -> None:
        self.listing = listing
        self.kept: dict[int, Sample] = {}
        self.bad: list[DataError] = []
        self.sizes: list[tuple[int, ...]] = []
        self.axes: dict[int, tuple[Axis, ...]] = {}
        self.kinds: list[tuple[int, str]] = []
        self.steps: list[tuple[float, ...] | None] = []
        self.modes: list[str] = []
        self.lows: list[float] = []
        held = 0
        for i in self._spread():
            try:
                sample = listing.read(i)
                x, _ = seen_channels(sample)
            except DataError as error:
                self.bad.append(error)
                continue
            self.sizes.append(sample.x.shape[1:])
            self.axes.setdefault(len(sample.grid.axes), sample.grid.axes)
            self.kinds.append((len(x), depth(sample.x)))
            axes = sample.grid.axes
            self.steps.append(tuple(a.step for a in axes) if measured(axes) else None)
            if measured(axes):
                self.modes.append(sample.mode)
                self.lows.append(lowest(x))
            held += sample.x.nbytes
            if held < _PROBE_BYTES:
                self.kept[i] = sample

    def _spread(self) -> Iterator[int]:
        """Positions evenly over the listing: 512, but of scans no more than fill a gigabyte."""
        yield 0
        count = PROBES
        if None not in self.steps and self.kept:
            count = min(PROBES, max(_LEAST, _SCAN_BYTES // self.kept[0].x.nbytes))
        rest = np.unique(np.linspace(0, len(self.listing) - 1, count).astype(int))
        yield from rest[rest > 0].tolist()

    def form(self) -> Form | None:
        """What the probe proposes; None when it found nothing that can be read."""
        if not self.sizes:
            return None
        ranks = [len(size) for size in self.sizes]
        rank = max(set(ranks), key=ranks.count)
        sizes = np.array([size for size in self.sizes if len(size) == rank])
        axes = self.axes[rank]
        steps = [s for s, size in zip(self.steps, self.sizes, strict=True) if len(size) == rank]
        fit: Fit
        if data_of(axes) in ("text", "signal"):
            size, fit, why_size, why_fit = of_lengths(sizes)
        elif (time := time_of(axes)) is not None:
            size, fit, why_size, why_fit = of_clips(sizes, time)
        elif None not in steps:
            size, step, why_size = working_box(sizes, np.array(steps))
            axes = tuple(replace(a, step=s) for a, s in zip(axes, step, strict=True))
            fit, why_fit = "spacing", "cells have a length: scans keep their scale, not their shape"
        else:
            cap = CELLS_OF_MASKS * most_cells(rank) if truth_of(self.listing.target) else None
            size, why_size = working_size(sizes, cap)
            fit, why_fit = working_fit(sizes)
        channels = _common([count for count, _ in self.kinds])
        dtype = max((kind for _, kind in self.kinds), key=DEPTHS.index)
        why = {"size": why_size, "fit": why_fit}
        if fit != "spacing" or data_of(axes) != "volume":
            return Form(size, fit, channels, dtype, why, axes)
        scale, why["scale"] = working_scale(set(self.modes), min(self.lows))
        dtype = "float32" if scale == "sample" else dtype
        return Form(size, fit, channels, dtype, why, axes, scale=scale)

    def threads(self) -> int:
        """Two where decoding an item takes long enough to pay for handing it over."""
        cells = [math.prod(size) for size in self.sizes]
        return 2 if sum(cells) >= _WORTH * len(cells) > 0 else 1

    def read(self, i: int) -> Sample:
        return self.kept.pop(i, None) or self.listing.read(i)


def _common(counts: list[int]) -> int:
    """Channels of the set: 3 as soon as one picture has colour, else what most have."""
    if set(counts) <= {1, 3}:
        return max(counts)
    return max(set(counts), key=counts.count)


def depth(x: Values) -> str:
    """The depth of a set of such values: 8 or 16 bits as they are, all else float."""
    if x.dtype in (bool, np.uint8):
        return "uint8"
    return "uint16" if x.dtype == np.uint16 else "float32"


def seen_channels(sample: Sample) -> tuple[Values, bool]:
    """``x`` without alpha and with one channel where three are equal, and whether it changed."""
    x = sample.x
    if sample.mode in ALPHA_MODES and len(x) in (2, 4):
        x = on_white(x)
    if len(x) == 3 and not has_colour(x):
        x = x[:1]
    return x, x is not sample.x
