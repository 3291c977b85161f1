"""Convolutions of "same" size for grids of rank 1, 2 and 3: plain, grouped, dilated, depthwise,
separable and transposed."""

from collections.abc import Callable
from math import prod, sqrt
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import PlanError
from . import axes, winograd
from .around import Border, around
from .axes import Ints
from .channelwise import channelwise, worth_it
from .memory import planar

Padding = Literal["zeros", "replicate", "circular"]
_CONVOLVE: dict[int, Callable[..., Tensor]] = {2: F.conv2d, 3: F.conv3d}
_TRANSPOSED: dict[int, Callable[..., Tensor]] = {2: F.conv_transpose2d, 3: F.conv_transpose3d}


class Convolution(nn.Module):
    """Slides one kernel over the grid; stride 1 keeps the size, for any kernel.

    Window t starts at cell ``t * stride - before``; cells outside the grid are zeros, the
    nearest cell or the opposite side. Zeros of odd kernels are added inside the kernel call,
    without a copy. Weights start as He et al. for ReLU, the bias at zero.

    Args:
        rank: number of grid axes (1 text or signal, 2 picture, 3 volume or video).
        inputs, outputs: channels.
        kernel, stride, dilation: cells, one per axis or one for all.
        groups: inputs and outputs fall into that many blocks that do not see each other.
        padding: "zeros", "replicate" or "circular".

    Shapes: ``(B, inputs, *S) -> (B, outputs, *T)`` with ``T[i] = ceil(S[i] / stride[i])``.
    Raises: PlanError if numbers do not fit ``rank``, or groups do not divide the channels.
    Source: He et al., arXiv:1502.01852, section 2.2 (weights).
    """

    def __init__(
        self,
        rank: int,
        inputs: int,
        outputs: int,
        kernel: Ints,
        *,
        stride: Ints = 1,
        dilation: Ints = 1,
        groups: int = 1,
        bias: bool = True,
        padding: Padding = "zeros",
    ) -> None:
        super().__init__()
        where = "Convolution"
        self.rank = rank
        self.kernel = axes.per_axis(kernel, rank, name="kernel", where=where)
        self.stride = axes.per_axis(stride, rank, name="stride", where=where)
        self.dilation = axes.per_axis(dilation, rank, name="dilation", where=where)
        self.inputs = axes.count(inputs, name="inputs", where=where)
        self.outputs = axes.count(outputs, name="outputs", where=where)
        self.groups = axes.count(groups, name="groups", where=where)
        self.padding = _check(padding, inputs, outputs, groups)
        self.span = axes.span(self.kernel, self.dilation)
        self.before = axes.before(self.span, self.stride)
        fan = inputs // groups * prod(self.kernel)
        self.weight = nn.Parameter(_he(outputs, inputs // groups, *self.kernel, fan=fan))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.tiled = False

    def forward(self, x: Tensor) -> Tensor:
        axes.check_input(x, self.rank, self.inputs, where="Convolution")
        tile = self._tile(x) if self.tiled else None
        if tile is not None:
            out = winograd.convolve(x, self.weight, tile)
            return out if self.bias is None else out + axes.beside(self.bias, self.rank)
        extra = axes.missing(x.shape[2:], self.span, self.stride, self.before)
        if self.padding == "zeros":
            x, start = axes.pad_behind(x, extra), self.before
        else:
            x, start = self._wrap(x, extra), (0,) * self.rank
        return convolve(x, self.weight, self.bias, self.stride, start, self.dilation, self.groups)

    def _tile(self, x: Tensor) -> tuple[int, ...] | None:
        """The tile for `winograd.convolve`, or None where the plain way is to be gone."""
        plain = (1,) * self.rank
        if (
            (self.stride, self.dilation, self.groups) != (plain, plain, 1)
            or self.padding != "zeros"
            or x.dtype != torch.float32
            or x.device.type != "cpu"
            or torch.is_autocast_enabled("cpu")
        ):
            return None
        return winograd.tile_for(tuple(x.shape[2:]), self.kernel, self.inputs, self.outputs)

    def _wrap(self, x: Tensor, extra: tuple[int, ...]) -> Tensor:
        ends = [(b, b + e) for b, e in zip(self.before, extra, strict=True)]
        border: Border = "circular" if self.padding == "circular" else "replicate"
        return around(x, ends, border, where=f"Convolution with kernel {self.kernel}")

    def extra_repr(self) -> str:
        return (
            f"{self.rank}, {self.inputs}, {self.outputs}, {self.kernel}, stride={self.stride}, "
            f"dilation={self.dilation}, groups={self.groups}, bias={self.bias is not None}"
        )


def tiled(module: nn.Module) -> nn.Module:
    """``module`` itself, whose wide convolutions of stride 1 need fewer multiplications from now.

    Answers change by rounding alone; see `winograd`. Meant for training on a CPU in float32.
    """
    for part in module.modules():
        if isinstance(part, Convolution):
            part.tiled = True
    return module


def depthwise(
    rank: int,
    channels: int,
    kernel: Ints,
    *,
    stride: Ints = 1,
    dilation: Ints = 1,
    bias: bool = True,
) -> Convolution:
    """A convolution in which every channel has one kernel and sees only itself."""
    return Convolution(
        rank,
        channels,
        channels,
        kernel,
        stride=stride,
        dilation=dilation,
        groups=channels,
        bias=bias,
    )


class SeparableConvolution(nn.Module):
    """A depthwise convolution over space, then a pointwise one over channels.

    Costs ``inputs * (prod(kernel) + outputs)`` weights where a plain one has their product.

    Shapes: ``(B, inputs, *S) -> (B, outputs, *T)`` with ``T[i] = ceil(S[i] / stride[i])``.
    Raises: PlanError as `Convolution`.
    Source: Chollet, arXiv:1610.02357, section 1.2, in the order that MobileNets use.
    """

    def __init__(
        self,
        rank: int,
        inputs: int,
        outputs: int,
        kernel: Ints,
        *,
        stride: Ints = 1,
        dilation: Ints = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.depthwise = depthwise(
            rank, inputs, kernel, stride=stride, dilation=dilation, bias=False
        )
        self.pointwise = Convolution(rank, inputs, outputs, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.pointwise(self.depthwise(x))
        return out


class TransposedConvolution(nn.Module):
    """Enlarges the grid: the exact transpose of a `Convolution` of that kernel and stride.

    Args:
        rank: number of grid axes. inputs, outputs: channels.
        kernel, stride: cells, one per axis or one for all; a kernel that the stride divides
            leaves no chequerboard.

    Shapes: ``(B, inputs, *S) -> (B, outputs, *T)`` with ``T[i] = S[i] * stride[i]``.
    Raises: PlanError if numbers do not fit ``rank``.
    Source: Dumoulin and Visin, arXiv:1603.07285, section 4; weights after He et al. (as above)
        with the number of taps that meet in one output cell.
    """

    def __init__(
        self,
        rank: int,
        inputs: int,
        outputs: int,
        kernel: Ints,
        *,
        stride: Ints = 2,
        bias: bool = True,
    ) -> None:
        super().__init__()
        where = "TransposedConvolution"
        self.rank = rank
        self.kernel = axes.per_axis(kernel, rank, name="kernel", where=where)
        self.stride = axes.per_axis(stride, rank, name="stride", where=where)
        self.inputs = axes.count(inputs, name="inputs", where=where)
        self.outputs = axes.count(outputs, name="outputs", where=where)
        self.before = axes.before(self.kernel, self.stride)
        taps = prod(-(-k // s) for k, s in zip(self.kernel, self.stride, strict=True))
        self.weight = nn.Parameter(_he(inputs, outputs, *self.kernel, fan=inputs * taps))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        short = [
            s + 2 * b - k for k, s, b in zip(self.kernel, self.stride, self.before, strict=True)
        ]
        self.behind = tuple(max(0, n) for n in short)
        # Even kernels of stride 1 give one cell too many, which no padding can take away.
        self.crop = tuple(max(0, -n) for n in short)

    def forward(self, x: Tensor) -> Tensor:
        axes.check_input(x, self.rank, self.inputs, where="TransposedConvolution")
        out = _transpose(x, self.weight, self.bias, self.stride, self.before, self.behind)
        for axis, cut in enumerate(self.crop, start=2):
            if cut:
                out = out.narrow(axis, 0, out.shape[axis] - cut)
        return out

    def extra_repr(self) -> str:
        return f"{self.rank}, {self.inputs}, {self.outputs}, {self.kernel}, stride={self.stride}"


def convolve(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: tuple[int, ...],
    start: tuple[int, ...],
    dilation: tuple[int, ...],
    groups: int,
) -> Tensor:
    rank = len(stride)
    if rank > 2 and max(*weight.shape[2:], *stride) == 1 and not any(start):
        # One cell sees itself alone: a plane of all cells takes a third to half of the time.
        flat = F.conv2d(x.flatten(2, -2), weight.flatten(2, -2), bias, groups=groups)
        return flat.view(*flat.shape[:2], *x.shape[2:])
    if worth_it(x, weight, stride, groups):
        return channelwise(x, weight, bias, stride, start, dilation)
    if rank > 1:
        return _CONVOLVE[rank](x, weight, bias, stride, start, dilation, groups)
    x, weight = planar(x), planar(weight)
    out: Tensor = F.conv2d(x, weight, bias, (1, *stride), (0, *start), (1, *dilation), groups)
    return out.squeeze(2)


def _transpose(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: tuple[int, ...],
    start: tuple[int, ...],
    behind: tuple[int, ...],
) -> Tensor:
    rank = len(stride)
    if rank > 1:
        return _TRANSPOSED[rank](x, weight, bias, stride, start, behind)
    x, weight = planar(x), planar(weight)
    out: Tensor = _TRANSPOSED[2](x, weight, bias, (1, *stride), (0, *start), (0, *behind))
    return out.squeeze(2)


def _he(*shape: int, fan: int) -> Tensor:
    return torch.randn(*shape) * sqrt(2 / fan)


def _check(padding: Padding, inputs: int, outputs: int, groups: int) -> Padding:
    if padding not in ("zeros", "replicate", "circular"):
        raise PlanError(
            f"padding is {padding!r}",
            where="Convolution",
            mend="give 'zeros', 'replicate' or 'circular'",
        )
    if inputs % groups or outputs % groups:
        raise PlanError(
            f"{groups} groups do not divide {inputs} inputs and {outputs} outputs",
            where="Convolution",
            mend="give groups that divide both, or change the channels",
        )
    return padding
