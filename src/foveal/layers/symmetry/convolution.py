"""Convolutions that turn with their input: one kernel, laid out once for every turn."""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor, nn

from .. import axes
from ..axes import Ints
from ..convolution import Padding
from .group import Symmetry
from .turning import TurningConvolution, moved_taps


class LiftingConvolution(TurningConvolution):
    """The first convolution: plain channels in, fields out, which hold an answer for every turn.

    ``out(p, g) = sum over q of x(q) * kernel(M_g^-1 (q - p))``. Channel ``g * fields + k`` of the
    output is field k seen by turn g. With ``f(turn u of x) = turn u of f(x)`` for the moves of
    `Symmetry`; behind a `FieldPool` nothing of the turn is left.

    Args:
        symmetry: n turns. inputs: plain channels. outputs: fields, so n times as many channels.
        kernel, stride, dilation, padding: as `CentredConvolution`.

    Shapes: ``(B, inputs, *S) -> (B, n * outputs, *T)`` with ``T[i] = ceil(S[i] / stride[i])``.
        Weights ``(outputs, inputs, *kernel)``.
    Raises: PlanError if numbers do not fit, or differ on axes that are exchanged.
    Source: Cohen and Welling, arXiv:1602.07576, section 6; rank 3 Winkels and Cohen,
        arXiv:1804.04656. Strides on every size are ours.
    """

    def __init__(
        self,
        symmetry: Symmetry,
        inputs: int,
        outputs: int,
        kernel: Ints,
        *,
        stride: Ints = 1,
        dilation: Ints = 1,
        bias: bool = True,
        padding: Padding = "zeros",
    ) -> None:
        where = "LiftingConvolution"
        kernel = axes.per_axis(kernel, symmetry.rank, name="kernel", where=where)
        axes.count(inputs, name="inputs", where=where)
        axes.count(outputs, name="outputs", where=where)
        moved = moved_taps(symmetry, kernel, where=where)  # (n, taps)
        taps = prod(kernel)
        rows = torch.arange(outputs * inputs).view(1, outputs, inputs, 1) * taps
        layout = rows + moved[:, None, None]  # (n, outputs, inputs, taps)
        super().__init__(
            symmetry,
            (inputs, len(symmetry) * outputs),
            (outputs, inputs, *kernel),
            layout.view(len(symmetry) * outputs, inputs, *kernel),
            fan=inputs * taps,
            bias=outputs if bias else 0,
            stride=stride,
            dilation=dilation,
            padding=padding,
        )


class GroupConvolution(TurningConvolution):
    """A convolution from fields to fields: over the grid and over the turns.

    ``out(p, g) = sum over h and q of x(q, h) * kernel(M_g^-1 (q - p), g^-1 h)``. Costs as many
    multiply-adds as a plain convolution of its ``n * fields`` channels, with 1/n of its weights.

    Args:
        symmetry: n turns. inputs, outputs: fields. Where `torch.cat` has put several features one
            behind the other, ``inputs`` are the fields of each: ``(K, L)`` reads n * K channels,
            then n * L. It spares a `join`.
        kernel, stride, dilation, padding: as `CentredConvolution`.

    Shapes: ``(B, n * inputs, *S) -> (B, n * outputs, *T)``, ``T[i] = ceil(S[i] / stride[i])``.
        Weights ``(outputs, inputs, n, *kernel)``.
    Raises: PlanError if numbers do not fit, or differ on axes that are exchanged.
    Source: Cohen and Welling, arXiv:1602.07576, section 6; Weiler and Cesa, arXiv:1911.08251,
        for the general form. Strides on every size are ours.
    """

    def __init__(
        self,
        symmetry: Symmetry,
        inputs: Ints,
        outputs: int,
        kernel: Ints,
        *,
        stride: Ints = 1,
        dilation: Ints = 1,
        bias: bool = True,
        padding: Padding = "zeros",
    ) -> None:
        where, n = "GroupConvolution", len(symmetry)
        kernel = axes.per_axis(kernel, symmetry.rank, name="kernel", where=where)
        parts = _parts(inputs, name="inputs", where=where)
        inputs = sum(parts)
        axes.count(outputs, name="outputs", where=where)
        moved = moved_taps(symmetry, kernel, where=where)
        taps = prod(kernel)
        between = torch.tensor([symmetry.product[i] for i in symmetry.inverse])  # [g, h]: g^-1 h
        rows = torch.arange(outputs * inputs).view(1, outputs, 1, inputs, 1) * n
        rows = (rows + between.view(n, 1, n, 1, 1)) * taps  # (g, outputs, h, inputs, 1)
        layout = rows + moved.view(n, 1, 1, 1, taps)
        behind = [part.flatten(2, 3) for part in layout.split_with_sizes(parts, 3)]
        super().__init__(
            symmetry,
            (n * inputs, n * outputs),
            (outputs, inputs, n, *kernel),
            torch.cat(behind, 2).view(n * outputs, n * inputs, *kernel),
            fan=n * inputs * taps,
            bias=outputs if bias else 0,
            stride=stride,
            dilation=dilation,
            padding=padding,
        )


