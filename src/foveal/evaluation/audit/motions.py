"""What is done to samples: places moved, values changed; whole batches, on a grid of any rank."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ...layers.along import along
from ...layers.resample import resize

Rows = NDArray[np.int64]  # the number of each sample of the batch, by which its chance is drawn


def signs(rows: Rows, axes: int) -> NDArray[np.int64]:
    """A direction of -1 and 1 for each sample, ``(B, axes)``: all of them in turn."""
    return 1 - 2 * ((rows[:, None] >> np.arange(axes)) & 1)


def rolled(x: Tensor, axes: Sequence[int], cells: NDArray[np.int64]) -> Tensor:
    """Each sample moved by ``cells`` ``(B, len(axes))``; what leaves comes in on the other side."""
    return _placed(x, axes, cells, lambda place, size: place % size)


def shifted(x: Tensor, axes: Sequence[int], cells: NDArray[np.int64]) -> Tensor:
    """Each sample moved by ``cells``; behind it stands what was at the edge."""
    return _placed(x, axes, cells, lambda place, size: place.clamp(0, size - 1))


def _placed(x: Tensor, axes: Sequence[int], cells: NDArray[np.int64], where: object) -> Tensor:
    assert callable(where)
    for i, axis in enumerate(axes):
        size = x.shape[2 + axis]
        place = torch.arange(size) - torch.from_numpy(np.ascontiguousarray(cells[:, i]))[:, None]
        place = where(place, size).to(x.device)
        shape = [len(x), *[1] * (x.ndim - 1)]
        shape[2 + axis] = size
        x = x.gather(
            2 + axis, place.view(shape).expand(*x.shape[: 2 + axis], size, *x.shape[3 + axis :])
        )
    return x


def cropped(x: Tensor, axes: Sequence[int], rows: Rows, draw: int, wide: float = 8 / 7) -> Tensor:
    """A window of the sample's size at a place drawn by chance, from the sample made ``wide``.

    Source: Zhang, arXiv:1904.11486, section 4: two crops of 224 out of 256; here 7 of 8 parts.
    """
    size = list(x.shape[2:])
    larger = [round(n * wide) if i in axes else n for i, n in enumerate(size)]
    seen = resize(x, larger)
    chance = np.stack([np.random.default_rng([draw, int(row)]).random(len(size)) for row in rows])
    start = (chance * (np.array(larger) - np.array(size) + 1)).astype(int)
    windows = [
        one[(slice(None), *(slice(a, a + n) for a, n in zip(at, size, strict=True)))]
        for one, at in zip(seen, start.tolist(), strict=True)
    ]
    return torch.stack(windows)


def scaled(x: Tensor, axes: Sequence[int], factor: float) -> Tensor:
    """What lies on the grid made ``factor`` times as large about the middle, of the same size.

    Made larger the edges are cut off; made smaller the edge cells stand around it.
    """
    size = list(x.shape[2:])
    other = [max(1, round(n * factor)) if i in axes else n for i, n in enumerate(size)]
    x = resize(x, other)
    for axis in axes:
        have, want = x.shape[2 + axis], size[axis]
        place = torch.arange(want) + (have - want) // 2
        x = x.index_select(2 + axis, place.clamp(0, have - 1).to(x.device))
    return x


def blurred(x: Tensor, axes: Sequence[int], sigma: float) -> Tensor:
    """A Gaussian of ``sigma`` cells along each axis; the edge cells stand beyond the edge."""
    reach = math.ceil(3 * sigma)
    taps = torch.exp(-(torch.arange(-reach, reach + 1, dtype=torch.float64) ** 2) / (2 * sigma**2))
    taps = (taps / taps.sum()).to(x)
    for axis in axes:
        size = x.shape[2 + axis]
        total = torch.zeros_like(x)
        for i, weight in enumerate(taps.tolist()):
            place = (torch.arange(size) + i - reach).clamp(0, size - 1).to(x.device)
            total += weight * x.index_select(2 + axis, place)
        x = total
    return x


def thickened(x: Tensor, axis: int, slices: int) -> Tensor:
    """Each run of ``slices`` neighbours along ``axis`` replaced by its mean."""
    size = x.shape[2 + axis]
    part = torch.arange(size) // slices
    count = torch.bincount(part).to(x)
    weight = F.one_hot(part).to(x) / count
    spread = F.one_hot(part).to(x) @ weight.T
    return along(x, [spread if i == axis else None for i in range(x.ndim - 2)])


def brighter(x: Tensor, by: Tensor) -> Tensor:
    """``by`` added to each channel, ``(C,)``."""
    return x + by.view(-1, *[1] * (x.ndim - 2)).to(x)


def stretched(x: Tensor, factor: float) -> Tensor:
    """Each channel's distance from its own mean made ``factor`` times as large."""
    mean = x.flatten(2).mean(-1).view(*x.shape[:2], *[1] * (x.ndim - 2))
    return mean + factor * (x - mean)


def noisy(x: Tensor, spread: Tensor, rows: Rows) -> Tensor:
    """Normal noise of ``spread`` ``(C,)`` added, drawn for each sample by its number."""
    drawn = np.stack([np.random.default_rng([7, int(r)]).normal(size=x.shape[1:]) for r in rows])
    return x + torch.from_numpy(drawn).to(x) * spread.view(-1, *[1] * (x.ndim - 2)).to(x)
