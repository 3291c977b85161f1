"""Rules for a network that keeps a symmetry, or holds still under shifts, by construction."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from ..grid import Axis
from ..layers.symmetry import Symmetry
from ..networks.parts import LEAST, turns_of
from ..plan import Plan, replace_part
from .network import TOGETHER

ALIKE = 1.05  # ratio of steps up to which axes may be exchanged
FIRST = ("net.symmetry", "net.turned", "net.shift")  # edits that the rest of a plan follows
SHIFTS = {
    "blur": "what every second cell leaves out is smoothed first, so that answers hardly jump",
    "exact": "each sample that is asked about is rolled until its ends lie at the border: circular "
    "shifts change no answer",
}

ENERGY = "the root of the mean square of what is positive: strong cells count most, and it can blur"

Sets = tuple[tuple[int, ...], ...]


def turned(axes: tuple[Axis, ...]) -> tuple[Sets, str]:
    """Sets of axes that a symmetry may move, by position, and why: those of one set are
    exchanged with each other.

    Only axes that can be mirrored are moved, and only axes of space of the same unit and step
    are exchanged: time never runs backwards, and thick slices do not become rows.
    """
    found: list[list[int]] = []
    for number, axis in enumerate(axes):
        if not axis.mirrors:
            continue
        same = next((s for s in found if all(_alike(axes[i], axis) for i in s)), None)
        if same is None:
            found.append([number])
        else:
            same.append(number)
    words = [" and ".join(axes[i].name for i in s) for s in found]
    if not words:
        return (), "no axis can be mirrored, so a symmetry could move none"
    told = [
        f"{names} mean the same and have like steps, so they may be exchanged"
        if len(s) > 1
        else f"{names} may be reversed"
        for names, s in zip(words, found, strict=True)
    ]
    return tuple(map(tuple, found)), "; ".join(told)


def _alike(one: Axis, other: Axis) -> bool:
    low, high = sorted((one.step, other.step))
    meaning = one.kind == other.kind == "space" and one.unit == other.unit
    return meaning and high < ALIKE * low


def with_axes(plan: Plan) -> Plan:
    """The plan with the axes that a symmetry may move, and those in whose plane a sample may be
    turned by any angle, should either be asked for."""
    sets, why = turned(plan.axes)
    plan = replace_part(plan, "net", turned=sets)
    plane = max(sets, key=len, default=())
    plan = replace_part(plan, "augment", plane=plane if len(plane) > 1 else ())
    return replace(plan, why={**plan.why, "net.turned": why, "augment.plane": why})


def invariant(plan: Plan) -> Plan:
    """The plan with a network, samples and views that hold what ``net.symmetry`` and ``net.shift``
    promise, and without augmentation that they make needless. Other plans stay as they are."""
    turns = turns_of(plan.net)
    if turns is not None:
        plan = _turning(plan, len(turns), {turn.to for turn in turns.turns})
        plan = _without_flips(plan, turns)
    if plan.net.shift != "plain":
        plan = _because(plan, {"net.shift": SHIFTS[plan.net.shift]})
    if plan.net.shift == "blur" and plan.net.down == "max":
        # Learns more, in less time, than a blur behind a maximum (docs/invariance.md).
        plan = _because(replace_part(plan, "net", down="energy"), {"net.down": ENERGY})
    return plan


def fields(channels: int, n: int) -> int:
    """Fields of n moves in place of ``channels``: between as many weights and as many operations.

    ``channels / n`` would cost as many operations with 1/n of the weights, ``channels / sqrt(n)``
    as many weights with n times the operations. Fewer than four fields learn little. Their
    channels are filled up to what a processor takes at once: a step of 32, 96, 192 channels took
    274 ms, one of 24, 92, 180 322 (CIFAR-10, 4 moves, bf16, two Xeon cores). Where less than a
    quarter of that would be used, it is left out.
    """
    whole = TOGETHER // math.gcd(TOGETHER, n)
    least = math.ceil(LEAST / whole)
    return whole * max(least, math.ceil(channels / math.pow(n, 0.75) / whole - 0.25))


def _turning(plan: Plan, n: int, ways: set[tuple[int, ...]]) -> Plan:
    """Widths of whole fields, and windows that are alike on axes that are exchanged."""
    net = plan.net
    alike = [s for s in net.turned if len(s) > 1] if len(ways) > 1 else []

    def even(cells: tuple[int, ...], choose: Callable[[list[int]], int]) -> tuple[int, ...]:
        out = list(cells)
        for axes in alike:
            for axis in axes:
                out[axis] = choose([cells[i] for i in axes])
        return tuple(out)

    odd = tuple(
        k + 1 if s == 1 and k == 2 else k
        for k, s in zip(net.stem_kernel, net.stem_stride, strict=True)
    )
    widths = tuple(n * fields(width, n) for width in net.widths)
    made = replace(
        net,
        stem="convolution" if net.stem == "whiten" else net.stem,
        stem_width=n * fields(net.stem_width, n),
        stem_kernel=even(odd, max),
        stem_stride=even(net.stem_stride, min),
        widths=widths,
        strides=tuple(even(stride, min) for stride in net.strides),
        kernels=tuple(even(kernel, max) for kernel in net.kernels),
        pool="max" if net.pool in ("grid", "opening") else net.pool,
        tower=n * fields(net.tower, n) if net.tower else 0,
    )
    told = ", ".join(str(width // n) for width in widths)
    words = f"{told} fields of {n} moves, {n} channels each: between as many weights and as many "
    why = {
        "net.widths": f"{words}operations as without the symmetry",
        "net.stem": "the first convolution looks at the sample in every orientation",
        "net.stem_width": f"{made.stem_width // n} fields of {n} moves",
        "net.stem_kernel": "a window with a middle cell, alike on axes that are exchanged",
    }
    plan = _because(replace(plan, net=made), why)
    if plan.budget is None:
        return plan
    part = plan.fit
    slower = n**0.5
    return replace_part(
        plan, "fit", epochs=part.epochs / slower, steps=max(1, round(part.steps / slower))
    )


def _without_flips(plan: Plan, turns: Symmetry) -> Plan:
    """Without mirrored copies and views that the network answers alike anyway."""
    straight = tuple(range(turns.rank))
    signs = [turn.sign for turn in turns.turns if turn.to == straight]
    alone = {sign.index(-1) for sign in signs if sign.count(-1) == 1}
    flip = tuple(may and axis not in alone for axis, may in enumerate(plan.augment.flip))
    quarter = any(turn.to != straight for turn in turns.turns)
    turn = min(plan.augment.turn, 45.0) if quarter else plan.augment.turn
    plan = replace_part(plan, "augment", flip=flip, alternate=any(flip), turn=turn)
    plan = replace_part(plan, "judge", mirror=any(flip), shift=0)
    held = "mirrored samples are answered alike by construction"
    why = {
        "augment.flip": held if alone else plan.why.get("augment.flip", ""),
        "augment.alternate": held if not any(flip) else plan.why.get("augment.alternate", ""),
        "judge.mirror": held if not any(flip) else plan.why.get("judge.mirror", ""),
        "judge.shift": "views along one diagonal would not turn with the sample",
    }
    if quarter and turn:
        known = plan.why.get("augment.turn", "")
        why["augment.turn"] = (
            f"an eighth of a full turn either way: quarter turns change nothing; {known}"
        )
    return _because(plan, why)


def _because(plan: Plan, why: dict[str, str]) -> Plan:
    """The plan with more reasons; what the user set stays said so."""
    mine = {k: v for k, v in why.items() if not plan.by_user(k)}
    return replace(plan, why={**plan.why, **mine})
