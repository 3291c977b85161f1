"""Rules for a network that keeps a symmetry, or holds still under shifts, by construction."""

from __future__ import annotations

from dataclasses import replace

from ..grid import Axis
from ..plan import Plan, replace_part

ALIKE = 1.05  # ratio of steps up to which axes may be exchanged

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
