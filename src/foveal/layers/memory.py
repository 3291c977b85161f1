"""Channels-last memory for any rank: the layout in which convolutions run fastest on a CPU."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

_FORMAT = {4: torch.channels_last, 5: torch.channels_last_3d}


def channels_last(x: Tensor) -> Tensor:
    """The same values with the channels of a cell side by side in memory.

    Shapes: ``(B, C, *S) -> (B, C, *S)``; ``x`` itself where it lies so already.
    """
    if x.ndim in _FORMAT:
        return x.contiguous(memory_format=_FORMAT[x.ndim])
    return x.transpose(1, -1).contiguous().transpose(1, -1)


def room(x: Tensor, size: Sequence[int]) -> Tensor:
    """An unset tensor ``(B, C, *size)`` of ``x``'s type, in the order in which ``x`` lies."""
    if x.stride(1) == 1 and x.shape[1] > 1:
        return x.new_empty(x.shape[0], *size, x.shape[1]).movedim(-1, 1)
    return x.new_empty(*x.shape[:2], *size)


def planar(x: Tensor) -> Tensor:
    """A line as a grid of height 1: PyTorch keeps channels-last memory from two axes on.

    Shapes: ``(B, C, S) -> (B, C, 1, S)``; more axes stay as they are. A view.
    """
    return x.unsqueeze(2) if x.ndim == 3 else x


@torch.no_grad()
def kernels_channels_last(module: nn.Module) -> nn.Module:
    """``module`` itself, with its kernels laid out for channels-last inputs."""
    for weight in module.parameters():
        if weight.ndim in (3, *_FORMAT):
            weight.data = channels_last(weight.data)
    return module
