"""A pyramid: what coarse stages know of the whole, added to what fine stages see of the place."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from ..layers import hide, resize
from ..net import NetPart
from .block import ConvBlock
from .parts import convolution, turns_of


class Pyramid(nn.Module):
    """Features of one width at every level, each informed by all coarser ones.

    A pointwise convolution brings each level to ``width`` channels; from the coarsest on, each is
    blown up to the next finer grid (nearest cells; with a symmetry interpolated, which no move
    disturbs) and added; a block smooths the sum.

    Args:
        rank: number of grid axes.
        inputs: channels of each level, the finest first.
        width: channels of all levels that come out.
        net: gives norm and activation.

    Shapes: list of ``(B, C_i, *T_i)``, the finest first -> list of ``(B, width, *T_i)``; masks
        ``(B, 1, *T_i)`` or None.
    Source: Lin et al., arXiv:1612.03144, section 3.
    """

    def __init__(self, rank: int, inputs: Sequence[int], width: int, net: NetPart) -> None:
        super().__init__()
        kernel = (3,) * rank
        self.nearest = turns_of(net) is None
        self.across = nn.ModuleList(convolution(rank, n, width, 1, net, bias=True) for n in inputs)
        self.smooth = nn.ModuleList(ConvBlock(rank, width, width, kernel, net) for _ in inputs)

    def forward(
        self, levels: Sequence[Tensor], masks: Sequence[Tensor | None] | None = None
    ) -> list[Tensor]:
        masks = [None] * len(levels) if masks is None else masks
        found: list[Tensor] = []
        above: Tensor | None = None
        for across, smooth, x, mask in reversed(
            list(zip(self.across, self.smooth, levels, masks, strict=True))
        ):
            here = across(x)
            if above is not None:
                size = here.shape[2:]
                wide = F.interpolate(above, size, mode="nearest") if self.nearest else None
                here = here + (resize(above, size) if wide is None else wide)
            above = hide(here, mask)
            found.append(smooth(above, mask)[0])
        return found[::-1]
