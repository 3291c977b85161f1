"""Which cells answer for which box while a detector learns: those that do it best already."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..layers.boxes import agreement, reach_of
from .detector import Cells

NEAR = 0.75  # strides from the middle of a box within which a cell may answer for it in any case


@dataclass(frozen=True, slots=True)
class Assigned:
    """chosen: (P, 2) sample and cell of each cell that answers for a box. boxes: (P, 2 R) and
    labels: (P,) of that box. worth: (P,) what the cell should say of its class, 0 to 1."""

    chosen: Tensor
    boxes: Tensor
    labels: Tensor
    worth: Tensor


@torch.no_grad()
def assign(
    probabilities: Tensor,
    said: Tensor,
    true: Tensor,
    cells: Cells,
    *,
    most: int = 10,
    alpha: float = 1.0,
    beta: float = 6.0,
) -> Assigned:
    """The cells that are to answer, told from what they say now.

    Of the cells inside a box, the ``most`` with the highest ``t = s^alpha * u^beta`` answer for
    it, s being the probability that they give its class and u the overlap of their box with it.
    A cell that two boxes want goes to the one that it overlaps more. What a cell should say is its
    t, scaled so that the best cell of a box should say the best overlap. A box too small to hold
    the middle of a cell is open to those within three quarters of a stride.

    Args:
        probabilities: (B, A, K). said: (B, A, 2 R) boxes of the cells, in input cells.
        true: (B, M, 1 + 2 R) class and corners, NaN behind the last box of a sample.

    Source: Feng et al., "TOOD", arXiv:2108.07755, section 3.3 (theirs takes 13 cells).
    """
    known = ~true[..., 0].isnan()
    filled = true.nan_to_num(0.0)
    labels, boxes = filled[..., 0].long(), filled[..., 1:]
    open_ = _open(cells, boxes) & known[..., None]
    overlap = agreement(said[:, None], boxes[:, :, None]) * open_
    wanted = labels[..., None].expand(-1, -1, probabilities.shape[1])
    score = probabilities.movedim(2, 1).gather(1, wanted)
    fit = score**alpha * overlap**beta * open_
    best, place = fit.topk(min(most, fit.shape[2]), dim=2)
    # Early on all overlaps may be 0: then no cell is better than another, and none answers.
    taken = torch.zeros_like(open_).scatter(2, place, best > 0)
    rival = torch.where(taken, overlap, -1.0)
    owner = rival.argmax(1, keepdim=True)
    taken &= torch.zeros_like(taken).scatter(1, owner, True)
    fit = fit * taken
    highest = fit.amax(2, keepdim=True).clamp_min(1e-12)
    worth = fit / highest * (overlap * taken).amax(2, keepdim=True)
    sample, box, cell = taken.nonzero(as_tuple=True)
    return Assigned(
        torch.stack([sample, cell], 1),
        boxes[sample, box],
        labels[sample, box],
        worth[sample, box, cell].clamp(0, 1),
    )


def _open(cells: Cells, boxes: Tensor) -> Tensor:
    """Which cells may answer for which boxes: ``(B, M, A)``."""
    low, high = boxes.chunk(2, -1)
    middle = (low + high)[:, :, None] / 2
    near = ((cells.points - middle).abs() <= NEAR * cells.strides).all(-1)
    inside = (reach_of(cells.points, boxes[:, :, None]) > 0).all(-1)
    return inside | near


def box_loss(
    logits: Tensor,
    said: Tensor,
    true: Tensor,
    cells: Cells,
    *,
    gain: float = 2.0,
    gamma: float = 2.0,
) -> Tensor:
    """What is wrong with the answers of all cells: of classes, and ``gain`` times of places.

    Classes: cross-entropy against the worth of each cell, weighed by how far off it is to the
    power ``gamma`` (0: plain). Places: 1 minus the generalised overlap, weighed by worth. Both
    are divided by the sum of worth in the batch.

    Shapes: logits ``(B, A, K)``, said ``(B, A, 2 R)``, true ``(B, M, 1 + 2 R)`` -> scalar.
    Source: quality focal loss, Li et al., arXiv:2006.04388, equation 4; as `assign`.
    """
    found = assign(logits.sigmoid(), said, true, cells)
    sample, cell = found.chosen.unbind(1)
    target = torch.zeros_like(logits)
    target[sample, cell, found.labels] = found.worth
    error = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    if gamma:
        error = error * (logits.sigmoid() - target).abs().pow(gamma)
    total = found.worth.sum().clamp_min(1.0)
    apart = 1 - agreement(said[sample, cell], found.boxes, "generalised")
    return (error.sum() + gain * (apart * found.worth).sum()) / total
