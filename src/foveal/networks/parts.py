"""The layers that a plan's network is made of: plain ones, or fields of its symmetry.

Everything else in this folder asks here, so there is one family of networks. Numbers of channels
are those of the plan; where it has a symmetry of n moves, n of them are one field.
"""

from __future__ import annotations

import functools
from typing import Literal

from torch import nn

from ..errors import PlanError
from ..layers import Convolution, SqueezeExcite, norm
from ..layers.symmetry import (
    FieldGate,
    FieldNorm,
    GroupConvolution,
    LiftingConvolution,
    SeparableGroupConvolution,
    Symmetry,
    symmetry_of,
)
from ..net import NetPart

LEAST = 4  # fields of a layer: fewer learn little (reference: a few-field net underfits)
LARGE = 16  # moves, above which a convolution is taken apart: 48 would cost 20 times as much

Shape = tuple[int, ...]


def turns_of(net: NetPart) -> Symmetry | None:
    """The moves that a plan's network keeps; None where there are none.

    Raises: PlanError where a symmetry is asked for and no axis may be moved, or sets of axes that
        do not fit the grid.
    """
    if net.symmetry == "none":
        return None
    if not net.turned:
        raise PlanError(
            f"a symmetry of {net.symmetry} has no axis to move",
            where="plan.json: net.turned",
            mend='name the axes, as in [[0, 1]], or set net.symmetry to "none"',
        )
    turns = _turns(len(net.stem_kernel), net.symmetry, tuple(map(tuple, net.turned)))
    return None if len(turns) == 1 else turns


@functools.cache
def _turns(
    rank: int, kind: Literal["none", "flips", "rotations", "full"], sets: tuple[Shape, ...]
) -> Symmetry:
    named = {axis for axes in sets for axis in axes}
    return symmetry_of(rank, kind, alike=sets, fixed=[i for i in range(rank) if i not in named])


def fields(net: NetPart, channels: int) -> int:
    """Fields that ``channels`` of the plan are, without a symmetry the channels themselves.

    Raises: PlanError where they are no whole fields, or fewer than four.
    """
    turns = turns_of(net)
    if turns is None:
        return channels
    n = len(turns)
    if channels % n or channels < LEAST * n:
        raise PlanError(
            f"{channels} channels are {channels / n:.3g} fields of {n} moves",
            where="plan.json: net.widths, net.stem_width, net.tower",
            mend=f"give a multiple of {n}, {LEAST * n} at least, or a smaller symmetry",
        )
    return channels // n


def convolution(
    rank: int,
    inputs: Shape | int,
    outputs: int,
    kernel: Shape | int,
    net: NetPart,
    *,
    stride: Shape | int = 1,
    bias: bool = False,
    lifts: bool = False,
) -> nn.Module:
    """A convolution between channels of the plan. lifts: from plain channels, at the stem.

    inputs: channels, or those of each part where `torch.cat` has put several side by side.
    Shapes: ``(B, inputs, *S) -> (B, outputs, *T)`` with ``T[i] = ceil(S[i] / stride[i])``.
    """
    turns = turns_of(net)
    parts = (inputs,) if isinstance(inputs, int) else inputs
    if turns is None:
        return Convolution(rank, sum(parts), outputs, kernel, stride=stride, bias=bias)
    made = fields(net, outputs)
    if lifts:
        return LiftingConvolution(turns, sum(parts), made, kernel, stride=stride, bias=bias)
    taken = tuple(fields(net, part) for part in parts)
    wide = max((kernel,) if isinstance(kernel, int) else kernel) > 1
    kind = SeparableGroupConvolution if wide and len(turns) > LARGE else GroupConvolution
    return kind(turns, taken, made, kernel, stride=stride, bias=bias)


def norm_of(net: NetPart, channels: int) -> nn.Module:
    """The plan's norm."""
    turns = turns_of(net)
    if turns is None:
        return norm(net.norm, channels)
    return FieldNorm(turns, fields(net, channels), net.norm)


def gate_of(net: NetPart, channels: int) -> nn.Module | None:
    """The plan's gate, where it has one."""
    if not net.gate:
        return None
    turns = turns_of(net)
    return SqueezeExcite(channels) if turns is None else FieldGate(turns, fields(net, channels))


def keeps_places(net: NetPart) -> None:
    """Raises: PlanError where answers name places of a grid that is rolled by its values."""
    if net.shift == "exact":
        raise PlanError(
            "boxes do not follow a grid that is rolled by its values",
            where="plan.json: net.shift",
            mend='set net.shift to "blur"',
        )


def check(net: NetPart, time: int | None) -> None:
    """Raises: PlanError naming a field that breaks what the plan promises of moves or shifts."""
    turns, exact = turns_of(net), net.shift == "exact"
    if turns is None and not exact:
        return
    promise = "exact shifts" if turns is None else f"a symmetry of {net.symmetry}"
    faults = {
        "block": turns is not None and net.block in ("parallel", "shifted"),
        "stem": net.stem == "embed" or (net.stem == "whiten" and turns is not None),
        "pool": turns is not None and net.pool in ("grid", "opening"),
    }
    mends = {
        "block": 'set net.block to "plain" or "residual"',
        "stem": 'set net.stem to "convolution"',
        "pool": 'set net.pool to "average" or "max"',
    }
    for name, broken in faults.items():
        if broken:
            raise PlanError(
                f"{name} {getattr(net, name)!r} does not keep {promise}",
                where=f"plan.json: net.{name}",
                mend=f"{mends[name]}, or give up the promise",
            )
    if turns is not None and time is not None and {time} & {i for s in net.turned for i in s}:
        raise PlanError(
            f"axis {time} is time, which never runs backwards",
            where="plan.json: net.turned",
            mend="leave it out",
        )
