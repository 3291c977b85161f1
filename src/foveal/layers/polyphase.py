"""Downsampling that a circular shift cannot change: values decide which cells stay, not places."""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor, nn

from ..errors import PlanError
from . import axes
from .axes import Ints
from .seam import irregular
from .symmetry.group import Symmetry, symmetry_of
from .symmetry.readout import ReadOut


class Polyphase(nn.Module):
    """Keeps every ``stride``-th cell, from the start at which those cells are strongest.

    A grid falls into ``prod(stride)`` coarse grids, one for each start; a circular shift of the
    input only renames and shifts them. The one with the largest sum of squares over all channels
    is kept, sample by sample. So a network of circular convolutions, cell-by-cell layers,
    `Polyphase` and a global pool gives the same answer under every circular shift, trained or
    not; with replicate padding the same holds for an object that moves on an even background
    as long as the border does not see it.

    Ties: coarse grids whose sums agree within rounding are told apart by a second number, the
    sum of a bent, fixed mix of each cell with its neighbours. It does not depend on where the
    grid starts, so the choice moves with the input; it is the same only for coarse grids that
    are shifts of each other (or, with ``symmetry``, turns), and between those the choice changes
    no answer. Do not stand it on raw values all the same: what it keeps is a quarter of them.

    Args:
        rank: number of grid axes.
        channels: C, in and out.
        stride: cells per step, one per axis or one for all; it must divide the size.
        symmetry: whose fields the channels are; the choice then turns with the input too.

    Shapes: ``(B, C, *S) -> (B, C, *T)`` with ``T[i] = S[i] / stride[i]``.
    Raises: PlanError if numbers do not fit, or the stride does not divide the size.
    Source: Chaman and Dokmanic, arXiv:2011.14214, section 4 (adaptive polyphase sampling); the
        second number, any rank and the symmetry are ours.
    """

    mix: Tensor  # (1 + 2 * rank, C), fixed; not trained, not saved

    def __init__(
        self, rank: int, channels: int, stride: Ints, *, symmetry: Symmetry | None = None
    ) -> None:
        super().__init__()
        where = "Polyphase"
        self.rank = rank
        self.stride = axes.per_axis(stride, rank, name="stride", where=where)
        self.channels = axes.count(channels, name="channels", where=where)
        turns = symmetry_of(rank, "none") if symmetry is None else symmetry
        if turns.rank != rank or channels % len(turns):
            raise PlanError(
                f"{channels} channels of rank {rank} are no fields of {turns}",
                where=where,
                mend=f"give a multiple of {len(turns)} channels, and a symmetry of that rank",
            )
        mix = ReadOut(turns, channels // len(turns), 1, 3, bias=False)
        with torch.no_grad():
            mix.weight.copy_(irregular(mix.weight.numel()).view(mix.weight.shape))
            kernel = mix.kernels()[0].movedim(0, -1)
        self.star = _star(rank)
        rows = [kernel[tuple(1 + step for step in at)] for at in self.star]
        self.register_buffer("mix", torch.stack(rows), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.take(x, self.choose(x))

    @torch.no_grad()
    def choose(self, x: Tensor) -> Tensor:
        """The start to keep for each sample: ``(B,)``, counted through the starts of all axes.

        Ways around a block must take the choice of the block.
        """
        size = self._checked(x).shape[2:]
        exact = torch.promote_types(x.dtype, torch.float32)
        # The length over channels takes ten times as long where memory is not channels-last.
        strength = self._each(x.square().sum(1, dtype=exact))
        most = strength.amax(1, keepdim=True)
        near = strength >= most * (1 - torch.finfo(x.dtype).eps ** (2 / 3))
        # Cells are brought to the same scale, or the bend would see a faint grid as straight.
        cells = prod(size) // prod(self.stride)
        scale = (most / cells).clamp_min(torch.finfo(exact).tiny).rsqrt()
        bent = torch.tanh(self._mixed(x.to(exact)) * scale.view(-1, *[1] * self.rank) + 0.5)
        return self._each(bent).masked_fill(~near, -torch.inf).argmax(1)

    def _mixed(self, x: Tensor) -> Tensor:
        """Each cell and its neighbours on the same coarse grid, weighed: ``(B, *S)``."""
        # Sums over channels first, then small maps rolled into place: a convolution to one
        # channel took over ten times as long (Zen 5, fp32, 32 x 64 x 32^2 and 8 x 64 x 12^3).
        maps = self.mix.to(x.dtype) @ x.flatten(2)
        maps = maps.reshape(x.shape[0], len(self.star), *x.shape[2:])
        around = tuple(range(1, self.rank + 1))
        mixed = maps[:, 0]
        for tap, at in enumerate(self.star[1:], start=1):
            shifts = tuple(-s * step for s, step in zip(self.stride, at, strict=True))
            mixed = mixed + maps[:, tap].roll(shifts, around)
        return mixed

    def take(self, x: Tensor, start: Tensor) -> Tensor:
        """Every ``stride``-th cell from ``start``. Shapes: ``(B, C, *S), (B,) -> (B, C, *T)``."""
        last = x.stride(1) == 1  # channels-last memory stays so
        grids = self._apart(self._checked(x))  # (B, C, T, s, T, s, ...): a view
        inner = [2 * i + 3 for i in range(self.rank)]
        outer = [2 * i + 2 for i in range(self.rank)]
        order = [0, *inner, *outer, 1] if last else [0, *inner, 1, *outer]
        grids = grids.permute(order)
        rows = torch.arange(x.shape[0], device=x.device)
        kept = grids[(rows, *self._split(start))]
        return kept.movedim(-1, 1) if last else kept

    def put(self, x: Tensor, start: Tensor) -> Tensor:
        """The reverse of `take`: cells go back to where they came from, zeros between them.

        Shapes: ``(B, C, *T), (B,) -> (B, C, *S)`` with ``S[i] = T[i] * stride[i]``. For decoders:
        a map then moves with its input. Source: Chaman and Dokmanic, arXiv:2105.04040.
        """
        axes.check_input(x, self.rank, self.channels, where="Polyphase.put")
        grids = x.new_zeros(x.shape[0], *self.stride, *x.shape[1:])
        rows = torch.arange(x.shape[0], device=x.device)
        grids = grids.index_put((rows, *self._split(start)), x)
        # (B, s, s, C, T, T) -> (B, C, T, s, T, s)
        order = [0, self.rank + 1]
        for i in range(self.rank):
            order += [self.rank + 2 + i, 1 + i]
        size = [t * s for t, s in zip(x.shape[2:], self.stride, strict=True)]
        return grids.permute(order).reshape(*x.shape[:2], *size)

    def _split(self, start: Tensor) -> list[Tensor]:
        """The start along each axis."""
        found: list[Tensor] = []
        for s in reversed(self.stride):
            found.insert(0, start % s)
            start = start // s
        return found

    def _apart(self, x: Tensor) -> Tensor:
        """Each axis as coarse cells and starts: ``(..., *S) -> (..., T, s, T, s, ...)``."""
        lead = x.ndim - self.rank
        for axis in reversed(range(self.rank)):
            s = self.stride[axis]
            at = lead + axis
            x = x.reshape(*x.shape[:at], x.shape[at] // s, s, *x.shape[at + 1 :])
        return x

    def _each(self, cells: Tensor) -> Tensor:
        """Sums over each coarse grid: ``(B, *S) -> (B, prod(stride))``."""
        return self._apart(cells).sum([1 + 2 * i for i in range(self.rank)]).flatten(1)

    def _checked(self, x: Tensor) -> Tensor:
        axes.check_input(x, self.rank, self.channels, where="Polyphase")
        if any(n % s for n, s in zip(x.shape[2:], self.stride, strict=True)):
            raise PlanError(
                f"a stride of {self.stride} does not divide a grid of {tuple(x.shape[2:])}",
                where="Polyphase",
                mend="pad the input to a multiple of all strides together, or use CentredPool",
            )
        return x

    def extra_repr(self) -> str:
        return f"{self.rank}, {self.channels}, stride={self.stride}"


def _star(rank: int) -> tuple[tuple[int, ...], ...]:
    """A cell and its neighbours along each axis, in steps; every turn keeps this set."""
    still = (0,) * rank
    ends = [(*still[:i], step, *still[i + 1 :]) for i in range(rank) for step in (1, -1)]
    return (still, *ends)
