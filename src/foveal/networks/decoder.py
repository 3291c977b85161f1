"""A decoder for an answer at every cell: from the coarsest level back to the finest."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..layers import Convolution, TransposedConvolution, hide, resize
from ..layers.symmetry import ReadOut
from ..net import NetPart
from .block import ConvBlock
from .parts import convolution, fields, turns_of


class Decoder(nn.Module):
    """Raw answers at every cell: each level is enlarged, joined with the next finer, convolved.

    Args:
        rank: number of grid axes.
        net: gives widths, strides and kernels of the levels, norm and activation. Behind a stem
            that strides, answers are enlarged to the cells of the input by one more layer. With
            a symmetry a moved sample gives the moved answers; levels are enlarged by
            interpolation then, which no move disturbs.
        outputs: K, numbers per cell.
        depth: convolutions at each level.
        prior: expected share of each class, ``(K,)``; sets the bias. None starts from zero.

    Shapes: features ``(B, C_i, *S_i)`` of every level and their masks, the finest first ->
        ``(B, K, *S)``, S the finest level's cells times the stem's stride.
    Source: Ronneberger et al., arXiv:1505.04597 (skips by joining); one or two convolutions with
        norm after Isensee et al. 2021, doi:10.1038/s41592-020-01008-z.
    """

    every_stage = True

    def __init__(
        self,
        rank: int,
        net: NetPart,
        outputs: int,
        *,
        depth: int = 1,
        prior: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.net, self.turns = net, turns_of(net)
        widths = [width for width, _ in net.levels]
        ups: list[nn.Module] = []
        joins = []
        for level in reversed(range(len(net.widths))):
            here, step = widths[level], net.strides[level]
            if self.turns is None:
                ups.append(TransposedConvolution(rank, widths[level + 1], here, step, stride=step))
            else:
                ups.append(convolution(rank, widths[level + 1], here, 1, net, bias=True))
            kernel = net.kernels[level]
            joins.append(
                nn.ModuleList(
                    ConvBlock(rank, here if number else (here, here), here, kernel, net)
                    for number in range(depth)
                )
            )
        self.ups, self.joins = nn.ModuleList(ups), nn.ModuleList(joins)
        self.last: nn.Module
        if self.turns is not None:
            self.last = ReadOut(self.turns, fields(net, widths[0]), outputs)
        elif max(net.stem_stride) > 1:
            step = net.stem_stride
            self.last = TransposedConvolution(rank, widths[0], outputs, step, stride=step)
        else:
            self.last = Convolution(rank, widths[0], outputs, (1,) * rank)
        self.scale = net.scale
        if prior is not None:
            with torch.no_grad():
                self.last.bias.copy_(prior.clamp_min(1e-4).log())  # type: ignore[union-attr]

    def forward(self, features: Sequence[Tensor], masks: Sequence[Tensor | None]) -> Tensor:
        x = features[-1]
        levels = list(zip(features[:-1], masks[:-1], strict=True))
        for (skip, mask), up, join in zip(reversed(levels), self.ups, self.joins, strict=True):
            x = up(x)
            x = _like(x, skip) if self.turns is None else resize(x, skip.shape[2:])
            x = torch.cat((hide(x, mask), skip), 1)
            for block in join:  # type: ignore[attr-defined]
                x, mask = block(x, mask)
        raw: Tensor = self.last(x * self.scale)
        if self.turns is None or max(self.net.stem_stride) == 1:
            return raw
        return resize(
            raw, [n * s for n, s in zip(raw.shape[2:], self.net.stem_stride, strict=True)]
        )


def _like(x: Tensor, other: Tensor) -> Tensor:
    """The cells of ``x`` that ``other`` has: an odd axis was rounded up where it was halved."""
    for axis in range(2, x.ndim):
        if x.shape[axis] != other.shape[axis]:
            x = x.narrow(axis, 0, other.shape[axis])
    return x
