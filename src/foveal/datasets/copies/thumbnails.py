"""Small pictures of samples of any rank, in which a copy stays what it was.

Resizing, another encoding, brightness and contrast change little of them: each axis is averaged
down, then the mean is taken away and the rest brought to length 1.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...grid import Axis, data_of

if TYPE_CHECKING:
    from torch import Tensor

    from ..cache import Store

CELLS = 256  # of a thumbnail: 16 x 16 of a picture, 6 x 6 x 6 of a volume
FLAT = 1e-3  # of the largest value: less spread than this is none
AT_ONCE = 2**24  # values looked at together: 64 MB
Thumbs = NDArray[np.float32]
Rows = NDArray[np.int64]


def edges_of(size: tuple[int, ...]) -> tuple[int, ...]:
    """Cells of a thumbnail along each axis; an axis that has fewer keeps them."""
    edge = max(1, int(CELLS ** (1 / len(size)) + 1e-9))
    return tuple(min(edge, cells) for cells in size)


def mirrors_of(axes: tuple[Axis, ...]) -> tuple[int, ...]:
    """Axes along which a copy may have been mirrored: those of space."""
    return tuple(i for i, a in enumerate(axes) if a.mirrors and a.kind == "space")


def together(store: Store) -> int:
    """Rows of ``store`` that are looked at together."""
    return max(1, min(4096, AT_ONCE // max(prod(store.size) * store.channels, 1)))


def thumbnails(store: Store, axes: tuple[Axis, ...], rows: Rows) -> Thumbs:
    """Thumbnails of ``rows`` ``(N,)``, each of mean 0 and length 1: ``(N, *edges, told)``.

    Of signals each cell tells its mean and its spread, since a wave's mean is next to nothing;
    of all else its mean. Channels are averaged. A constant sample is 0 everywhere. What lies
    behind a shorter sample (NaN along the first axis) does not count: the thumbnail spans the
    sample alone.
    """
    waves, step = data_of(axes) == "signal", together(store)
    parts = [
        _normalised(_told(store.gather(rows[at : at + step]), waves))
        for at in range(0, len(rows), step)
    ]
    told = 2 if waves else 1
    return np.concatenate(parts) if parts else np.zeros((0, *edges_of(store.size), told), "f4")


def mirrored(thumbs: Thumbs, axis: int) -> Thumbs:
    """The same thumbnails mirrored along an ``axis`` of the grid."""
    return np.flip(thumbs, 1 + axis)


def _told(x: Tensor, waves: bool) -> Thumbs:
    """Samples ``(B, C, *S)`` as ``(B, *edges, told)``."""
    import torch

    from ...layers.resample import resize

    grey = x.to(torch.float32).mean(1, keepdim=True)
    edges = edges_of(tuple(grey.shape[2:]))
    empty = torch.isnan(grey)
    if not waves and not bool(empty.any()):
        small: Thumbs = resize(grey, edges)[:, 0, ..., None].numpy()
        return small
    lengths = (~empty).reshape(*empty.shape[:3], -1).any(3).sum(2)[:, 0]
    values = torch.nan_to_num(grey)
    mean = _along(values, lengths, edges[0])
    told = [mean]
    if waves:
        square = _along(values * values, lengths, edges[0])
        told.append((square - mean * mean).clamp_min(0).sqrt())
    found: Thumbs = np.stack([resize(each, edges)[:, 0].numpy() for each in told], -1)
    return found


def _along(values: Tensor, lengths: Tensor, cells: int) -> Tensor:
    """Means of ``values`` ``(B, 1, T, ...)`` over ``cells`` equal stretches of each length."""
    import torch

    sums = torch.nn.functional.pad(
        values.double().cumsum(2).movedim(2, -1), (1, 0)
    )  # (B, 1, ..., T + 1)
    ends = lengths[:, None] * torch.arange(cells + 1) // cells
    first = ends[:, :-1].clamp_max(values.shape[2] - 1)
    last = torch.maximum(ends[:, 1:], first + 1)

    def at(place: Tensor) -> Tensor:
        shape = (len(place), *[1] * (sums.ndim - 2), cells)
        return sums.gather(-1, place.reshape(shape).expand(*sums.shape[:-1], cells))

    width = (last - first).reshape(len(first), *[1] * (sums.ndim - 2), cells)
    return ((at(last) - at(first)) / width).float().movedim(-1, 2)


def _normalised(thumbs: Thumbs) -> Thumbs:
    """Each told thing without its mean, all together of length 1; 0 where there is no spread."""
    flat = thumbs.reshape(len(thumbs), -1, thumbs.shape[-1])
    largest = np.abs(flat).max((1, 2))
    flat = flat - flat.mean(1, keepdims=True)
    length = np.sqrt((flat.astype(np.float64) ** 2).sum((1, 2)))
    flatness = length / flat.shape[1] ** 0.5
    length[flatness <= FLAT * np.maximum(largest, 1e-30)] = np.inf
    return np.asarray(flat / length[:, None, None], np.float32).reshape(thumbs.shape)
