"""Pooling: the largest or the mean value of a window, of the whole grid, or of a share of it.
Padding never counts, neither at the border nor where a mask says so."""

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import PlanError
from . import axes
from .axes import Ints
from .mask import hide, strided
from .memory import planar

Kind = Literal["average", "max"]
_MAX: dict[int, Callable[..., Tensor]] = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
_AVERAGE: dict[int, Callable[..., Tensor]] = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
_ADAPTIVE: dict[tuple[int, str], Callable[..., Tensor]] = {
    (1, "average"): F.adaptive_avg_pool1d,
    (2, "average"): F.adaptive_avg_pool2d,
    (3, "average"): F.adaptive_avg_pool3d,
    (1, "max"): F.adaptive_max_pool1d,
    (2, "max"): F.adaptive_max_pool2d,
    (3, "max"): F.adaptive_max_pool3d,
}


def largest(
    x: Tensor,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    before: tuple[int, ...] | int = 0,
    *,
    open_end: bool = False,
) -> Tensor:
    """The largest value of each window, in the type of ``x``, which holds every answer.

    Autocast on a CPU would make float32 of volumes before they are pooled, an eighth of what a
    network for masks takes to answer in bf16. A line in channels-last memory is pooled as a grid
    of height 1: on its own it came out in other memory, and later layers took up to 1.6 times as
    long to answer.

    Shapes: ``(B, C, *S) -> (B, C, *T)``; ``open_end``: the last window may be cut short.
    """
    if x.ndim == 3 and x.stride(1) == 1:
        edge = (0, *before) if isinstance(before, tuple) else (0, before)
        wide, step = (1, *kernel), (1, *stride)
        return largest(planar(x), wide, step, edge, open_end=open_end).squeeze(2)
    pool = _MAX[x.ndim - 2]
    if x.device.type != "cpu" or not torch.is_autocast_enabled("cpu"):
        return pool(x, kernel, stride, before, ceil_mode=open_end)
    with torch.autocast("cpu", enabled=False):
        return pool(x, kernel, stride, before, ceil_mode=open_end)


class _Window(nn.Module):
    """Where windows lie: they start as those of a `Convolution` of that kernel and stride."""

    def __init__(self, rank: int, kernel: Ints, stride: Ints | None) -> None:
        super().__init__()
        where = type(self).__name__
        self.rank = rank
        self.kernel = axes.per_axis(kernel, rank, name="kernel", where=where)
        stride = self.kernel if stride is None else stride
        self.stride = axes.per_axis(stride, rank, name="stride", where=where)
        self.before = axes.before(self.kernel, self.stride)
        # Windows apart: the native kernel's own rounding up gives ceil(S / stride) of them.
        self._apart = all(k <= s for k, s in zip(self.kernel, self.stride, strict=True))

    def missing(self, x: Tensor) -> tuple[int, ...]:
        axes.check_input(x, self.rank, x.shape[1], where=type(self).__name__)
        return axes.missing(x.shape[2:], self.kernel, self.stride, self.before)

    def extra_repr(self) -> str:
        return f"{self.rank}, {self.kernel}, stride={self.stride}"


class MaxPool(_Window):
    """The largest value in each window.

    Args:
        rank: number of grid axes. kernel, stride: cells, one per axis or one for all; the
            stride is the kernel where none is given.

    Shapes: ``(B, C, *S) -> (B, C, *T)`` with ``T[i] = ceil(S[i] / stride[i])``; mask
        ``(B, 1, *S)``. Output cells that are padding themselves are 0.
    Raises: PlanError if numbers do not fit ``rank``.
    """

    def __init__(self, rank: int, kernel: Ints, stride: Ints | None = None) -> None:
        super().__init__(rank, kernel, stride)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        extra = self.missing(x)
        x = hide(x, mask, -torch.inf)
        if any(extra) and not self._apart:
            x, extra = axes.pad_behind(x, extra, -torch.inf), ()
        out = largest(x, self.kernel, self.stride, self.before, open_end=any(extra))
        return out if mask is None else hide(out, strided(mask, self.stride))


class AveragePool(_Window):
    """The mean of the real cells in each window.

    Args and Shapes: as `MaxPool`.
    Raises: PlanError if numbers do not fit ``rank``.
    """

    def __init__(self, rank: int, kernel: Ints, stride: Ints | None = None) -> None:
        super().__init__(rank, kernel, stride)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        extra, pool = self.missing(x), _AVERAGE[self.rank]
        wide = any(n < k for n, k in zip(x.shape[2:], self.kernel, strict=True))
        if mask is None and not wide and (self._apart or not any(extra)):
            return pool(x, self.kernel, self.stride, self.before, any(extra), False)
        real = x.new_ones(1, 1, *x.shape[2:]) if mask is None else mask.to(x.dtype)
        total = pool(self._padded(hide(x, mask), extra), self.kernel, self.stride)
        part = pool(self._padded(real, extra), self.kernel, self.stride)
        out = total / part.masked_fill(part == 0, 1)
        return out if mask is None else hide(out, strided(mask, self.stride))

    def _padded(self, x: Tensor, extra: tuple[int, ...]) -> Tensor:
        # All of it outside the pool, which in rank 3 refuses grids narrower than its window.
        both = zip(reversed(self.before), reversed(extra), strict=True)
        return F.pad(x, [n for b, e in both for n in (b, b + e)])


