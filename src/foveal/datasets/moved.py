"""Changes for series and sounds that keep their label: time runs faster or slower, everything
gets louder. Whole batches at once, for any rank."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def warped(x: Tensor, reach: tuple[float, ...], chance: torch.Generator) -> Tensor:
    """``x`` with each axis run faster or slower by up to ``reach[i]`` of its speed.

    Values between cells are interpolated; what lies beyond an end is mirrored there. The middle
    stays in place; in samples of several lengths, which begin together, the first cell does.

    Shapes: ``(B, C, *S) -> (B, C, *S)``, float; NaN behind short samples stays behind them.
    """
    ragged = bool(x.isnan().any())
    for axis, share in enumerate(reach):
        if share:
            speed = 1 + share * (2 * torch.rand(x.shape[0], generator=chance) - 1)
            x = run(x, axis, speed.to(x.device), 0.0 if ragged else (x.shape[2 + axis] - 1) / 2)
    return x


def run(x: Tensor, axis: int, speed: Tensor, anchor: float) -> Tensor:
    """``x`` with grid axis ``axis`` passed at each sample's ``speed`` ``(B,)``: cell t shows what
    was at ``anchor + (t - anchor) * speed``."""
    last = x.shape[2 + axis] - 1
    cells = torch.arange(last + 1, device=x.device)
    place = (anchor + (cells - anchor) * speed[:, None]).abs()
    place = torch.where(place > last, 2 * last - place, place).clamp(0, last)
    before = place.floor()
    # Cells of the axis first: each is then one row, and rows are gathered in one call.
    lines = x.movedim(2 + axis, 1)
    rows = lines.reshape(-1, *lines.shape[2:])
    start = torch.arange(len(x), device=x.device)[:, None] * (last + 1)
    low, high = (
        rows.index_select(0, (start + at.long()).view(-1))
        for at in (before, (before + 1).clamp_max(last))
    )
    weight = (place - before).to(x.dtype).view(-1, *[1] * (rows.ndim - 1))
    # lerp would make NaN of a real cell beside padding even at weight 0.
    mixed = torch.where(weight > 0, torch.lerp(low, high, weight), low)
    return mixed.view(lines.shape).movedim(1, 2 + axis)


def louder(x: Tensor, reach: float, chance: torch.Generator) -> Tensor:
    """``x`` with each sample's distance from its own means changed by up to ``reach`` of it.

    Shapes: ``(B, C, *S) -> (B, C, *S)``, float.
    """
    wide = [1] * (x.ndim - 2)
    gain = 1 + reach * (2 * torch.rand(x.shape[0], generator=chance) - 1)
    mean = x.flatten(2).nanmean(-1).view(*x.shape[:2], *wide)
    return mean + (x - mean) * gain.to(x).view(-1, 1, *wide)


def spun(
    x: Tensor,
    plane: tuple[int, int],
    reach: float,
    shift: tuple[float, float],
    chance: torch.Generator,
) -> Tensor:
    """``x`` with each sample turned about its middle by up to ``reach`` degrees either way, then
    moved along both axes of ``plane`` by up to ``shift`` cells, fractions too.

    Values between cells are interpolated linearly; beyond the edge stands the mirror image.

    Args:
        plane: two grid axes, by position, whose cells are equally long.

    Shapes: ``(B, C, *S) -> (B, C, *S)``, of the same dtype.
    """
    axes = tuple(2 + axis for axis in plane)
    cells = x.movedim(axes, (-2, -1))
    shape, (rows, columns) = cells.shape, cells.shape[-2:]
    draw = 2 * torch.rand(3, len(x), generator=chance) - 1
    angle = torch.deg2rad(reach * draw[0])
    cos, sin = angle.cos(), angle.sin()
    # Where each cell comes from, in halves of the grid, as torch counts them: columns first.
    up, across = 2 * shift[0] * draw[1] / rows, 2 * shift[1] * draw[2] / columns
    along = [cos, sin * rows / columns, across, -sin * columns / rows, cos, up]
    where = torch.stack(along, 1).view(-1, 2, 3).to(x.device)
    flat = cells.reshape(len(x), -1, rows, columns)
    flat = flat if flat.is_floating_point() else flat.float()
    grid = F.affine_grid(where.to(flat.dtype), list(flat.shape), align_corners=False)
    out = F.grid_sample(flat, grid, "bilinear", "reflection", align_corners=False)
    if not x.is_floating_point():
        limits = torch.iinfo(x.dtype)
        out = out.round_().clamp_(limits.min, limits.max).to(x.dtype)
    return out.view(shape).movedim((-2, -1), axes)


def zoomed(x: Tensor, scale: Tensor, offset: Tensor) -> Tensor:
    """What was at place s of a sample at place ``offset + scale * s``, along each axis.

    Places count from the edge of the first cell. Values between cells are interpolated; where
    nothing was, a channel's mean stands. No blur where it shrinks: meant for small changes.

    Shapes: ``(B, C, *S)``, both others ``(B, rank)`` -> ``(B, C, *S)``, of the same dtype.
    """
    values = x if x.is_floating_point() else x.float()
    mean = values.mean(tuple(range(2, x.ndim)), keepdim=True)
    outside = torch.zeros((), dtype=torch.bool, device=x.device)
    for axis in range(x.ndim - 2):
        count = x.shape[2 + axis]
        middles = torch.arange(count, device=x.device) + 0.5
        place = (middles - offset[:, axis, None]) / scale[:, axis, None]
        out = (place < 0) | (place > count)
        shape = [len(x), 1, *[1] * axis, count, *[1] * (x.ndim - 3 - axis)]
        outside = outside | out.view(shape)
        values = _along(values, axis, (place - 0.5).clamp(0, count - 1))
    values = torch.where(outside, mean, values)
    if x.is_floating_point():
        return values
    limits = torch.iinfo(x.dtype)
    return values.round_().clamp_(limits.min, limits.max).to(x.dtype)


def _along(x: Tensor, axis: int, place: Tensor) -> Tensor:
    """``x`` at places ``(B, n)`` between its cells along one grid axis."""
    last = x.shape[2 + axis] - 1
    before = place.floor()
    lines = x.movedim(2 + axis, 1)
    rows = lines.reshape(-1, *lines.shape[2:])
    start = torch.arange(len(x), device=x.device)[:, None] * (last + 1)
    low, high = (
        rows.index_select(0, (start + at.long()).view(-1))
        for at in (before, (before + 1).clamp_max(last))
    )
    weight = (place - before).to(x.dtype).view(-1, *[1] * (rows.ndim - 1))
    return torch.lerp(low, high, weight).view(lines.shape).movedim(1, 2 + axis)
