"""The backbone: a stem, then stages, from the plan's widths, depths, strides and kernels."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor, nn

from ..errors import PlanError
from ..forms import TextPart
from ..layers import Embed, Whiten, activation, hide, strided
from ..net import NetPart
from .block import ConvBlock, Stage
from .down import Down
from .parts import check


class WhitenStem(nn.Module):
    """Frozen patch whitening and an activation: both signs of the strongest directions.

    Shapes: ``(B, C, *S) -> (B, net.stem_width, *T)`` with ``T = ceil(S / stride)``.
    Source: Page, "How to Train Your ResNet 8"; Jordan, arXiv:2404.00498, section 3.2.
    """

    def __init__(self, rank: int, inputs: int, net: NetPart) -> None:
        super().__init__()
        most = 2 * inputs * math.prod(net.stem_kernel)
        if net.stem_width % 2 or not 2 <= net.stem_width <= most:
            raise PlanError(
                f"a whitening stem of kernel {net.stem_kernel} on {inputs} channels has 2 to "
                f"{most} outputs by twos, not {net.stem_width}",
                where="plan.json: net.stem_width",
                mend=f'set net.stem_width to {most}, or net.stem to "convolution"',
            )
        self.stride, width = net.stem_stride, net.stem_width
        behind = max(self.stride) > 1 and net.shift == "blur"  # a stride of its own, then
        self.whiten = Whiten(
            rank,
            inputs,
            net.stem_kernel,
            stride=1 if behind else self.stride,
            outputs=width,
        )
        self.activation = activation(net.activation)
        self.down: Down | None = None
        if behind:
            self.down = Down(rank, "stride", self.stride, shift="blur")

    def forward(self, x: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        if self.down is not None:
            x, mask = self.down(hide(self.activation(self.whiten(x)), mask), mask)
            return x, mask
        mask = None if mask is None else strided(mask, self.stride)
        return hide(self.activation(self.whiten(x)), mask), mask


class EmbedStem(nn.Module):
    """A vector per token. Shapes: ids ``(B, R, T) -> (B, net.stem_width, T)``."""

    def __init__(self, net: NetPart, text: TextPart | None) -> None:
        super().__init__()
        if text is None:
            raise PlanError(
                "a stem of embeddings needs to know the tokens",
                where="plan.json: data.text",
                mend='set net.stem to "convolution", or give a text part',
            )
        pieces, tokens = text.pieces, len(text.words) + 2
        self.embed = Embed(tokens, pieces, text.buckets, net.stem_width)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        return hide(self.embed(x), mask), mask


class Backbone(nn.Module):
    """Features of a grid: what the stages make of normalised values.

    Args:
        rank: number of grid axes.
        channels: C of the input.
        net: the plan's network.
        text: how text became tokens, for a stem of embeddings.
        time: position of the axis of time; None where the grid has none.

    Shapes: x ``(B, C, *S) -> (B, net.features, *T)``; the mask ``(B, 1, *S)`` of real cells
        comes back as ``(B, 1, *T)``, or None. Each stride divides S, rounded up.
    Raises: PlanError when fields of ``net`` disagree in number, or hold what cannot be.
    """

    def __init__(
        self,
        rank: int,
        channels: int,
        net: NetPart,
        text: TextPart | None = None,
        time: int | None = None,
    ) -> None:
        super().__init__()
        _check(rank, net, time)
        self.rank, self.outputs = rank, net.features
        self.parallel = net.block == "parallel"
        self.stem: nn.Module
        if net.stem == "whiten":
            self.stem = WhitenStem(rank, channels, net)
        elif net.stem == "embed":
            self.stem = EmbedStem(net, text)
        else:
            # The stem strides inside its convolution: pooling the finest grid costs most.
            inside = replace(net, down="stride")
            width, kernel = net.stem_width, net.stem_kernel
            step = net.stem_stride
            self.stem = ConvBlock(rank, channels, width, kernel, inside, step, lifts=True)
        before = (net.stem_width, *net.widths[:-1])
        if self.parallel:
            before = (net.stem_width,) * len(net.widths)
        self.stages = nn.ModuleList(
            Stage(rank, inputs, net, number, time) for number, inputs in enumerate(before)
        )

    def levels(self, x: Tensor, mask: Tensor | None = None) -> list[tuple[Tensor, Tensor | None]]:
        """Features and mask behind the stem and behind each stage, the finest first.

        Their channels and strides: ``net.levels``. Raises: PlanError for stages side by side.
        """
        if self.parallel:
            raise PlanError(
                "stages side by side have no levels",
                where="plan.json: net.block",
                mend='set net.block to "plain" or "residual"',
            )
        found = [self.stem(x, mask)]
        for stage in self.stages:
            found.append(stage(*found[-1]))
        return found

    def forward(self, x: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        x, mask = self.stem(x, mask)
        if self.parallel:
            found = [stage(x, mask) for stage in self.stages]
            return torch.cat([part for part, _ in found], 1), found[0][1]
        for stage in self.stages:
            x, mask = stage(x, mask)
        return x, mask


def _check(rank: int, net: NetPart, time: int | None) -> None:
    """Raises: PlanError naming the first field that does not fit the others."""
    if net.block in ("factored", "shifted") and time is None:
        raise PlanError(
            f"blocks that are {net.block} need an axis of time, and this grid has none",
            where="plan.json: net.block",
            mend='set net.block to "plain" or "residual"',
        )
    stages = len(net.widths)
    for name in ("depths", "strides", "kernels"):
        count = len(getattr(net, name))
        if count != stages or not stages:
            raise PlanError(
                f"{count} {name} for {stages} stages",
                where=f"plan.json: net.{name}",
                mend="give net.widths, depths, strides and kernels one entry per stage, at least 1",
            )
    windows = {"stem_kernel": net.stem_kernel, "stem_stride": net.stem_stride}
    for number in range(stages):
        windows[f"strides[{number}]"] = net.strides[number]
        windows[f"kernels[{number}]"] = net.kernels[number]
    for name, cells in windows.items():
        if len(cells) != rank or min(cells) < 1:
            raise PlanError(
                f"{list(cells)} does not fit {rank} axes",
                where=f"plan.json: net.{name}",
                mend=f"give {rank} whole numbers of at least 1, one per axis",
            )
    if net.block == "parallel" and len(set(net.strides)) > 1:
        raise PlanError(
            f"stages side by side have the strides {[list(s) for s in net.strides]}",
            where="plan.json: net.strides",
            mend="give all of them the same, so that their outputs can be joined",
        )
    for name in ("widths", "depths"):
        if min(getattr(net, name)) < 1:
            raise PlanError(
                f"{list(getattr(net, name))} holds a number below 1",
                where=f"plan.json: net.{name}",
                mend="give whole numbers of at least 1",
            )
    check(net, time)
