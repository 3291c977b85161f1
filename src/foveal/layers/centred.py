"""Windows that lie in the middle of the grid, so that a mirrored input gives the mirrored output
at every size, with and without a stride."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import PlanError
from . import axes
from .around import Border, around
from .axes import Ints
from .blur import binomial, blurred
from .convolution import Convolution, Padding, convolve
from .pooling import largest

Kind = Literal["max", "average", "blur"]
_AVERAGE: dict[int, Callable[..., Tensor]] = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


def windows(
    size: Sequence[int], span: tuple[int, ...], stride: tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """``(width, start)`` for each axis: T = ceil(S / stride) windows of ``width`` cells, the
    first of which begins ``start`` cells before the grid and the last ends as far behind it.

    Such windows exist where ``width`` has the parity of what the strides leave over,
    ``S - (T - 1) * stride``; the width is ``span``, or the next one that has it and leaves no
    cell out. Stride 2: 2 cells become 3 on odd axes, 3 cells become 4 on even ones.
    """
    widths, starts = [], []
    for n, w, s in zip(size, span, stride, strict=True):
        # Stride 1 leaves one cell, whatever the size: it may be left open by torch.export.
        left = 1 if s == 1 else n - (-(-n // s) - 1) * s
        width = max(w, left)
        width += (width - left) % 2
        widths.append(width)
        starts.append((width - left) // 2)
    return tuple(widths), tuple(starts)


def slide(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    *,
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
    groups: int = 1,
    padding: Padding = "zeros",
) -> Tensor:
    """A convolution whose windows are centred as in `windows`, in one call of the plain kernel.

    Where the width of the kernel does not fit the size of an axis, the kernel stands at both
    places next to the middle and the mean is taken: a kernel one tap wider. Shapes:
    ``(B, C, *S) -> (B, K, *T)`` with ``T[i] = ceil(S[i] / stride[i])``.
    """
    span = axes.span(tuple(weight.shape[2:]), dilation)
    width, start = windows(x.shape[2:], span, stride)
    weight = widen(weight, tuple(w - s for w, s in zip(width, span, strict=True)))
    if padding != "zeros":
        x, start = surround(x, start, padding), (0,) * len(stride)
    return convolve(x, weight, bias, stride, start, dilation, groups)


def widen(weight: Tensor, extra: tuple[int, ...]) -> Tensor:
    """``weight`` with ``extra`` more taps along each axis: the mean of it at all places there.

    Shapes: ``(K, C, *k) -> (K, C, *(k + extra))``; the taps keep their sum.
    """
    for axis, more in enumerate(extra, start=2):
        if more:
            ends = [0, 0] * (weight.ndim - 1 - axis) + [more, more]
            weight = F.pad(weight, ends).unfold(axis, more + 1, 1).mean(-1)
    return weight


def surround(x: Tensor, start: tuple[int, ...], padding: Border) -> Tensor:
    """``x`` with ``start`` cells more at both ends of each axis.

    Raises: PlanError if circular padding would go round more than once.
    """
    return around(x, [(b, b) for b in start], padding)


class CentredConvolution(nn.Module):
    """A `Convolution` whose windows lie in the middle of the grid, at any stride and any size.

    With a mirrored kernel, a mirrored input gives the mirrored output; `Convolution` keeps that
    promise only where the size happens to fit. See `slide` for sizes that do not.

    Args: as `Convolution`; a dilation needs odd kernels and stride 1.

    Shapes: ``(B, inputs, *S) -> (B, outputs, *T)`` with ``T[i] = ceil(S[i] / stride[i])``.
        torch.export fixes the sizes of axes that are strided over.
    Raises: PlanError if numbers do not fit.
    Source: the condition after the escnn notes of Weiler and Cesa, arXiv:1911.08251; the kernel
        between two cells is ours.
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
        made = Convolution(
            rank,
            inputs,
            outputs,
            kernel,
            stride=stride,
            dilation=dilation,
            groups=groups,
            bias=bias,
            padding=padding,
        )
        check_dilation(made.kernel, made.stride, made.dilation, where="CentredConvolution")
        self.rank, self.inputs, self.outputs, self.groups = rank, inputs, outputs, groups
        self.kernel, self.stride, self.dilation = made.kernel, made.stride, made.dilation
        self.padding = made.padding
        self.weight, self.bias = made.weight, made.bias

    def forward(self, x: Tensor) -> Tensor:
        axes.check_input(x, self.rank, self.inputs, where="CentredConvolution")
        return slide(
            x,
            self.weight,
            self.bias,
            stride=self.stride,
            dilation=self.dilation,
            groups=self.groups,
            padding=self.padding,
        )

    def extra_repr(self) -> str:
        return (
            f"{self.rank}, {self.inputs}, {self.outputs}, {self.kernel}, stride={self.stride}, "
            f"dilation={self.dilation}, groups={self.groups}, bias={self.bias is not None}"
        )


