"""Boxes: any number of them per sample, each a class and two corners."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import DataError
from ...grid import Sample
from ...metrics.boxes import extent
from ...plan import DataPart
from ..box_content import content_doubt
from ..placement import placed
from . import Rows, Truth

SEEN = 0.3  # share of a box that must still be there where a sample was cut or shifted


def _form(data: DataPart) -> tuple[tuple[int, ...], str]:
    return (1 + 2 * len(data.size),), "float32"


def _rows(sample: Sample, data: DataPart) -> Rows:
    """``(n, 1 + 2 R)`` class and corners on the prepared grid, cut at its border."""
    boxes, size = np.asarray(sample.y, np.float64), sample.x.shape[1:]
    if boxes.ndim != 1 + 1 or boxes.shape[1] != 1 + 2 * len(size):
        raise DataError(
            f"its boxes have the shape {boxes.shape} where (n, {1 + 2 * len(size)}) is needed",
            where=sample.key,
            mend="give a class, low corner and high corner for each, in the order of the axes",
        )
    where = placed(size, data, sample.grid)
    moved = boxes[:, 1:] * np.tile(where.scale, 2) + np.tile(where.offset, 2)
    cut = np.clip(moved, 0, np.tile(np.array(data.size, np.float64), 2))
    stays = (extent(cut) > 0) & (extent(cut) >= SEEN * extent(moved))
    return np.concatenate([boxes[:, :1], cut], axis=1)[stays].astype(np.float32)


def _cover(rows: Rows, classes: int) -> NDArray[np.float32]:
    """Boxes of each class."""
    return np.bincount(rows[:, 0].astype(np.int64), minlength=classes)[:classes].astype(np.float32)


def _mirror(y: Tensor, axis: int, coins: Tensor, size: tuple[int, ...]) -> Tensor:
    low, high = 1 + axis, 1 + len(size) + axis
    out = y.clone()
    out[..., low], out[..., high] = size[axis] - y[..., high], size[axis] - y[..., low]
    return torch.where(coins.to(y.device).bool()[:, None, None], out, y)


def _translate(y: Tensor, reach: list[int], starts: Tensor, size: tuple[int, ...]) -> Tensor:
    shift = torch.tensor(reach, device=y.device) - starts
    moved = y[..., 1:] + shift.repeat(1, 2)[:, None].to(y.dtype)
    return cut(torch.cat([y[..., :1], moved], -1), size)


def _resize(y: Tensor, size: tuple[int, ...], new: tuple[int, ...]) -> Tensor:
    scale = torch.tensor([after / before for before, after in zip(size, new, strict=True)] * 2)
    return torch.cat([y[..., :1], y[..., 1:] * scale.to(y)], -1)


def _zoom(y: Tensor, scale: Tensor, offset: Tensor, size: tuple[int, ...]) -> Tensor:
    wide, far = scale.repeat(1, 2)[:, None].to(y), offset.repeat(1, 2)[:, None].to(y)
    return cut(torch.cat([y[..., :1], y[..., 1:] * wide + far], -1), size)


def _sides(rows: Rows) -> NDArray[np.float64]:
    low, high = np.split(np.asarray(rows[:, 1:], np.float64), 2, axis=1)
    return high - low


def cut(y: Tensor, size: tuple[int, ...]) -> Tensor:
    """Boxes cut at the border of a grid of ``size``; NaN those of which too little is left.

    Shapes: ``(..., 1 + 2 R) -> (..., 1 + 2 R)``.
    """
    edge = torch.tensor(size * 2, dtype=y.dtype, device=y.device)
    inside = torch.minimum(y[..., 1:].clamp_min(0), edge)
    left, whole = (_extent(boxes) for boxes in (inside, y[..., 1:]))
    stays = (left > 0) & (left >= SEEN * whole)
    out = torch.cat([y[..., :1], inside], -1)
    return torch.where(stays[..., None], out, torch.nan)


def _extent(boxes: Tensor) -> Tensor:
    low, high = boxes.chunk(2, -1)
    return (high - low).clamp_min(0).prod(-1)


def _renamed(rows: Rows, table: NDArray[np.int64]) -> Rows:
    out = np.array(rows)
    out[..., 0] = table[rows[..., 0].astype(np.int64)]
    return out


TRUTH = Truth(
    ragged=True,
    form=_form,
    rows=_rows,
    cover=_cover,
    mirror=_mirror,
    translate=_translate,
    resize=_resize,
    renamed=_renamed,
    zoom=_zoom,
    sides=_sides,
    doubt=content_doubt,
)
