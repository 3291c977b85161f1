"""A class per cell: masks of class positions, `VOID` where no class is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import DataError
from ...grid import Sample
from ...plan import DataPart
from ...target import VOID
from .. import augment
from ..mispaired import mispaired
from ..placement import placed
from . import Rows, Truth


def _form(data: DataPart) -> tuple[tuple[int, ...], str]:
    return data.size, "uint8"


def _rows(sample: Sample, data: DataPart) -> Rows:
    """The mask on the prepared grid ``(1, *data.size)``: nearest cells, void outside."""
    mask, size = np.asarray(sample.y), sample.x.shape[1:]
    if mask.shape != size:
        raise DataError(
            f"its mask has {_words(mask.shape)} cells where it has {_words(size)} itself",
            where=sample.key,
            mend="give each sample a mask of its own size; a whole set that differs may be paired "
            "with the wrong files",
        )
    return placed(size, data, sample.grid).forth(mask.astype(np.uint8, copy=False), VOID)[None]


def _cover(rows: Rows, classes: int) -> NDArray[np.float32]:
    """Cells of each class; void is none."""
    return np.bincount(rows.reshape(-1), minlength=256)[:classes].astype(np.float32)


def _mirror(y: Tensor, axis: int, coins: Tensor, size: tuple[int, ...]) -> Tensor:
    return augment.mirror(y[:, None], axis, coins)[:, 0]


def _translate(y: Tensor, reach: list[int], starts: Tensor, size: tuple[int, ...]) -> Tensor:
    return augment.translate(y[:, None], reach, starts)[:, 0]


def _resize(y: Tensor, size: tuple[int, ...], new: tuple[int, ...]) -> Tensor:
    """The class in the middle of each new cell."""
    for axis, (before, after) in enumerate(zip(size, new, strict=True), start=1):
        if before != after:
            cells = ((torch.arange(after, device=y.device) + 0.5) * before / after).long()
            y = y.index_select(axis, cells)
    return y


def _renamed(rows: Rows, table: NDArray[np.int64]) -> Rows:
    return table.astype(np.uint8)[rows]


def _words(size: tuple[Any, ...]) -> str:
    return " x ".join(map(str, size)) or "no"


TRUTH = Truth(
    ragged=False,
    form=_form,
    rows=_rows,
    cover=_cover,
    mirror=_mirror,
    translate=_translate,
    resize=_resize,
    renamed=_renamed,
    doubt=mispaired,
)