class CentredPool(nn.Module):
    """The largest value, the mean or a binomial blur of windows in the middle of the grid.

    A mirrored or turned input gives the mirrored or turned output, whatever the size. Each
    channel is pooled alone, so fields of a `Symmetry` keep their meaning.

    Args:
        rank: number of grid axes. kind: "max", "average" or "blur".
        stride: cells per step, one per axis or one for all; an axis of stride 1 keeps its size.
        kernel: cells at least; where None the stride, for a blur ``2 * stride - 1``. It is one
            more where the size asks for it (see `windows`).
        padding: "replicate" repeats the last cell, "circular" goes on at the opposite side.

    Shapes: ``(B, C, *S) -> (B, C, *T)`` with ``T[i] = ceil(S[i] / stride[i])``.
    Raises: PlanError if numbers do not fit ``rank``, or for another kind or padding.
    Source: blur after Zhang, arXiv:1904.11486, section 3.2.
    """

    def __init__(
        self,
        rank: int,
        kind: Kind,
        stride: Ints,
        *,
        kernel: Ints | None = None,
        padding: Border = "replicate",
    ) -> None:
        super().__init__()
        where = "CentredPool"
        self.rank, self.kind, self.padding = rank, kind, padding
        if kind not in ("max", "average", "blur"):
            raise PlanError(
                f"kind is {kind!r}", where=where, mend="give 'max', 'average' or 'blur'"
            )
        if padding not in ("replicate", "circular"):
            raise PlanError(
                f"padding is {padding!r}", where=where, mend="give 'replicate' or 'circular'"
            )
        self.stride = axes.per_axis(stride, rank, name="stride", where=where)
        usual = tuple(2 * s - 1 if kind == "blur" else s for s in self.stride)
        given = usual if kernel is None else kernel
        self.kernel = axes.per_axis(given, rank, name="kernel", where=where)

    def forward(self, x: Tensor) -> Tensor:
        axes.check_input(x, self.rank, x.shape[1], where="CentredPool")
        width, start = windows(x.shape[2:], self.kernel, self.stride)
        if max(*width, *self.stride) == 1:
            return x
        if self.kind == "max" and self.padding == "replicate":  # as if nothing stood outside
            return largest(x, width, self.stride, start)
        if self.kind == "blur":
            kernel = binomial(width).to(x.device, x.dtype)
            return blurred(x, kernel, self.stride, tuple((b, b) for b in start), self.padding)
        x = surround(x, start, self.padding)
        if self.kind == "max":
            return largest(x, width, self.stride)
        return _AVERAGE[self.rank](x, width, self.stride)

    def extra_repr(self) -> str:
        return f"{self.rank}, {self.kind!r}, stride={self.stride}, kernel={self.kernel}"


def check_dilation(
    kernel: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...], *, where: str
) -> None:
    """Raises: PlanError where a dilated kernel would have to stand between two cells."""
    for k, s, d in zip(kernel, stride, dilation, strict=True):
        if d > 1 and (s > 1 or (d * (k - 1)) % 2):
            raise PlanError(
                f"a kernel of {k}, dilated by {d}, at stride {s} has no middle cell",
                where=where,
                mend="dilate odd kernels at stride 1 only, or leave dilation at 1",
            )
