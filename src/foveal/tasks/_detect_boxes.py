"""From what a detector says of every cell to the boxes that it means."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..metrics.boxes import suppress_by_class
from ..metrics.detection import Found
from ..networks.detector import Cells, cells_of, corners
from ..plan import Plan
from . import Calibration

Rows = NDArray[Any] | Sequence[NDArray[Any]]
LIMIT = 0.6  # overlap from which two boxes of one class are taken for one thing
LEAST = 0.005  # what is less sure is not worth keeping
TRIED = 1000  # surest answers of a sample that suppression looks at
KEPT = 300  # boxes of a sample, of all classes together


def cells(plan: Plan, device: torch.device) -> Cells:
    """Where boxes are said, on the plan's grid."""
    return _cells(plan.data.size, plan.net.looks, plan.net, str(device))


@lru_cache(maxsize=8)
def _cells(size: tuple[int, ...], looks: tuple[int, ...], net: Any, device: str) -> Cells:
    return cells_of(size, looks, net, torch.device(device))


def parted(raw: Tensor, plan: Plan) -> tuple[Tensor, Tensor]:
    """Logits ``(B, A, K)`` and boxes ``(B, A, 2 R)`` in cells of the prepared grid."""
    classes = len(plan.classes)
    raw = raw if raw.dtype == torch.float64 else raw.float()
    logits, reach = raw[..., :classes], raw[..., classes:]
    return logits, corners(reach, cells(plan, raw.device))


def turned(raw: Tensor, axes: tuple[int, ...], plan: Plan) -> Tensor | None:
    """Raw answers for a sample mirrored along ``axes``, as they would be for the sample itself.

    None where cells of both do not lie at the same places.
    """
    order = _order(plan.data.size, plan.net.looks, plan.net, axes)
    if order is None:
        return None
    columns = list(range(raw.shape[-1]))
    first = len(plan.classes)
    for axis in axes:
        low, high = first + axis, first + plan.rank + axis
        columns[low], columns[high] = columns[high], columns[low]
    return raw[:, torch.tensor(order)][..., columns]


@lru_cache(maxsize=8)
def _order(
    size: tuple[int, ...], looks: tuple[int, ...], net: Any, axes: tuple[int, ...]
) -> tuple[int, ...] | None:
    """The mirror image of every cell, by position; None where one has none."""
    where = _cells(size, looks, net, "cpu")
    own = torch.cat([where.points, where.strides], 1)
    other = own.clone()
    for axis in axes:
        other[:, axis] = size[axis] - own[:, axis]
    place = {tuple(row): i for i, row in enumerate(own.tolist())}
    found = [place.get(tuple(row)) for row in other.tolist()]
    return None if None in found else tuple(i for i in found if i is not None)


def finish(raw: Tensor, plan: Plan, calibration: Calibration) -> Tensor:
    """Probabilities of each class and box of every cell, ``(B, A, K + 2 R)``."""
    logits, boxes = parted(raw, plan)
    edge = torch.tensor(plan.data.size * 2, dtype=boxes.dtype, device=boxes.device)
    return torch.cat([logits.sigmoid(), torch.minimum(boxes.clamp_min(0), edge)], -1)


def chosen(done: Tensor, classes: int) -> Tensor:
    """The boxes that are meant, surest first: ``(B, KEPT, 2 + 2 R)`` of score, class, corners.

    done: (B, A, K + 2 R) probabilities and boxes. NaN behind the last box of a sample.
    """
    found = torch.full((len(done), KEPT, done.shape[-1] - classes + 2), torch.nan)
    for out, one in zip(found, done, strict=True):
        scores = one[:, :classes].flatten()
        sure = (scores >= LEAST).nonzero()[:, 0]
        place = sure[scores[sure].argsort(descending=True, stable=True)[:TRIED]]
        cell, label = place // classes, place % classes
        boxes = one[cell, classes:].double().cpu().numpy()
        score = scores[place].double().cpu().numpy()
        names = label.cpu().numpy()
        kept = suppress_by_class(boxes, score, names, LIMIT)[:KEPT]
        row = np.concatenate([score[kept, None], names[kept, None], boxes[kept]], axis=1)
        out[: len(kept)] = torch.from_numpy(row)
    return found


def said(kept: Rows) -> list[Found]:
    """What `chosen` gave, sample by sample."""
    return [
        Found(row[:, 2:].astype(np.float64), row[:, 1].astype(np.int64), row[:, 0].astype(float))
        for row in (one[np.isfinite(one[:, 0])] for one in kept)
    ]


def true(target: Rows) -> list[Found]:
    """Encoded targets ``(N, M, 1 + 2 R)``, sample by sample."""
    return [
        Found(row[:, 1:].astype(np.float64), row[:, 0].astype(np.int64), np.ones(len(row)))
        for row in (one[np.isfinite(one[:, 0])] for one in target)
    ]


def padded(rows: Sequence[NDArray[Any]], width: int) -> NDArray[np.float32]:
    """``(N, most, width)`` with NaN behind the last row of a sample."""
    most = max([1, *map(len, rows)])
    out = np.full((len(rows), most, width), np.nan, np.float32)
    for one, row in zip(out, rows, strict=True):
        one[: len(row)] = np.asarray(row, np.float32).reshape(-1, width)
    return out
