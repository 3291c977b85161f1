"""Turns by any angle in the plane of two grid axes, on a grid of any rank."""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor


def turned(
    x: Tensor,
    plane: tuple[int, int],
    degrees: float,
    steps: tuple[float, float] = (1.0, 1.0),
    *,
    beyond: Literal["border", "reflection"] = "border",
) -> Tensor:
    """``x`` turned about its middle, from the first axis of ``plane`` towards the second.

    Values between cells are interpolated linearly.

    Args:
        plane: two grid axes. steps: distance between neighbouring cells along each.
        beyond: what stands beyond the edge, the nearest cell or the mirror image.

    Shapes: ``(B, C, *S) -> (B, C, *S)``, float.
    """
    first, second = (2 + axis for axis in plane)
    cells = x.movedim((first, second), (-2, -1))
    lead, (rows, columns) = cells.shape[:-2], cells.shape[-2:]
    angle = math.radians(degrees)
    cos, sin = math.cos(angle), math.sin(angle)
    up = (torch.arange(rows, dtype=torch.float64) - (rows - 1) / 2) * steps[0]
    across = (torch.arange(columns, dtype=torch.float64) - (columns - 1) / 2) * steps[1]
    # Where each cell comes from: the turn undone.
    from_up = (cos * up[:, None] + sin * across[None, :]) / steps[0] * 2 / max(rows, 1)
    from_across = (cos * across[None, :] - sin * up[:, None]) / steps[1] * 2 / max(columns, 1)
    grid = torch.stack([from_across, from_up], -1)[None].to(x)
    flat = cells.reshape(1, -1, rows, columns)
    out = F.grid_sample(flat, grid, "bilinear", padding_mode=beyond, align_corners=False)
    return out.view(*lead, rows, columns).movedim((-2, -1), (first, second))


def within(size: tuple[int, ...], plane: tuple[int, int]) -> Tensor:
    """1 on cells inside the largest ellipse of a plane, 0 in its corners, ``(*S)``; what turns
    without losing its corners lies there."""
    total = torch.zeros(size)
    for axis in plane:
        place = (torch.arange(size[axis]) - (size[axis] - 1) / 2) / (size[axis] / 2)
        shape = [1] * len(size)
        shape[axis] = size[axis]
        total = total + place.square().view(shape)
    return (total <= 1).float()