class GlobalPool(nn.Module):
    """One number per channel: the mean or the largest of the real cells. For any grid.

    Args:
        kind: "average" or "max".

    Shapes: ``(B, C, *S) -> (B, C)``, mask ``(B, 1, *S)``. A sample without a real cell gives 0.
    Raises: PlanError for another kind.
    """

    def __init__(self, kind: Kind) -> None:
        super().__init__()
        self.kind = _known(kind, "GlobalPool")

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        if self.kind == "max":
            return _largest(x, mask)
        if mask is None:
            return x.flatten(2).mean(-1)
        # Counts above 256 are not exact in half precision, so both sums are kept in float32.
        exact = torch.promote_types(x.dtype, torch.float32)
        total = hide(x, mask).flatten(2).sum(-1, dtype=exact)
        cells = mask.flatten(2).sum(-1, dtype=exact)
        return (total / cells.clamp_min(1)).to(x.dtype)

    def extra_repr(self) -> str:
        return repr(self.kind)


class OpeningPool(nn.Module):
    """The largest of the real cells, and the largest of those among the first ``cells`` alone.

    What a text asks for stands at its beginning; the largest cell forgets where it was.

    Args:
        cells: of the beginning, along every axis.

    Shapes: ``(B, C, *S) -> (B, 2 C)``, of any rank; mask ``(B, 1, *S)``. A sample without a real
        cell, or without one at its beginning, gives 0 there.
    Raises: PlanError for fewer than one cell.
    Source: ours; a case of the pooling by regions of Johnson and Zhang, arXiv:1412.1058.
    """

    def __init__(self, cells: int) -> None:
        super().__init__()
        if cells < 1:
            raise PlanError(f"cells is {cells}", where="OpeningPool", mend="use 1 or more")
        self.cells = cells

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        first, real = x, mask
        for axis in range(2, x.ndim):
            first = first[(slice(None),) * axis + (slice(self.cells),)]
            real = None if real is None else real[(slice(None),) * axis + (slice(self.cells),)]
        return torch.cat([_largest(x, mask), _largest(first, real)], 1)

    def extra_repr(self) -> str:
        return str(self.cells)


class AdaptivePool(nn.Module):
    """Pools any grid to ``size`` cells: cell t covers ``floor(t S / T)`` to ``ceil((t+1) S / T)``.

    Args:
        rank: number of grid axes. size: T, one per axis or one for all. kind: "average", "max".

    Shapes: ``(B, C, *S) -> (B, C, *size)``.
    Raises: PlanError if ``size`` does not fit ``rank``, or for another kind.
    """

    def __init__(self, rank: int, size: Ints, kind: Kind = "average") -> None:
        super().__init__()
        self.rank = rank
        self.size = axes.per_axis(size, rank, name="size", where="AdaptivePool")
        self.kind = _known(kind, "AdaptivePool")

    def forward(self, x: Tensor) -> Tensor:
        axes.check_input(x, self.rank, x.shape[1], where="AdaptivePool")
        return _ADAPTIVE[self.rank, self.kind](x, self.size)

    def extra_repr(self) -> str:
        return f"{self.rank}, {self.size}, {self.kind!r}"


class GridPool(nn.Module):
    """The mean of each part of a grid cut into ``parts`` along every axis: where it lies is kept.

    Args:
        parts: along each axis; cell t covers ``floor(t S / parts)`` to ``ceil((t + 1) S / parts)``.

    Shapes: ``(B, C, *S) -> (B, C * parts ** rank)``, of any rank; mask ``(B, 1, *S)``. A part
        without a real cell gives 0.
    Raises: PlanError for fewer than one part.
    """

    def __init__(self, parts: int) -> None:
        super().__init__()
        if parts < 1:
            raise PlanError(f"parts is {parts}", where="GridPool", mend="use 1 or more")
        self.parts = parts

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        rank = x.ndim - 2
        pool, size = _ADAPTIVE[rank, "average"], (self.parts,) * rank
        if mask is None:
            out: Tensor = pool(x, size)
            return out.flatten(1)
        total, share = pool(hide(x, mask), size), pool(mask.to(x.dtype), size)
        return (total / share.masked_fill(share == 0, 1)).flatten(1)

    def extra_repr(self) -> str:
        return str(self.parts)


def _largest(x: Tensor, mask: Tensor | None) -> Tensor:
    # The backward pass of amax takes 14 to 20 times as long (Zen 5, 128 x 64 x 28 x 28).
    cells = hide(x, mask, -torch.inf).flatten(2)
    out = F.adaptive_max_pool1d(cells, 1).squeeze(-1)
    if mask is None:
        return out
    return out.masked_fill(mask.flatten(1).sum(1, keepdim=True) == 0, 0)


def _known(kind: Kind, where: str) -> Kind:
    if kind not in ("average", "max"):
        raise PlanError(f"kind is {kind!r}", where=where, mend="give 'average' or 'max'")
    return kind
