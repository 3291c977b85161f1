"""Batches of a store in an order that needs no memory: it follows from the seed and the epoch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import PlanError
from ..grid import Batch
from .cache import Store
from .truth_store import TruthStore

_CHUNK = 4096  # rows per copy to a device


class Batches:
    """Batches of ``rows`` of a store, epoch by epoch.

    On a GPU the rows are copied there once if they take less than half of its free memory, and
    every later batch is made on it. On a CPU the store's pages are read as they are needed.

    Args:
        rows: rows of the store that make up this part.
        targets: encoded targets, one per entry of ``rows``; or those on the grid, by row of the
            store; or None.
        batch: samples per batch. The last, smaller one is kept, unless ``shuffle`` is set and
            there is another: a handful of samples makes poor batch statistics.
        seed: with the epoch's number it fixes the order.
        shuffle: False gives the rows as they stand, for scoring.

    Raises: PlanError for a batch below 1.
    """

    def __init__(
        self,
        store: Store,
        rows: NDArray[np.int64],
        targets: Tensor | TruthStore | None,
        *,
        batch: int,
        seed: int = 0,
        device: str | torch.device = "cpu",
        shuffle: bool = True,
    ) -> None:
        if batch < 1:
            raise PlanError(f"batch is {batch}", where="plan.json: fit.batch", mend="use 1 or more")
        self.truths = targets if isinstance(targets, TruthStore) else None
        targets = None if isinstance(targets, TruthStore) else targets
        assert targets is None or len(targets) == len(rows), "one target per row"
        self.store, self.seed, self.shuffle = store, seed, shuffle
        self.rows = torch.as_tensor(rows, dtype=torch.int64)
        self.size = min(batch, max(len(rows), 1))
        self.device = torch.device(device)
        self.targets = None if targets is None else targets.to(self.device)
        self.resident = _resident(store, self.rows, self.device)

    def __len__(self) -> int:
        """Batches per epoch."""
        full, rest = divmod(len(self.rows), self.size)
        return full + (rest > 0 and not (self.shuffle and full > 0))

    def order(self, number: int) -> Tensor:
        """Positions ``(N,)`` into the rows in the order of epoch ``number``."""
        if not self.shuffle:
            return torch.arange(len(self.rows))
        mixed = (self.seed * 0x9E3779B1 + number * 0x85EBCA77 + 0x27D4EB2F) % 2**63
        return torch.randperm(len(self.rows), generator=torch.Generator().manual_seed(mixed))

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        """The batches of epoch ``number``, from batch ``start`` on. ``index`` stays on the CPU."""
        order = self.order(number)
        for i in range(start, len(self)):
            yield self.take(order[i * self.size : (i + 1) * self.size])

    def take(self, index: Tensor) -> Batch:
        """The samples at positions ``index`` ``(B,)`` of this part."""
        there = index.to(self.device)
        if self.resident is not None:
            x = self.resident.index_select(0, there).movedim(-1, 1)
        else:
            x = self.store.gather(self.rows[index]).to(self.device)
        if self.truths is not None:
            y = self.truths.gather(self.rows[index]).to(self.device)
            return Batch(x, y, index)
        return Batch(x, None if self.targets is None else self.targets[there], index)


def _resident(store: Store, rows: Tensor, device: torch.device) -> Tensor | None:
    """All rows on ``device`` as ``(N, *S, C)``; None on a CPU, or where they would not fit."""
    if device.type != "cuda":
        return None
    free, _ = torch.cuda.mem_get_info(device)
    if len(rows) * store.row_bytes > free // 2:
        return None
    chunks = (store.gather(part).movedim(1, -1) for part in torch.split(rows, _CHUNK))
    out: Tensor | None = None
    at = 0
    for chunk in chunks:
        if out is None:
            out = torch.empty((len(rows), *chunk.shape[1:]), dtype=chunk.dtype, device=device)
        out[at : at + len(chunk)].copy_(chunk)
        at += len(chunk)
    return out
