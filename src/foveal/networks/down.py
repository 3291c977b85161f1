"""Fewer cells: the grid is halved by a pool or a blur, and padding never leaks into an answer."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..errors import PlanError
from ..layers import AveragePool, BlurDown, MaxPool, hide, strided
from ..layers.centred import CentredPool, Kind
from ..layers.energy import half_square, root
from ..layers.symmetry import Symmetry
from ..net import NetPart
from .parts import turns_of

KINDS: dict[str, Kind] = {
    "max": "max",
    "average": "average",
    "energy": "average",
    "blur": "blur",
}


class Down(nn.Module):
    """Every ``stride`` cells become one, by their maximum, their energy, their average or a blur.

    Args:
        rank: number of grid axes.
        kind: "max", "energy", "average", "blur" or, where ``shift`` is "blur", "stride" (nothing
            but that).
        stride: cells per step along each axis; 1 leaves an axis alone.
        shift: "plain"; "blur" smooths between the maximum of every window, or the energy of every
            cell, and the stride (an average or a blur smooths already).
        turns: whose fields the channels are; windows then lie in the middle of the grid.

    Shapes: x ``(B, C, *S) -> (B, C, *T)``, mask ``(B, 1, *S) -> (B, 1, *T)``, with
        ``T[i] = ceil(S[i] / stride[i])``. Real cells stand in front along each axis.
    Raises: PlanError for a mask where turns are promised: they would move it.
    Source: blur behind a dense maximum, Zhang, arXiv:1904.11486.
    """

    def __init__(
        self,
        rank: int,
        kind: str,
        stride: tuple[int, ...],
        *,
        shift: str = "plain",
        turns: Symmetry | None = None,
    ) -> None:
        super().__init__()
        self.stride, self.maximum, self.energy = stride, kind == "max", kind == "energy"
        self.masks = turns is None
        self.dense = _dense(rank, stride, turns) if shift == "blur" and self.maximum else None
        self.pool: nn.Module
        if turns is not None:
            self.pool = CentredPool(rank, "blur" if shift == "blur" else KINDS[kind], stride)
        elif shift == "blur" or kind == "blur":
            self.pool = BlurDown(rank, stride)
        else:
            self.pool = MaxPool(rank, stride) if self.maximum else AveragePool(rank, stride)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        if not self.energy:
            return self._pooled(x, mask)
        half, less = self._pooled(half_square(x), mask)
        return hide(root(half), less), less

    def _pooled(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        if mask is None:
            return self.pool(x if self.dense is None else self.dense(x)), None
        if not self.masks:
            raise PlanError(
                "samples with padding cannot keep a symmetry or exact shifts",
                where="plan.json: net.symmetry, net.shift",
                mend='set net.symmetry to "none" and net.shift to "plain" or "blur"',
            )
        less = strided(mask, self.stride)
        if self.dense is not None:
            x = hide(self.dense(x, mask), mask)
        if isinstance(self.pool, BlurDown):
            return hide(self.pool(_extend(x, mask, self.stride)), less), less
        return self.pool(x, mask), less


def down_of(net: NetPart, rank: int, stride: tuple[int, ...]) -> Down:
    """How the stages of a plan's network halve the grid."""
    return Down(rank, net.down, stride, shift=net.shift, turns=turns_of(net))


def _dense(rank: int, stride: tuple[int, ...], turns: Symmetry | None) -> nn.Module:
    """The maximum of every window, before cells are left out."""
    if turns is None:
        return MaxPool(rank, stride, 1)
    return CentredPool(rank, "max", 1, kernel=stride)


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
