"""Targets on the grid by row of the store: one row each, or as many as a sample has things."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .cache import Store, open_store
from .draft import Draft

if TYPE_CHECKING:
    from torch import Tensor

    from ..plan import DataPart
    from .truths import Truth


class TruthStore:
    """Stored targets of the rows of a `Store`, gathered batch by batch; memory does not grow.

    Args:
        store: their rows, one channel.
        starts: ``(N + 1,)`` first stored row of each sample; None where each has exactly one.
    """

    def __init__(self, store: Store, starts: NDArray[np.int64] | None = None) -> None:
        self.store, self.starts = store, starts
        self.most = 1 if starts is None else int(np.diff(starts).max(initial=0))

    def __len__(self) -> int:
        return len(self.store) if self.starts is None else len(self.starts) - 1

    @property
    def row_bytes(self) -> int:
        """Of one sample in a batch."""
        return self.store.row_bytes * max(self.most, 1)

    def gather(self, rows: Tensor | NDArray[np.int64]) -> Tensor:
        """Targets of ``rows`` ``(B,)``: ``(B, *shape)``, or ``(B, most, *shape)`` with NaN behind
        the last one of a sample; ``most`` is that of the whole set."""
        import torch

        if self.starts is None:
            return self.store.gather(rows)[:, 0]
        index = np.asarray(rows, np.int64)
        first, counts = self.starts[index], self.starts[index + 1] - self.starts[index]
        places = np.arange(self.most) < counts[:, None]
        out = torch.full((len(index), self.most, *self.store.size), float("nan"))
        chosen = (first[:, None] + np.arange(self.most))[places]
        out[torch.from_numpy(places)] = self.store.gather(chosen)[:, 0]
        return out


def draft_of(truth: Truth, data: DataPart, expected: int, memory: bool) -> Draft:
    """A draft of the rows of so many samples, one channel each."""
    shape, dtype = truth.form(data)
    return Draft(shape, 1, dtype, expected=expected, memory=memory)


def with_starts(truth: Truth, store: Store, pieces: NDArray[np.integer]) -> TruthStore:
    """The targets in ``store``; pieces: ``(N,)`` stored rows of each sample."""
    if not truth.ragged:
        return TruthStore(store)
    return TruthStore(store, np.concatenate([[0], np.cumsum(pieces, dtype=np.int64)]))


def open_truths(truth: Truth, key: str, pieces: NDArray[np.integer]) -> TruthStore | None:
    """The targets called ``key`` in the cache folder; None where they are not whole."""
    store = open_store(key)
    if store is None or len(store) != int(pieces.sum()):
        return None
    return with_starts(truth, store, pieces)
