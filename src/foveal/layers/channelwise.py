"""Depthwise kernels of volumes, with gradients that keep up with the forward pass on a CPU."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from .memory import channels_last, room

Ints = tuple[int, ...]


def worth_it(x: Tensor, weight: Tensor, stride: Ints, groups: int) -> bool:
    """Whether `channelwise` is the faster way: where depthwise kernels of rank 3 learn on a CPU.

    Torch 2.13 takes 19 (float32) to 100 times (bf16) as long for their gradients as for answers. On
    one core of a Xeon with AMX, 96 channels of 4 x 18 x 26 x 18 cells in channels-last memory, 3
    taps an axis, there and back: 334 ms in bf16 and here 26, in float32 96 and 33. Strides in
    contiguous memory gain nothing here.
    """
    learns = torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad)
    alone = x.ndim == 5 and groups == x.shape[1] == len(weight) > 1
    return learns and alone and x.device.type == "cpu" and (x.stride(1) == 1 or max(stride) == 1)


def channelwise(
    x: Tensor, weight: Tensor, bias: Tensor | None, stride: Ints, start: Ints, dilation: Ints
) -> Tensor:
    """``conv3d`` of one kernel for each channel. Its gradients cannot be differentiated again.

    Shapes: x ``(B, C, *S)``, weight ``(C, 1, *k)``, answers as `torch.nn.functional.conv3d`.
    """
    if torch.is_autocast_enabled("cpu"):  # as autocast does, and with gradients that know of it
        half = torch.get_autocast_dtype("cpu")
        x, weight = (t if t.dtype == torch.float64 else t.to(half) for t in (x, weight))
    out: Tensor = _Channelwise.apply(x, weight, stride, start, dilation)  # type: ignore[no-untyped-call]
    return out if bias is None else out + bias.to(out.dtype).view(-1, 1, 1, 1)


class _Channelwise(Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, stride: Ints, start: Ints, dilation: Ints
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.where = stride, start, dilation
        return F.conv3d(x, weight, None, stride, start, dilation, len(weight))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        gradient = _like(gradient, x)
        wanted = ctx.needs_input_grad
        for_x = _of_cells(gradient, weight, x, *ctx.where) if wanted[0] else None
        for_weight = _of_kernel(gradient, x, weight, *ctx.where) if wanted[1] else None
        return for_x, for_weight, None, None, None


def _of_cells(
    gradient: Tensor, weight: Tensor, x: Tensor, stride: Ints, start: Ints, dilation: Ints
) -> Tensor:
    """The gradient of ``x``: a forward pass of the kernel back to front, as Dumoulin and Visin,
    arXiv:1603.07285, section 4; strides leave zeros between the cells of ``gradient``."""
    reach = [d * (k - 1) for k, d in zip(weight.shape[2:], dilation, strict=True)]
    full = [n + 2 * b - r for n, b, r in zip(x.shape[2:], start, reach, strict=True)]
    if full != list(gradient.shape[2:]):
        apart = room(gradient, full).zero_()
        apart[:, :, :: stride[0], :: stride[1], :: stride[2]] = gradient
        gradient = apart
    around = [r - b for r, b in zip(reach, start, strict=True)]
    return F.conv3d(gradient, weight.flip((2, 3, 4)), None, 1, around, dilation, len(weight))


def _of_kernel(
    gradient: Tensor, x: Tensor, weight: Tensor, stride: Ints, start: Ints, dilation: Ints
) -> Tensor:
    """The gradient of ``weight``, plane by plane: pictures have a fast kernel for it."""
    cells, taps = gradient.shape[2], weight.shape[2]
    last = (cells - 1) * stride[0] + 1
    behind = last + dilation[0] * (taps - 1) - start[0] - x.shape[2]
    x = F.pad(x, (0, 0, 0, 0, start[0], behind))  # a negative number cuts off
    planes = [
        torch.ops.aten.convolution_backward(
            _planes(gradient),
            _planes(_like(x[:, :, at : at + last : stride[0]], x)),
            weight[:, :, 0],  # its shape alone matters
            None,
            stride[1:],
            start[1:],
            dilation[1:],
            False,
            (0, 0),
            len(weight),
            (False, True, False),
        )[1]
        for at in range(0, taps * dilation[0], dilation[0])
    ]
    return torch.stack(planes, 2)


def _planes(volumes: Tensor) -> Tensor:
    """``(B, C, D, H, W) -> (B * D, C, H, W)``; a view of channels-last memory."""
    return volumes.movedim(2, 1).flatten(0, 1)


def _like(volumes: Tensor, x: Tensor) -> Tensor:
    """``volumes`` in channels-last memory where ``x`` lies so, else contiguous."""
    return channels_last(volumes) if x.stride(1) == 1 else volumes.contiguous()
