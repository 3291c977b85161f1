"""Intensity of a set in one pass and constant memory: means, spreads, robust percentiles."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

LOW, HIGH = 0.001, 0.999
_BINS = {"uint8": 2**8, "uint16": 2**16}
_KEPT = 300_000  # values per channel from which percentiles of other kinds are read
_THIN = 3  # odd, so that the values kept never fall on one column of the grid

Values = NDArray[Any]


class Statistics:
    """Takes ``(n, *S, C)`` rows; gives low, high, mean and std of each channel.

    Cells of NaN are padding and count for nothing. Percentiles are exact for 8 and 16 bits (a
    histogram; 16-bit values that were resized count as the nearest whole number), and read from
    evenly taken values otherwise.
    """

    def __init__(self, channels: int, dtype: str) -> None:
        self.count = 0
        self.bins = _BINS.get(dtype, 0)
        self.histogram = np.zeros((channels, self.bins), np.int64)
        self.mean, self.square = np.zeros(channels), np.zeros(channels)
        self.kept: list[Values] = []
        self.every, self.phase = 1, 0

    def add(self, rows: Values) -> None:
        values = rows.reshape(-1, rows.shape[-1])
        if values.dtype.kind == "f":
            padding = np.isnan(values[:, 0])
            values = values[~padding] if padding.any() else values
        if not len(values):
            return
        if self.bins:
            for channel, counts in enumerate(self.histogram):
                column = values[:, channel]
                whole = column if column.dtype == np.uint8 else np.rint(column).astype(np.int64)
                counts += np.bincount(whole, minlength=self.bins)
        else:
            self._keep(values)
        if values.dtype != np.uint8:
            self._merge(values)
        self.count += len(values)

    def result(self) -> tuple[Values, Values, Values, Values]:
        """low, high (percentiles 0.1 and 99.9), mean and std, each ``(C,)`` of float64."""
        if self.bins == _BINS["uint8"]:
            at = np.arange(self.bins)
            mean = self.histogram @ at / self.count
            std = np.sqrt(np.maximum(self.histogram @ at**2 / self.count - mean**2, 0))
        else:
            mean, std = self.mean, np.sqrt(self.square / self.count)
        low, high = self._percentiles()
        return low, high, mean, std

    def _percentiles(self) -> tuple[Values, Values]:
        if self.bins:
            below = np.cumsum(self.histogram, axis=1)
            low, high = (
                np.array([np.searchsorted(row, share * self.count) for row in below], np.float64)
                for share in (LOW, HIGH)
            )
            return low, high
        low, high = np.quantile(np.concatenate(self.kept).astype(np.float64), [LOW, HIGH], axis=0)
        return low, high

    def _merge(self, values: Values) -> None:
        """Source: Chan, Golub and LeVeque, "Updating formulae ... sample variances", 1979."""
        mean = values.mean(axis=0, dtype=np.float64)
        square = np.square(values - mean).sum(axis=0, dtype=np.float64)
        total = self.count + len(values)
        gap = mean - self.mean
        self.square += square + gap**2 * (self.count * len(values) / total)
        self.mean += gap * (len(values) / total)

    def _keep(self, values: Values) -> None:
        self.kept.append(values[self.phase :: self.every].copy())
        self.phase = (self.phase - len(values)) % self.every
        if sum(map(len, self.kept)) > _KEPT:
            whole = np.concatenate(self.kept)
            self.kept = [whole[::_THIN].copy()]
            self.phase += self.every * (-len(whole) % _THIN)
            self.every *= _THIN