class DepthwiseGroupConvolution(TurningConvolution):
    """Every field by a kernel of its own, each orientation by that kernel turned.

    Args:
        symmetry: n turns. fields: in and out, or those of each part as in a `GroupConvolution`.
        kernel, stride, dilation, padding: as `CentredConvolution`.

    Shapes: ``(B, n * fields, *S) -> (B, n * fields, *T)``. Weights ``(fields, *kernel)``.
    Raises: PlanError if numbers do not fit, or differ on axes that are exchanged.
    """

    def __init__(
        self,
        symmetry: Symmetry,
        fields: Ints,
        kernel: Ints,
        *,
        stride: Ints = 1,
        dilation: Ints = 1,
        bias: bool = True,
        padding: Padding = "zeros",
    ) -> None:
        where, n = "DepthwiseGroupConvolution", len(symmetry)
        kernel = axes.per_axis(kernel, symmetry.rank, name="kernel", where=where)
        parts = _parts(fields, name="fields", where=where)
        fields = sum(parts)
        moved = moved_taps(symmetry, kernel, where=where)
        taps = prod(kernel)
        layout = torch.arange(fields).view(1, fields, 1) * taps + moved[:, None]
        behind = [part.flatten(0, 1) for part in layout.split_with_sizes(parts, 1)]
        super().__init__(
            symmetry,
            (n * fields, n * fields),
            (fields, *kernel),
            torch.cat(behind).view(n * fields, 1, *kernel),
            fan=taps,
            bias=fields if bias else 0,
            stride=stride,
            dilation=dilation,
            groups=n * fields,
            padding=padding,
        )
        self.parts = parts

    def offsets(self) -> Tensor | None:
        """The plain bias, ``(channels,)``, or None."""
        if self.bias is None:
            return None
        behind = self.bias.split_with_sizes(self.parts)
        return torch.cat([part.repeat(len(self.symmetry)) for part in behind])


class SeparableGroupConvolution(nn.Module):
    """A `DepthwiseGroupConvolution` over space, then a `GroupConvolution` of one tap.

    For large symmetries: 2 to 3 fields, 3 taps per axis, 48 turns take 16,416 multiply-adds per
    cell where a full group convolution takes 373,248.

    Args and Shapes: as `GroupConvolution`. Raises: PlanError as it does.
    Source: Chollet, arXiv:1610.02357, on the fields of Cohen and Welling, arXiv:1602.07576.
    """

    def __init__(
        self,
        symmetry: Symmetry,
        inputs: Ints,
        outputs: int,
        kernel: Ints,
        *,
        stride: Ints = 1,
        dilation: Ints = 1,
        bias: bool = True,
        padding: Padding = "zeros",
    ) -> None:
        super().__init__()
        self.depthwise = DepthwiseGroupConvolution(
            symmetry,
            inputs,
            kernel,
            stride=stride,
            dilation=dilation,
            bias=False,
            padding=padding,
        )
        self.pointwise = GroupConvolution(symmetry, inputs, outputs, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.pointwise(self.depthwise(x))
        return out


def _parts(count: Ints, *, name: str, where: str) -> tuple[int, ...]:
    """Fields of each part. Raises: PlanError where one has none."""
    parts = (count,) if isinstance(count, int) else tuple(count)
    for part in parts or (0,):
        axes.count(part, name=name, where=where)
    return parts
