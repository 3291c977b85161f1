"""The shift along one axis: some channels look one cell back, some one cell ahead, for nothing."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import PlanError
from . import axes

SHARE = 8


class Shift(nn.Module):
    """One part of the channels comes from the cell before, one from the cell behind.

    Behind it a convolution that never looks along that axis sees three cells of it. What would
    come from outside the grid is 0. There are no weights, and no multiplication counts.

    Args:
        rank: number of grid axes. channels: C.
        axis: position among the grid axes along which channels move (0 for the first).
        share: a ``share``-th of the channels moves each way; at least one where C is 3 or more.

    Shapes: ``(B, C, *S) -> (B, C, *S)``.
    Raises: PlanError when ``axis`` is none of the grid's, or a number is below 1.
    Source: Lin, Gan and Han, arXiv:1811.08383, section 3; an eighth each way is their figure 2.
    """

    taps: Tensor  # (C, 1, 3, 1): which neighbour each channel comes from; never trained or saved

    def __init__(self, rank: int, channels: int, axis: int, share: int = SHARE) -> None:
        super().__init__()
        # What reads windows off a network (receptive fields) finds this one as any other.
        self.stride = axes.per_axis(1, rank, name="stride", where="Shift")
        if not 0 <= axis < rank:
            raise PlanError(
                f"axis {axis} is none of the {rank} of this grid",
                where="Shift",
                mend=f"give a number from 0 to {rank - 1}",
            )
        self.rank, self.axis = rank, axis
        self.channels = axes.count(channels, name="channels", where="Shift")
        self.kernel = tuple(3 if i == axis else 1 for i in range(rank))
        self.before = tuple(k // 2 for k in self.kernel)
        each = channels // axes.count(share, name="share", where="Shift")
        self.each = min(max(each, 1), (channels - 1) // 2)
        taps = torch.zeros(channels, 1, 3, 1)
        taps[: self.each, :, 0] = 1
        taps[self.each : 2 * self.each, :, 2] = 1
        taps[2 * self.each :, :, 1] = 1
        self.register_buffer("taps", taps, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        axes.check_input(x, self.rank, self.channels, where="Shift")
        # A depthwise convolution that picks: 6 + 10 ms forward and backward where copying slices
        # took 21 + 60 and a kernel over all axes 7 + 24 (16 x 32 x 16 x 32 x 32, fp32, one Zen 3
        # thread). In channels-last memory, time first, none of the views below copies.
        y = x.movedim(2 + self.axis, 2)
        size = y.shape[3:]
        y = y.flatten(3) if size else y.unsqueeze(3)
        y = F.conv2d(y, self.taps.to(x.dtype), padding=(1, 0), groups=self.channels)
        return y.reshape(*y.shape[:3], *size).movedim(2, 2 + self.axis)

    def extra_repr(self) -> str:
        return f"{self.rank}, {self.channels}, axis={self.axis}, {self.each} each way"
