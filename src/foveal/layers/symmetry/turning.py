"""What convolutions of a symmetry share: free weights, laid out once for every turn."""

from __future__ import annotations

from math import prod, sqrt

import torch
from torch import Tensor, nn

from ...errors import PlanError
from .. import axes
from ..axes import Ints
from ..centred import CentredConvolution, check_dilation, slide, widen
from ..convolution import Convolution, Padding
from ..memory import channels_last
from .group import Symmetry


class TurningConvolution(nn.Module):
    """What the convolutions of a symmetry share: free weights, and a plain kernel made of them.

    ``weight`` is trained. ``layout`` tells for every tap of the plain kernel which weight stands
    there (a number counted through the flat weights), so that the plain kernel is one gather and
    the layer one plain convolution. It lies in channels-last memory, and so does the gathered
    kernel: put in order afterwards, there and back, it took 2 % of a step (rank 3, 24 turns).
    Where a weight stands with a factor, `kernels` adds it.

    Args:
        symmetry: the turns, n of them.
        channels: of the plain convolution, in and out.
        groups: of the plain convolution.
        weight: free weights, still zero.
        layout: ``(channels out, channels in / groups, *kernel)``, whole numbers.
        fan: free weights that meet in one output; sets how large they start (He et al.).
        bias: numbers, or 0 for none. Each stands for ``channels out / bias`` channels.

    Shapes: ``(B, channels in, *S) -> (B, channels out, *T)``, ``T[i] = ceil(S[i] / stride[i])``,
        with windows as in `slide`, so that any size and stride keeps the symmetry.
    Raises: PlanError if kernel, stride or dilation differ on axes that are exchanged.
    """

    layout: Tensor

    def __init__(
        self,
        symmetry: Symmetry,
        channels: tuple[int, int],
        weight: tuple[int, ...],
        layout: Tensor,
        *,
        fan: int,
        bias: int,
        stride: Ints,
        dilation: Ints = 1,
        groups: int = 1,
        padding: Padding = "zeros",
    ) -> None:
        super().__init__()
        where, rank = type(self).__name__, symmetry.rank
        self.symmetry, self.groups, self.padding = symmetry, groups, padding
        self.inputs, self.outputs = channels
        self.kernel = tuple(layout.shape[2:])
        self.stride = axes.per_axis(stride, rank, name="stride", where=where)
        self.dilation = axes.per_axis(dilation, rank, name="dilation", where=where)
        agree(symmetry, "stride", self.stride, where=where)
        agree(symmetry, "dilation", self.dilation, where=where)
        check_dilation(self.kernel, self.stride, self.dilation, where=where)
        self.register_buffer("layout", channels_last(layout), persistent=False)
        self.weight = nn.Parameter(torch.randn(weight) * sqrt(2 / fan))
        self.bias = nn.Parameter(torch.zeros(bias)) if bias else None

    def kernels(self) -> Tensor:
        """The plain kernel, ``(channels out, channels in / groups, *kernel)``."""
        cells = self.layout.movedim(1, -1)
        flat = self.weight.flatten().index_select(0, cells.flatten())
        return flat.view(cells.shape).movedim(-1, 1)

    def offsets(self) -> Tensor | None:
        """The plain bias, ``(channels out,)``, or None."""
        return None if self.bias is None else self.bias.repeat(self.outputs // len(self.bias))

    def forward(self, x: Tensor) -> Tensor:
        axes.check_input(x, self.symmetry.rank, self.inputs, where=type(self).__name__)
        weight = self.kernels()
        return slide(
            x,
            weight if x.stride(1) == 1 else weight.contiguous(),
            self.offsets(),
            stride=self.stride,
            dilation=self.dilation,
            groups=self.groups,
            padding=self.padding,
        )

    @torch.no_grad()
    def plain(self) -> Convolution | CentredConvolution:
        """A plain convolution with the same answers; a `CentredConvolution` where it strides."""
        weight, offsets = self.kernels(), self.offsets()
        strides = max(self.stride) > 1
        if not strides:  # an even kernel is wider by one at every size
            even = [
                int(d == 1 and k % 2 == 0) for k, d in zip(self.kernel, self.dilation, strict=True)
            ]
            weight = widen(weight, tuple(even))
        made = (CentredConvolution if strides else Convolution)(
            self.symmetry.rank,
            self.inputs,
            self.outputs,
            tuple(weight.shape[2:]),
            stride=self.stride,
            dilation=self.dilation,
            groups=self.groups,
            bias=offsets is not None,
            padding=self.padding,
        )
        made.weight = nn.Parameter(weight.contiguous())
        made.bias = None if offsets is None else nn.Parameter(offsets)
        return made

    def extra_repr(self) -> str:
        return (
            f"{self.symmetry}, channels {self.inputs} to {self.outputs}, {self.kernel}, "
            f"stride={self.stride}, dilation={self.dilation}, bias={self.bias is not None}"
        )


def moved_taps(symmetry: Symmetry, kernel: tuple[int, ...], *, where: str) -> Tensor:
    """Which tap of a kernel stands at each place after each turn. Shape ``(n, taps)``.

    Raises: PlanError where ``kernel`` differs on axes that are exchanged.
    """
    agree(symmetry, "kernel", kernel, where=where)
    taps = torch.arange(prod(kernel)).view(kernel)
    return torch.stack([turn.move(taps).flatten() for turn in symmetry.turns])


def agree(symmetry: Symmetry, name: str, values: tuple[int, ...], *, where: str) -> None:
    """Raises: PlanError where ``values`` differ on axes that the symmetry exchanges."""
    for together in symmetry.orbits:
        if len({values[axis] for axis in together}) > 1:
            raise PlanError(
                f"{name} {values} differs on axes {together}, which are exchanged",
                where=where,
                mend="give exchanged axes the same number, or a symmetry that keeps them apart",
            )
