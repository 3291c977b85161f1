"""Blocks: a convolution with its norm and activation, and how blocks are wired into stages."""

from __future__ import annotations

from torch import Tensor, nn

from ..layers import DropPath, Shift, activation, hide, strided
from ..net import NetPart
from .down import down_of
from .parts import convolution, gate_of, norm_of


class ConvBlock(nn.Module):
    """Convolution, norm, activation; where cells are halved, the pool stands before the norm.

    The maximum of four cells, then one norm and one activation, costs a quarter of what they
    cost before the pool, and is the same for every activation that never falls.

    Args:
        rank: number of grid axes.
        inputs, outputs: channels. inputs: of each part where several are put side by side.
        kernel, stride: per axis.
        net: gives norm, activation, ``down`` (how cells are halved), symmetry and ``shift``.
        lifts: whether the inputs are plain channels, whatever the symmetry.

    Shapes: x ``(B, C, *S) -> (B, K, *T)``; the mask ``(B, 1, *S)`` shrinks along. T as in `Down`.
    Source: order after Jordan, "94% on CIFAR-10 in 3.29 Seconds", arXiv:2404.00498.
    """

    def __init__(
        self,
        rank: int,
        inputs: int | tuple[int, ...],
        outputs: int,
        kernel: tuple[int, ...],
        net: NetPart,
        stride: tuple[int, ...] | None = None,
        *,
        lifts: bool = False,
    ) -> None:
        super().__init__()
        self.stride = (1,) * rank if stride is None else stride
        halves = max(self.stride) > 1
        inside = halves and net.down == "stride" and net.shift != "blur"
        step = self.stride if inside else 1
        self.convolution = convolution(rank, inputs, outputs, kernel, net, stride=step, lifts=lifts)
        self.down = down_of(net, rank, self.stride) if halves and not inside else None
        self.norm: nn.Module | None = norm_of(net, outputs)
        self.activation = activation(net.activation)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        x = self.convolution(x)
        if self.down is not None:
            x, mask = self.down(x, mask)
        elif mask is not None and max(self.stride) > 1:
            mask = strided(mask, self.stride)
        if self.norm is not None:
            x = self.norm(x, mask)
        # Padding must be zero again: the next convolution looks at it.
        return hide(self.activation(x), mask), mask


class Factored(nn.Module):
    """A convolution over space, then one over time, each with its own norm and activation.

    The second activation makes it bend more often than one kernel over both, for fewer weights.
    Space is halved before time is looked at, which then costs a quarter.

    Shapes: as `ConvBlock`.
    Source: Tran et al., arXiv:1711.11248, section 3.5. Theirs has as many channels between the
        two as make up the weights of a full kernel; ours has the outputs' number, as Xie et al.,
        arXiv:1712.04851, for half of the cost.
    """

    def __init__(
        self,
        rank: int,
        inputs: int,
        outputs: int,
        kernel: tuple[int, ...],
        net: NetPart,
        stride: tuple[int, ...],
        time: int,
    ) -> None:
        super().__init__()
        over = [tuple(k if i == time else 1 for i, k in enumerate(v)) for v in (kernel, stride)]
        flat = [tuple(1 if i == time else k for i, k in enumerate(v)) for v in (kernel, stride)]
        self.space = ConvBlock(rank, inputs, outputs, flat[0], net, flat[1])
        self.time = ConvBlock(rank, outputs, outputs, over[0], net, over[1])

    def forward(self, x: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        x, mask = self.space(x, mask)
        x, mask = self.time(x, mask)
        return x, mask


class Shifted(nn.Module):
    """A `ConvBlock` that sees channels of the moments before and after.

    Shapes: as `ConvBlock`. Source: as `Shift`.
    """

    def __init__(self, shift: Shift, block: ConvBlock) -> None:
        super().__init__()
        self.shift = shift
        self.block = block

    def forward(self, x: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        # A real cell hands its channels on to padding, too, where they must not be seen.
        x, mask = self.block(hide(self.shift(x), mask), mask)
        return x, mask


def unit(
    rank: int,
    inputs: int,
    outputs: int,
    kernel: tuple[int, ...],
    net: NetPart,
    stride: tuple[int, ...] | None = None,
    time: int | None = None,
) -> nn.Module:
    """One convolution of a stage as ``net.block`` asks for it; ``time`` is its axis of time."""
    if time is not None and net.block == "factored" and kernel[time] > 1:
        steps = (1,) * rank if stride is None else stride
        return Factored(rank, inputs, outputs, kernel, net, steps, time)
    block = ConvBlock(rank, inputs, outputs, kernel, net, stride)
    if time is not None and net.block == "shifted":
        return Shifted(Shift(rank, inputs, time), block)
    return block


class Residual(nn.Module):
    """Blocks with a way around them: ``x + drop(gate(blocks(x)))``. Shapes stay.

    Source: He et al., arXiv:1512.03385; stochastic depth Huang et al., arXiv:1603.09382.
    """

    def __init__(self, blocks: list[nn.Module], gate: nn.Module | None, drop: float) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.gate = gate
        self.drop = DropPath(drop)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        branch = x
        for block in self.blocks:
            branch, mask = block(branch, mask)
        if self.gate is not None:
            branch = self.gate(branch, mask)
        return x + self.drop(branch), mask


class Stage(nn.Module):
    """Blocks of one width: the first halves the grid, the others keep it.

    In residual networks the others are wrapped by twos; in plain ones they follow each other.
    A gate closes every branch, or the plain stage.

    Args:
        rank: number of grid axes.
        inputs: channels that come in.
        net: the plan's network; ``number`` is the stage within it.
        time: position of the axis of time, None for a grid without one.

    Shapes: as `ConvBlock`, with ``K = net.widths[number]``.
    """

    def __init__(
        self, rank: int, inputs: int, net: NetPart, number: int, time: int | None = None
    ) -> None:
        super().__init__()
        width, kernel = net.widths[number], net.kernels[number]
        first = unit(rank, inputs, width, kernel, net, net.strides[number], time)
        rest = [
            unit(rank, width, width, kernel, net, time=time) for _ in range(net.depths[number] - 1)
        ]
        self.gate: nn.Module | None = None
        blocks: list[nn.Module] = [first]
        if net.block == "residual":
            # The deeper the branch, the more often it is dropped.
            drop = net.drop_path * (number + 1) / len(net.widths)
            for start in range(0, len(rest), 2):
                blocks.append(Residual(rest[start : start + 2], gate_of(net, width), drop))
        else:
            blocks.extend(rest)
            self.gate = gate_of(net, width)
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        for block in self.blocks:
            x, mask = block(x, mask)
        if self.gate is not None:
            x = self.gate(x, mask)
        return x, mask
