"""Downsampling that does not jump when the input moves by one cell: blur first, then stride."""

from collections.abc import Sequence
from functools import lru_cache
from math import comb

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable

from . import axes
from .along import along
from .around import Border, Ends, around, filled, taken_in
from .axes import Ints
from .convolution import convolve
from .memory import room
from .pooling import MaxPool

# Cells of an axis up to which a blur is a product with a matrix. One thread of a Xeon with AMX,
# 256 x 32 x 32 x 32 cells forward and back: 7 ms for 21 in bf16, 12 for 28 in float32.
SMALL = 128


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
        self.register_buffer("weight", binomial(self.kernel), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        axes.check_input(x, self.rank, x.shape[1], where="BlurDown")
        if not any(self.before):
            return x
        ends = tuple((b, b) for b in self.before)
        return blurred(x, self.weight.to(x.dtype), self.stride, ends, "replicate")

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


def binomial(kernel: Sequence[int]) -> Tensor:
    """The product of a binomial row along each axis: ``(1, 1, *kernel)``, sums to 1."""
    weight = torch.ones(1, 1)
    for width in kernel:
        weight = weight[..., None] * torch.tensor(_row(width))
    return weight


def blurred(
    x: Tensor,
    weight: Tensor,
    stride: tuple[int, ...],
    ends: Ends | None = None,
    border: Border = "replicate",
) -> Tensor:
    """Binomial means of the windows of ``weight``, one every ``stride``, each channel alone.

    weight: as `binomial` gives it, in ``x``'s type. ends, border: cells that stand around the
    grid, as in `around`; none where None is given.
    Shapes: ``(B, C, *S) -> (B, C, *T)``, ``T[i] = (S[i] + sum(ends[i]) - K[i]) // stride[i] + 1``.
    """
    ends = ((0, 0),) * len(stride) if ends is None else ends
    # A network that is exported keeps the convolution, which takes any size.
    if x.device.type == "cpu" and not torch.compiler.is_compiling() and max(x.shape[2:]) <= SMALL:
        ways = zip(x.shape[2:], weight.shape[2:], stride, ends, strict=True)
        return along(x, [_matrix(*way, border, x.dtype) for way in ways])
    if torch.is_grad_enabled() and x.requires_grad:
        out: Tensor = _Blurred.apply(x, weight, stride, ends, border)  # type: ignore[no-untyped-call]
        return out
    return _blurred(around(x, ends, border), weight, stride)


def _blurred(x: Tensor, weight: Tensor, stride: tuple[int, ...]) -> Tensor:
    channels, rank = x.shape[1], len(stride)
    kernels = weight.expand(channels, 1, *weight.shape[2:])
    return convolve(x, kernels, None, stride, (0,) * rank, (1,) * rank, channels)


@lru_cache(maxsize=256)
def _matrix(
    cells: int, width: int, stride: int, ends: tuple[int, int], border: Border, dtype: torch.dtype
) -> Tensor:
    """What each of ``cells`` gives to each mean along one axis: ``(T, cells)``."""
    with torch.inference_mode(False):  # it may be asked for by a network that answers, and kept
        each = torch.eye(cells, dtype=torch.float64)[:, None]
        means = _blurred(around(each, (ends,), border), binomial((width,)).double(), (stride,))
        return means[:, 0].T.to(dtype).contiguous()


class _Blurred(torch.autograd.Function):
    """The native gradient of one kernel per channel takes 5 to 10 times as long as this one
    (Zen 4, bf16, 500 x 32 x 32 x 32 and 500 x 128 x 16 x 16 cells)."""

    @staticmethod
    def forward(
        ctx: FunctionCtx,
        x: Tensor,
        weight: Tensor,
        stride: tuple[int, ...],
        ends: Ends,
        border: Border,
    ) -> Tensor:
        ctx.kept = x.shape[2:], weight.shape[2:], stride, ends, border  # type: ignore[attr-defined]
        return _blurred(filled(x, ends, border) if any(map(any, ends)) else x, weight, stride)

    @staticmethod
    @once_differentiable
    def backward(
        ctx: FunctionCtx, gradient: Tensor
    ) -> tuple[Tensor | None, None, None, None, None]:
        size, kernel, stride, ends, border = ctx.kept  # type: ignore[attr-defined]
        for axis, (n, k, s) in enumerate(zip(size, kernel, stride, strict=True), start=2):
            if k > 1 or s > 1:
                gradient = _spread(gradient, axis, n + sum(ends[axis - 2]), _row(k), s)
        if any(map(any, ends)):  # only around a window, so the gradient is a new one by now
            gradient = taken_in(gradient, size, ends, border)
        return gradient, None, None, None, None


def _spread(gradient: Tensor, axis: int, size: int, row: tuple[float, ...], stride: int) -> Tensor:
    """The gradient of ``size`` cells along ``axis`` from that of windows over them."""
    cells = list(gradient.shape[2:])
    cells[axis - 2] = size
    out = room(gradient, cells)
    count = gradient.shape[axis]
    lead = (slice(None),) * axis
    for first in range(min(stride, size)):  # cells that are as far from the start of a stride
        here = out[(*lead, slice(first, None, stride))]
        taps = row[first::stride]
        if not taps:
            here.zero_()
            continue
        # Windows write what their first tap gives; the others add to it.
        torch.mul(gradient, taps[0], out=here.narrow(axis, 0, count))
        here.narrow(axis, count, here.shape[axis] - count).zero_()
        for later, weight in enumerate(taps[1:], start=1):
            here.narrow(axis, later, count).add_(gradient, alpha=weight)
    return out


def _row(width: int) -> tuple[float, ...]:
    """Row ``width - 1`` of Pascal's triangle, scaled to sum 1."""
    return tuple(comb(width - 1, i) / 2 ** (width - 1) for i in range(width))
