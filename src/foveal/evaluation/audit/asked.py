"""Asks a model about samples and their changed copies; the model may be any function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import DataError
from .changes import Move
from .motions import Rows

Answer = Callable[[NDArray[Any]], Any]  # (B, C, *S) -> probabilities (B, K)
Probabilities = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Asked:
    """A model, and the samples that it is asked about.

    x: (N, C, *S) in the dtype that the model takes; whole numbers are rounded after each change
    and kept within their dtype. y: (N,) positions of the true classes, or None.
    """

    answer: Answer
    x: NDArray[Any]
    y: NDArray[np.int64] | None
    batch: int = 64

    def said(self, rows: Rows, move: Move | None) -> Probabilities:
        """Probabilities (B, K) for samples after ``move``."""
        return checked(self.answer(self.changed(rows, move)), len(rows))

    def changed(self, rows: Rows, move: Move | None) -> NDArray[Any]:
        """Samples as the model sees them after ``move``."""
        x = self.x[rows]
        if move is None:
            return x
        values = torch.from_numpy(np.ascontiguousarray(x).astype(_wide(x.dtype), copy=True))
        return _as(move(values, rows), x.dtype)


def _wide(dtype: np.dtype[Any]) -> type:
    return np.float64 if dtype == np.float64 else np.float32


def _as(values: Tensor, dtype: np.dtype[Any]) -> NDArray[Any]:
    found = values.numpy()
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        found = np.rint(found).clip(limits.min, limits.max)
    return np.ascontiguousarray(found.astype(dtype, copy=False))


def checked(said: Any, count: int) -> Probabilities:
    """What a model said as (count, K) probabilities.

    Raises: DataError when they are none.
    """
    if isinstance(said, Tensor):
        said = said.detach().cpu().float().numpy()
    found = np.asarray(said, np.float64)
    if found.ndim != 2 or len(found) != count or not found.shape[1]:
        raise _odd(f"the answer to {count} samples has the shape {list(found.shape)}")
    total = found.sum(1)
    if not np.isfinite(found).all() or (found < -1e-4).any() or (abs(total - 1) > 1e-2).any():
        worst = total[np.argmax(np.where(np.isfinite(total), abs(total - 1), np.inf))]
        raise _odd(f"the answer to a sample is no probabilities: its numbers sum to {worst:.4g}")
    return found


def _odd(what: str) -> DataError:
    return DataError(
        what,
        where="the model that is audited",
        mend="let it return one probability per class for each sample, (B, K): end with a softmax",
    )
