"""Normalisation over the batch, over groups of channels or over all channels of a cell. Each
takes a mask, and padding never changes what real cells become."""

from collections.abc import Callable
from math import gcd
from typing import Literal, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import PlanError
from ..find import nearest
from . import axes
from .mask import hide
from .memory import planar

Norm: TypeAlias = "BatchNorm | GroupNorm | ChannelNorm"


class BatchNorm(nn.Module):
    """Each channel with mean 0 and variance 1 over the real cells of the batch, then scaled.

    In evaluation running means stand for those of the batch, so samples do not see each other.

    Args:
        channels: C. momentum: share of a new batch in the running means. eps: added to the
            variance.

    sums: where several processes hold parts of one batch, what makes ``(n,)`` numbers of this
    part their sum over all parts, with gradients; None where a batch is in one place.

    Shapes: ``(B, C, *S) -> (B, C, *S)``, mask ``(B, 1, *S)``; padding comes out as 0.
    Raises: PlanError in training when each channel has a single value.
    Source: Ioffe and Szegedy, arXiv:1502.03167, algorithm 1.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, momentum: float = 0.1, eps: float = 1e-5) -> None:
        super().__init__()
        self.channels = axes.count(channels, name="channels", where="BatchNorm")
        self.momentum, self.eps = momentum, eps
        self.sums: Callable[[Tensor], Tensor] | None = None
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        if mask is None and self.training and self.sums is not None:
            mask = x.new_ones(()).expand(len(x), 1, *x.shape[2:])
        if mask is not None:
            return self._masked(x, mask)
        if self.training and x.numel() == x.shape[1]:
            raise PlanError(
                "one value per channel has no variance",
                where=f"BatchNorm({self.channels}) in training, input {tuple(x.shape)}",
                mend="use a batch of at least 2, or the norm 'group' or 'channel'",
            )
        out = F.batch_norm(
            planar(x),
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training,
            self.momentum,
            self.eps,
        )
        return out.squeeze(2) if x.ndim == 3 else out

    def _masked(self, x: Tensor, mask: Tensor) -> Tensor:
        exact = torch.promote_types(x.dtype, torch.float32)
        values = hide(x, mask).to(exact)
        mean, var = self.running_mean, self.running_var
        if self.training:
            around, cells = [0, *range(2, x.ndim)], mask.sum(dtype=exact)
            total = self._all(torch.cat([values.sum(around), cells.view(1)]))
            cells = total[-1].detach().clamp_min(1)
            mean = total[:-1] / cells
            squares = hide((values - _wide(mean, x)) ** 2, mask).sum(around)
            var = self._all(squares) / cells
            self._remember(mean, var * cells / (cells - 1).clamp_min(1))
        gain = self.weight * (var + self.eps).rsqrt()
        out = (values - _wide(mean, x)) * _wide(gain, x) + _wide(self.bias, x)
        return hide(out.to(x.dtype), mask)

    def _all(self, numbers: Tensor) -> Tensor:
        """Numbers of this part of the batch as those of the whole."""
        return numbers if self.sums is None else self.sums(numbers)

    @torch.no_grad()
    def _remember(self, mean: Tensor, var: Tensor) -> None:
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
        self.running_var.lerp_(var.to(self.running_var.dtype), self.momentum)

    def extra_repr(self) -> str:
        return f"{self.channels}, momentum={self.momentum}"


class GroupNorm(nn.Module):
    """Each group of channels with mean 0 and variance 1 over the real cells of its sample.

    Args:
        channels: C. groups: how many; the largest power of two up to 32 that divides C where
            none is given. eps: added to the variance.

    Shapes: ``(B, C, *S) -> (B, C, *S)``, mask ``(B, 1, *S)``; padding comes out as 0.
    Raises: PlanError if ``groups`` does not divide ``channels``.
    Source: Wu and He, arXiv:1803.08494, section 3.
    """

    def __init__(self, channels: int, groups: int | None = None, eps: float = 1e-5) -> None:
        super().__init__()
        self.channels = axes.count(channels, name="channels", where="GroupNorm")
        groups = gcd(channels, 32) if groups is None else groups
        self.groups = axes.count(groups, name="groups", where="GroupNorm")
        if channels % groups:
            raise PlanError(
                f"{groups} groups do not divide {channels} channels",
                where="GroupNorm",
                mend=f"give groups that divide {channels}, such as {gcd(channels, 32)}",
            )
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        if mask is not None:
            return self._masked(x, mask)
        # bf16 in channels-last memory takes 4 to 10 times as long as float32 (Zen 5).
        slow = x.dtype == torch.bfloat16 and x.device.type == "cpu" and not x.is_contiguous()
        values = x.float() if slow else x
        out = F.group_norm(planar(values), self.groups, self.weight, self.bias, self.eps)
        return (out.squeeze(2) if x.ndim == 3 else out).to(x.dtype)

    def _masked(self, x: Tensor, mask: Tensor) -> Tensor:
        exact = torch.promote_types(x.dtype, torch.float32)
        real = mask.flatten(2).unsqueeze(1)  # (B, 1, 1, cells)
        values = hide(x, mask).to(exact).flatten(2)
        values = values.reshape(x.shape[0], self.groups, -1, values.shape[-1])
        cells = real.sum((2, 3), keepdim=True, dtype=exact) * values.shape[2]
        cells = cells.clamp_min(1)
        mean = values.sum((2, 3), keepdim=True) / cells
        values = hide(values - mean, real)
        var = (values**2).sum((2, 3), keepdim=True) / cells
        values = (values * (var + self.eps).rsqrt()).reshape(x.shape)
        out = values * _wide(self.weight, x) + _wide(self.bias, x)
        return hide(out.to(x.dtype), mask)

    def extra_repr(self) -> str:
        return f"{self.channels}, groups={self.groups}"


class ChannelNorm(nn.Module):
    """The channels of each cell with mean 0 and variance 1; cells do not see each other.

    Its output lies in channels-last memory, whatever the input lies in.

    Args:
        channels: C. eps: added to the variance.

    Shapes: ``(B, C, *S) -> (B, C, *S)``, mask ``(B, 1, *S)``; padding comes out as 0.
    Source: Ba et al., arXiv:1607.06450, per cell as in Liu et al., arXiv:2201.03545.
    """

    def __init__(self, channels: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.channels = axes.count(channels, name="channels", where="ChannelNorm")
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        cells = hide(x, mask).movedim(1, -1)
        out = F.layer_norm(cells, (self.channels,), self.weight, self.bias, self.eps)
        return hide(out.movedim(-1, 1), mask)

    def extra_repr(self) -> str:
        return str(self.channels)


_KINDS: dict[str, type[BatchNorm] | type[GroupNorm] | type[ChannelNorm]] = {
    "batch": BatchNorm,
    "group": GroupNorm,
    "channel": ChannelNorm,
}


def norm(kind: Literal["batch", "group", "channel"], channels: int) -> Norm:
    """The norm of that kind. Raises: PlanError when there is none."""
    if kind not in _KINDS:
        raise PlanError(
            f"there is no norm called {kind!r}",
            where="net.norm",
            mend=nearest(kind, _KINDS) or f"take one of {', '.join(_KINDS)}",
        )
    return _KINDS[kind](channels)


def _wide(per_channel: Tensor, x: Tensor) -> Tensor:
    """``(C,)`` as ``(C, 1, ...)``, to meet ``x`` of shape ``(B, C, *S)``."""
    return per_channel.view(-1, *[1] * (x.ndim - 2))
