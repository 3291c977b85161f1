"""Fewer cells: the grid is halved by a pool or a blur, and padding never leaks into an answer."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..layers import AveragePool, BlurDown, MaxPool, hide, strided


class Down(nn.Module):
    """Every ``stride`` cells become one, by their maximum, their average or a blur.

    Args:
        rank: number of grid axes.
        kind: "max", "average" or "blur".
        stride: cells per step along each axis; 1 leaves an axis alone.

    Shapes: x ``(B, C, *S) -> (B, C, *T)``, mask ``(B, 1, *S) -> (B, 1, *T)``, with
        ``T[i] = ceil(S[i] / stride[i])``. Real cells stand in front along each axis.
    """

    def __init__(self, rank: int, kind: str, stride: tuple[int, ...]) -> None:
        super().__init__()
        self.stride = stride
        pools = {"max": MaxPool, "average": AveragePool, "blur": BlurDown}
        self.pool: nn.Module = pools[kind](rank, stride)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        if mask is None:
            return self.pool(x), None
        less = strided(mask, self.stride)
        if isinstance(self.pool, BlurDown):
            return hide(self.pool(_extend(x, mask, self.stride)), less), less
        return self.pool(x, mask), less


def _extend(x: Tensor, mask: Tensor, stride: tuple[int, ...]) -> Tensor:
    """Repeat the last real cells into the padding, as far as a blur of ``stride`` reaches."""
    for axis, reach in enumerate(stride, start=2):
        inner = x.shape[axis] - 1
        for _ in range(reach - 1):
            before, seen = (
                torch.cat([t.narrow(axis, 0, 1), t.narrow(axis, 0, inner)], axis) for t in (x, mask)
            )
            x = torch.where((mask == 0) & (seen != 0), before, x)
            mask = torch.maximum(mask, seen)
    return x
