"""Brings a grid of any rank to another size, with antialiasing where it shrinks."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import PlanError
from .along import along

_NATIVE = (torch.uint8, torch.float32, torch.float64)


def resize(x: Tensor, size: Sequence[int]) -> Tensor:
    """``x`` at ``size``: linear where it grows, the mean under a triangle where it shrinks.

    Cell t of T lies at ``(t + 1/2) S / T``; a cell at distance d (in input cells) counts with
    ``max(0, 1 - d / max(1, S / T))``, scaled so that the weights sum to 1. An axis whose size
    stays is left as it is. uint8 stays uint8 (rounded; pictures on a CPU within 1 of the
    definition), floats keep their dtype, and other integers come back as float32.

    Shapes: ``(B, C, *S) -> (B, C, *size)``.
    Raises: PlanError if ``size`` does not fit the grid, or a size is below 1.
    """
    size = tuple(size)
    _check(x, size)
    if not x.is_floating_point() and x.dtype != torch.uint8:
        x = x.to(torch.float32)
    if tuple(x.shape[2:]) == size:
        return x
    # Torch 2.13 fails or gives wrong bytes where a picture becomes one cell wide.
    native = x.ndim == 4 and x.dtype in _NATIVE and x.device.type == "cpu" and min(size) > 1
    if native:
        return F.interpolate(x, size, mode="bilinear", antialias=True, align_corners=False)
    return _separable(x, size)


def _separable(x: Tensor, size: tuple[int, ...]) -> Tensor:
    dtype = x.dtype
    half = dtype in (torch.float16, torch.bfloat16)
    kept = x.is_floating_point() and (not half or torch.is_autocast_enabled(x.device.type))
    exact = dtype if kept else torch.float32  # autocast would make products of halves anyway
    rows = [
        None if old == new else _rows(old, new).to(x.device, exact)
        for old, new in zip(x.shape[2:], size, strict=True)
    ]
    x = along(x.to(exact), rows)
    return x.round().clamp(0, 255).to(dtype) if dtype == torch.uint8 else x.to(dtype)


def _rows(old: int, new: int) -> Tensor:
    """Weights of the old cells in each new one. Shape ``(new, old)``, rows sum to 1."""
    scale = old / new
    centre = (torch.arange(new, dtype=torch.float64) + 0.5) * scale
    cells = torch.arange(old, dtype=torch.float64) + 0.5
    distance = (cells - centre[:, None]).abs() / max(scale, 1.0)
    rows = (1 - distance).clamp_min(0)
    return rows / rows.sum(1, keepdim=True)


def _check(x: Tensor, size: tuple[int, ...]) -> None:
    if x.ndim != len(size) + 2 or not all(isinstance(n, int) and n >= 1 for n in size):
        raise PlanError(
            f"size {size} does not fit an input of shape {tuple(x.shape)}",
            where="resize",
            mend="give one whole number >= 1 for each axis after batch and channels",
        )
    if 0 in x.shape:
        raise PlanError(
            f"an input of shape {tuple(x.shape)} has no cells",
            where="resize",
            mend="leave empty grids out",
        )
