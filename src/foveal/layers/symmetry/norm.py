"""Norms of fields: all orientations of a field are brought to the same scale."""

from __future__ import annotations

from math import gcd
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from ..memory import planar
from ..norm import BatchNorm, norm
from .group import Symmetry

# Plain kernels run along the channels of a cell in pieces of that many bytes, a vector register.
# On fields that do not fill them they take up to eight times as long (Zen 5, 32 x 32 x 32 x 32 in
# channels-last memory, forward and backward: 4 fields 11.5 ms, 32 channels 3.0, `_Shared` 4.2).
# In pieces of 32 bytes a step of a network of 8 fields there took 1.55 times a plain one, 64: 1.13.
_LANES = 64 if torch.backends.cpu.get_cpu_capability().startswith("AVX512") else 32


class FieldNorm(nn.Module):
    """A norm that treats the orientations of a field alike, as if they were samples of their own.

    A batch norm so has one mean, variance, scale and shift for each field. In training too, a
    turned batch gives the turned output.

    Args:
        symmetry: n turns. fields: K. kind: "batch", "group" or "channel", as `norm`.

    Shapes: ``(B, n * K, *S) -> (B, n * K, *S)``, mask ``(B, 1, *S)``; padding comes out as 0.
    Raises: PlanError as the norm of that kind, or for channels that are no whole fields.
    Source: Cohen and Welling, arXiv:1602.07576, section 6.
    """

    def __init__(
        self, symmetry: Symmetry, fields: int, kind: Literal["batch", "group", "channel"] = "batch"
    ) -> None:
        super().__init__()
        self.symmetry = symmetry
        self.norm = norm(kind, fields)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        n, apart = len(self.symmetry), self.symmetry.apart(x)
        norm = self.norm if mask is None and x.numel() > apart.shape[2] else None
        if isinstance(norm, BatchNorm) and norm.sums is None:
            fills = apart.shape[2] * x.element_size() % _LANES == 0
            if not (norm.training and fills):
                return _on_channels(x, n, norm)
            if x.stride(1) == 1:
                return _on_cells(apart, norm)
        if mask is not None:
            mask = mask.repeat_interleave(n, 0)
        out: Tensor = self.norm(apart.flatten(0, 1), mask)
        return out.reshape(x.shape)


def _on_cells(apart: Tensor, norm: BatchNorm) -> Tensor:
    """Turns as cells, a view of channels-last memory: ``(B, n, K, *S) -> (B, n * K, *S)``."""
    cells = apart.movedim(1, -1)
    out: Tensor = norm(cells.flatten(-2))
    return out.reshape(cells.shape).movedim(-1, 1).flatten(1, 2)


def _on_channels(x: Tensor, n: int, norm: BatchNorm) -> Tensor:
    """What ``norm`` makes of K channels, for K fields of n channels, without moving a value.

    The plain kernels work on all ``n * K`` channels, whose statistics are then put together.
    """
    grid = planar(x)
    scale, shift = _each(norm.weight, n), _each(norm.bias, n)
    if not norm.training:
        mean, var = _each(norm.running_mean, n), _each(norm.running_var, n)
        out = F.batch_norm(grid, mean, var, scale, shift, False, 0.0, norm.eps)
        return out.reshape(x.shape)
    with torch.no_grad():
        # Running means of their own type, so that half precision is summed in full.
        spare = _each(norm.running_mean, n), _each(norm.running_var, n)
        each, var = torch.batch_norm_update_stats(grid, *spare, 0.0)
        means = each.view(n, -1)
        mean = means.mean(0)
        var = var.view(n, -1).mean(0) + (means - mean).square().mean(0)
        count = x.numel() // len(mean)
        norm.running_mean.lerp_(mean, norm.momentum)
        norm.running_var.lerp_(var * (count / (count - 1)), norm.momentum)
    shared = _each(mean, n), _each(var, n)
    out = _Shared.apply(grid, scale, shift, *shared, n, norm.eps)  # type: ignore[no-untyped-call]
    made: Tensor = out.reshape(x.shape)
    return made


class _Shared(Function):
    """The batch norm of channels whose mean and variance are those of ``n`` channels together.

    Source: the gradient of Ioffe and Szegedy, arXiv:1502.03167, section 3, with sums over fields.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        scale: Tensor,
        shift: Tensor,
        mean: Tensor,
        var: Tensor,
        n: int,
        eps: float,
    ) -> Tensor:
        ctx.save_for_backward(x, scale, mean, var)
        ctx.n, ctx.eps = n, eps
        return F.batch_norm(x, mean, var, scale, shift, False, 0.0, eps)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, scale, mean, var = ctx.saved_tensors
        _, for_scale, for_shift = torch.ops.aten.native_batch_norm_backward(
            gradient, x, scale, mean, var, None, None, False, ctx.eps, [False, True, True]
        )
        # gradient of x = gain * (g - mean(g) - z * mean(g * z)), z = (x - mean) * sharp, with
        # means over whole fields: one number times g, one times x and one more per channel.
        sharp = (var + ctx.eps).rsqrt()
        gain = scale * sharp
        count = ctx.n * x.numel() // len(mean)
        along = _summed(for_scale, ctx.n) / count * gain * sharp
        level = along * mean - _summed(for_shift, ctx.n) / count * gain
        for_x = _affine(x, -along, level)
        if x.stride(1) == 1:  # one pass less; as exact as x and its gradient are
            _add_scaled(for_x, gradient, gain.to(x.dtype))
        else:
            for_x.add_(_affine(gradient, gain, torch.zeros_like(gain)))
        return for_x, for_scale, for_shift, None, None, None, None


def _add_scaled(out: Tensor, x: Tensor, factor: Tensor) -> None:
    """Adds ``x * factor``, a factor per channel, to what lies in channels-last memory.

    Half precision is added by two registers at once, and cells with less value by value: several
    cells are then taken for one (256 x 32 x 32 x 32 on two threads 13 -> 6 ms, 48 channels 8.4 ->
    3.8). Longer rows gain nothing where all is in the caches, and are slower where it is not.
    """
    cells, along = out.movedim(1, -1), x.movedim(1, -1)
    fits = 2 * _LANES // x.element_size()
    dense = cells.is_contiguous() and along.is_contiguous()
    if dense and x.element_size() == 2 and len(factor) < fits:
        count = gcd(cells.numel() // len(factor), fits // gcd(len(factor), fits))
        factor = factor.repeat(count)
        cells, along = cells.view(-1, len(factor)), along.view(-1, len(factor))
    cells.addcmul_(along, factor)


def _summed(each: Tensor, n: int) -> Tensor:
    """Sums over the channels of a field, for each of them. Shape ``(n * K,)``."""
    return _each(each.view(n, -1).sum(0), n)


def _each(fields: Tensor, n: int) -> Tensor:
    """``(K,)`` for each of n turns, ``(n * K,)``; under half the time of `Tensor.repeat`."""
    return fields.expand(n, -1).reshape(-1).contiguous()  # of one field reshape makes a view


def _affine(x: Tensor, factor: Tensor, offset: Tensor) -> Tensor:
    """``x * factor + offset`` per channel, by the kernel that is fastest in both layouts."""
    still, one = torch.zeros_like(factor), torch.ones_like(factor)
    return F.batch_norm(x, still, one, factor, offset, False, 0.0, 0.0)
