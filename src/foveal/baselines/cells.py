"""Samples as flat vectors: each axis averaged down until about a hundred cells are left."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from . import Features, Question, Rows

if TYPE_CHECKING:
    from torch import Tensor

Gather = Callable[[Rows], "Tensor"]  # rows -> (B, C, *S), as a Store gathers them

TOGETHER = 2**24  # values looked at at a time: 64 MB
CELLS = 144  # at most this many cells per channel are looked at: 12 x 12 in a picture


def question(
    gather: Gather,
    train: tuple[Rows, NDArray[Any]],
    test: tuple[Rows, NDArray[Any]],
    *,
    seconds: float = 10.0,
    seed: int = 0,
) -> Question:
    """The question about small cells.

    Args:
        gather: rows -> (B, C, *S), the cached values.
        train, test: rows and their encoded targets, both of one length.
        seconds, seed: as in `Question`.
    """
    return Question(
        known=lambda rows: small(gather, train[0][rows]),
        asked=lambda: small(gather, test[0]),
        width=small(gather, train[0][:1]).shape[1] if len(train[0]) else 0,
        words="small cells",
        learned=train[1],
        truth=test[1],
        seconds=seconds,
        seed=seed,
    )


def small(gather: Gather, rows: Rows, batch: int = 1024) -> Features:
    """Rows as flat vectors (N, F): each axis averaged down so that about `CELLS` are left."""
    parts = []
    if len(rows):
        batch = max(1, min(batch, TOGETHER // max(gather(rows[:1]).numel(), 1)))
    for start in range(0, len(rows), batch):
        x = shrunk(gather(rows[start : start + batch]), CELLS)
        parts.append(x.reshape(len(x), -1))
    return np.concatenate(parts)


def shrunk(values: Tensor, cells: int) -> NDArray[np.float32]:
    """Samples ``(B, C, *S)`` with each axis averaged down so that about ``cells`` are left."""
    x = values.cpu().numpy().astype(np.float32)
    # What lies behind a shorter sample is no number; here it counts as nothing.
    np.nan_to_num(x, copy=False)
    edge = max(1, int(cells ** (1 / max(x.ndim - 2, 1)) + 1e-9))
    for axis in range(2, x.ndim):
        x = shrink(x, axis, edge)
    return x


def shrink(x: NDArray[np.float32], axis: int, cells: int) -> NDArray[np.float32]:
    """``axis`` averaged down to at most ``cells`` cells of nearly equal width."""
    size = x.shape[axis]
    if size <= cells:
        return x
    edges = np.arange(cells) * size // cells
    widths = np.diff(np.append(edges, size)).astype(np.float32)
    shape = [1] * x.ndim
    shape[axis] = cells
    return np.asarray(np.add.reduceat(x, edges, axis=axis) / widths.reshape(shape), np.float32)
