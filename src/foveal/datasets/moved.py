"""Changes for series and sounds that keep their label: time runs faster or slower, everything
gets louder. Whole batches at once, for any rank."""

from __future__ import annotations

import torch
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
