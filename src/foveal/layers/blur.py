"""Downsampling that does not jump when the input moves by one cell: blur first, then stride."""

from functools import reduce
from math import comb

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import axes
from .axes import Ints
from .convolution import convolve
from .pooling import MaxPool


class BlurDown(nn.Module):
    """Blur with a binomial kernel, then keep every ``stride``-th cell.

    A bare stride folds fine patterns onto coarse ones. Blurring first removes what the coarse
    grid cannot hold. The border repeats the last cell: zeros would darken it.

    Args:
        rank: number of grid axes. stride: cells per step, one per axis or one for all; 1
            leaves an axis alone.

    Shapes: ``(B, C, *S) -> (B, C, *T)`` with ``T[i] = ceil(S[i] / stride[i])``.
    Raises: PlanError if ``stride`` does not fit ``rank``.
    Source: Zhang, arXiv:1904.11486, section 3.2. Kernels wider than 3 are ours.
    """

    weight: Tensor  # (1, 1, *K), sums to 1; a buffer, never trained, not saved

    def __init__(self, rank: int, stride: Ints) -> None:
        super().__init__()
        self.rank = rank
        self.stride = axes.per_axis(stride, rank, name="stride", where="BlurDown")
        self.kernel = tuple(2 * s - 1 for s in self.stride)
        self.before = tuple(s - 1 for s in self.stride)
        weight = reduce(lambda a, b: a[..., None] * b, [_binomial(k) for k in self.kernel])
        self.register_buffer("weight", weight[None, None], persistent=False)
        self._pad = [n for b in reversed(self.before) for n in (b, b)]

    def forward(self, x: Tensor) -> Tensor:
        channels = x.shape[1]
        axes.check_input(x, self.rank, channels, where="BlurDown")
        if not any(self.before):
            return x
        weight = self.weight.to(x.dtype).expand(channels, *[-1] * (self.rank + 1))
        x = F.pad(x, self._pad, mode="replicate")
        still = (0,) * self.rank
        return convolve(x, weight, None, self.stride, still, (1,) * self.rank, channels)

    def extra_repr(self) -> str:
        return f"{self.rank}, stride={self.stride}"


class MaxBlurPool(nn.Module):
    """A dense max pool, then `BlurDown`: a max pool that holds still under small shifts.

    Shapes: ``(B, C, *S) -> (B, C, *T)`` with ``T[i] = ceil(S[i] / stride[i])``.
    Raises: PlanError if numbers do not fit ``rank``.
    Source: Zhang, arXiv:1904.11486, section 3.2.
    """

    def __init__(self, rank: int, kernel: Ints, stride: Ints) -> None:
        super().__init__()
        self.pool = MaxPool(rank, kernel, 1)
        self.blur = BlurDown(rank, stride)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.blur(self.pool(x))
        return out


def _binomial(width: int) -> Tensor:
    """Row ``width - 1`` of Pascal's triangle, scaled to sum 1. Shape ``(width,)``."""
    row = torch.tensor([float(comb(width - 1, i)) for i in range(width)])
    return row / row.sum()
