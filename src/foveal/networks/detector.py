"""The head that finds boxes: at cells of a few levels, which class and how far to each side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..layers import Convolution
from ..layers.boxes import around, centres
from ..layers.symmetry import ReadOut
from ..layers.symmetry.readout import Gives
from ..net import NetPart
from .block import ConvBlock
from .parts import fields, keeps_places, turns_of
from .pyramid import Pyramid

PRIOR = 0.01  # that a cell holds a thing, at first: else the empty ones drown all others
WIDEST = 8.0  # of a logarithm of a distance: 3,000 strides


@dataclass(frozen=True, slots=True)
class Cells:
    """Every place where a box may be said, over all levels.

    points: (A, R) middles in input cells. strides: (A, R) distances to the next of the level.
    """

    points: Tensor
    strides: Tensor


def cells_of(
    size: tuple[int, ...], levels: Sequence[int], net: NetPart, device: torch.device | None = None
) -> Cells:
    """The cells of some levels of a backbone on inputs of ``size``, in the order of the head.

    levels: positions in ``net.levels`` (0 is the stem). With a symmetry every grid lies around
    the middle of the sample, also where strides do not divide the size.
    """
    centred = turns_of(net) is not None
    grid = tuple(-(-n // s) for n, s in zip(size, net.stem_stride, strict=True))
    grids = [grid]
    for stride in net.strides:
        grid = tuple(-(-n // s) for n, s in zip(grid, stride, strict=True))
        grids.append(grid)
    points, strides = [], []
    for level in levels:
        stride = net.levels[level][1]
        points.append(centres(grids[level], stride))
        if centred:
            over = zip(size, grids[level], stride, strict=True)
            points[-1] = points[-1] + torch.tensor([(n - m * s) / 2 for n, m, s in over])
        strides.append(torch.tensor(stride, dtype=torch.float32).expand_as(points[-1]))
    return Cells(torch.cat(points).to(device), torch.cat(strides).to(device))


def corners(reach: Tensor, cells: Cells) -> Tensor:
    """Boxes from what the head says of distances: exponentials, in strides of the level.

    Shapes: ``(B, A, 2 R) -> (B, A, 2 R)``, in input cells.
    """
    wide = cells.strides.repeat(1, 2)
    return around(cells.points, reach.clamp(-WIDEST, WIDEST).exp() * wide)


class BoxHead(nn.Module):
    """Logits of the classes and logarithms of the distances to the sides, for every cell.

    A pyramid over some levels of the backbone; then for each level two towers of its own, one for
    what is there and one for where it ends, since both want to know different things.

    Args:
        rank: number of grid axes.
        net: channels and strides of the backbone's levels; norm and activation.
        levels: which of them to look at, the finest first.
        classes: kinds of things. width: channels of pyramid and towers. depth: blocks per tower.
        side: usual side of a box in input cells along each axis, so that the first boxes fit.

    With a symmetry a moved sample gives the moved boxes, their sides exchanged with the axes.

    Shapes: list of ``(B, C_i, *T_i)`` of all levels, and their masks -> ``(B, A, classes + 2 R)``.
    Source: anchor-free towers after Tian et al., arXiv:1904.01355; the prior of Lin et al.,
        arXiv:1708.02002, section 4.1.
    """

    every_stage = True

    def __init__(
        self,
        rank: int,
        net: NetPart,
        levels: Sequence[int],
        classes: int,
        *,
        width: int,
        depth: int = 1,
        side: Sequence[float] = (),
    ) -> None:
        super().__init__()
        keeps_places(net)
        self.levels = tuple(levels)
        self.pyramid = Pyramid(rank, [net.levels[i][0] for i in levels], width, net)

        def towers() -> nn.ModuleList:
            blocks = [
                [ConvBlock(rank, width, width, (3,) * rank, net) for _ in range(depth)]
                for _ in levels
            ]
            return nn.ModuleList(nn.ModuleList(tower) for tower in blocks)

        self.what, self.where = towers(), towers()
        # What answers is called last: no norm stands behind it (see training/optimiser.py).
        self.last = nn.ModuleList(
            nn.ModuleList(_answer(rank, width, kinds, net) for _ in levels)
            for kinds in (classes, 0)
        )
        whats, wheres = (each.children() for each in self.last.children())
        for what, where, level in zip(whats, wheres, levels, strict=True):
            stride = net.levels[level][1]
            _begin(what, math.log(PRIOR / (1 - PRIOR)))
            wide = side or stride
            half = [math.log(max(n / 2, 0.5) / s) for n, s in zip(wide, stride, strict=True)]
            _begin(where, torch.tensor(half * 2))

    def forward(
        self, levels: Sequence[Tensor], masks: Sequence[Tensor | None] | None = None
    ) -> Tensor:
        chosen = [levels[i] for i in self.levels]
        hidden = [None if masks is None else masks[i] for i in self.levels]
        found = []
        last_whats, last_wheres = self.last.children()
        parts = (self.what, last_whats.children(), self.where, last_wheres.children())
        seen = self.pyramid(chosen, hidden)
        for x, mask, what, last_what, where, last_where in zip(seen, hidden, *parts, strict=True):
            said = (last_what(_through(what, x, mask)), last_where(_through(where, x, mask)))
            found.append(torch.cat([part.flatten(2) for part in said], 1))
        return torch.cat(found, 2).movedim(1, 2)


def _answer(rank: int, width: int, classes: int, net: NetPart) -> nn.Module:
    """What answers for every cell: a score of each class, or where there are none the sides."""
    turns = turns_of(net)
    if turns is None:
        return Convolution(rank, width, classes or 2 * rank, 1)
    gives: Gives = "scalar" if classes else "faces"
    return ReadOut(turns, fields(net, width), classes or 1, gives=gives)


def _through(tower: nn.Module, x: Tensor, mask: Tensor | None) -> Tensor:
    for block in tower.children():
        x, mask = block(x, mask)
    return x


@torch.no_grad()
def _begin(last: nn.Module, bias: float | Tensor) -> None:
    """Small weights and this bias: at first every cell says the same.

    Sides that a symmetry exchanges have one bias in common: their mean.
    """
    assert isinstance(last, Convolution | ReadOut), "a tower ends with a convolution"
    assert last.bias is not None, "which has a bias"
    last.weight.mul_(0.1)
    each = torch.as_tensor(bias)
    last.bias.copy_((each if len(last.bias) == each.numel() else each.mean()).expand_as(last.bias))
