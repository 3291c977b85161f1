"""Boxes as tensors, for any rank: where they are said to be, and how far two of them agree.

A box is a low and a high corner per axis, ``(..., 2 R)``, as in `metrics.boxes`.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

Agreement = Literal["plain", "generalised", "complete"]
_LEAST = 1e-7


def agreement(a: Tensor, b: Tensor, kind: Agreement = "plain") -> Tensor:
    """How far boxes agree, pair by pair: 1 where they are the same.

    "plain" is intersection over union, 0 where they part. "generalised" takes off the share of the
    smallest box around both that is in neither, so that boxes apart have a gradient; at least -1.
    "complete" takes off the squared distance of their centres, over the squared diagonal of that
    box, and a term for sides of unlike proportion; its rank is free here: the term is the mean
    over all pairs of axes.

    Shapes: ``(..., 2 R), (..., 2 R) -> (...)``, broadcast.
    Source: Rezatofighi et al., arXiv:1902.09630, equation 4; Zheng et al., arXiv:1911.08287,
        section 3.3 (rank 2).
    """
    low_a, high_a, low_b, high_b = (*a.chunk(2, -1), *b.chunk(2, -1))
    side_a, side_b = (high_a - low_a).clamp_min(0), (high_b - low_b).clamp_min(0)
    common = (torch.minimum(high_a, high_b) - torch.maximum(low_a, low_b)).clamp_min(0).prod(-1)
    union = side_a.prod(-1) + side_b.prod(-1) - common
    plain = common / union.clamp_min(_LEAST)
    if kind == "plain":
        return plain
    around = torch.maximum(high_a, high_b) - torch.minimum(low_a, low_b)
    if kind == "generalised":
        hull = around.prod(-1).clamp_min(_LEAST)
        return plain - (hull - union) / hull
    gap = ((low_a + high_a - low_b - high_b) / 2).square().sum(-1)
    gap = gap / around.square().sum(-1).clamp_min(_LEAST)
    return plain - gap - _proportion(plain, side_a, side_b)


def _proportion(plain: Tensor, side_a: Tensor, side_b: Tensor) -> Tensor:
    """The term for unlike proportions; none where there is a single axis."""
    rank = side_a.shape[-1]
    total = torch.zeros_like(plain)
    pairs = [(i, j) for i in range(rank) for j in range(i)]
    for i, j in pairs:
        angle = torch.atan2(side_a[..., i], side_a[..., j].clamp_min(_LEAST))
        other = torch.atan2(side_b[..., i], side_b[..., j].clamp_min(_LEAST))
        total = total + 4 / math.pi**2 * (angle - other).square()
    apart = total / max(len(pairs), 1)
    with torch.no_grad():  # as published: the trade-off factor is no way to lower the loss
        weight = apart / (1 - plain + apart).clamp_min(_LEAST)
    return weight * apart


def centres(size: tuple[int, ...], stride: tuple[int, ...]) -> Tensor:
    """Middles of the cells of a grid of ``size``, ``stride`` input cells apart: ``(prod, R)``."""
    along = [(torch.arange(n) + 0.5) * s for n, s in zip(size, stride, strict=True)]
    return torch.stack(torch.meshgrid(*along, indexing="ij"), -1).reshape(-1, len(size))


def around(points: Tensor, reach: Tensor) -> Tensor:
    """Boxes that reach so far from points towards both sides of every axis.

    Shapes: points ``(A, R)``, reach ``(..., A, 2 R)`` -> ``(..., A, 2 R)``.
    """
    before, behind = reach.chunk(2, -1)
    return torch.cat([points - before, points + behind], -1)


def reach_of(points: Tensor, boxes: Tensor) -> Tensor:
    """What `around` needs to give these boxes: distances from points to the sides."""
    low, high = boxes.chunk(2, -1)
    return torch.cat([points - low, high - points], -1)
