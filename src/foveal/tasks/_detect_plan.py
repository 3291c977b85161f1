"""What boxes ask of the plan: levels by their sizes, towers on them, passes enough."""

from __future__ import annotations

from dataclasses import replace
from math import prod

from ..card import Card
from ..networks.build import build
from ..networks.cost import cost
from ..networks.detector import BoxHead
from ..networks.geometry import kernels, strides
from ..plan import NetPart, Plan, replace_part
from . import Spend
from ._pace import paced

ACROSS = 2.0  # cells of the finest level that the smallest twentieth of boxes spans
FEWEST = 4.0  # cells of the coarsest level that the largest twentieth spans
BASES = (8, 12, 16, 24, 32, 48)
WIDEST = 256
PASSES = 80.0  # over the training part, before a wider network pays
BATCH = (2, 8)
FEW_CELLS = 2**12
LEFT = 3  # cells an axis must keep to be halved into
STEM = 24  # whitened directions at most

WHY = {
    "net.stem": "patches are decorrelated before the first trained layer (whitening, frozen)",
    "net.stem_kernel": "patches overlap by half where cells are skipped",
    "net.depths": "two convolutions per stage; the towers add more",
    "net.pool": "nothing is pooled over the grid",
    "net.scale": "nothing is scaled: answers begin with the rate of things among cells",
    "net.tower": "as many channels as the finest level that is looked at, 96 at most",
}


def sized(plan: Plan, card: Card, spend: Spend) -> Plan:
    """The plan with levels that fit the sizes of its boxes, as wide as the time pays."""
    passes = spend.epochs or PASSES
    each = spend.operations / (3 * 2 * max(spend.train, 1))  # multiply-adds, times passes
    plan = _whole(plan, _with(plan, card, BASES[0]))
    made = _with(plan, card, BASES[0])
    for base in BASES[1:]:
        wider = _with(plan, card, base)
        if _macs(wider) * passes <= each:
            made = wider
    why = dict(made.why)
    why["net.widths"] = (
        f"{spend.told}: the widest network that passes over the training part about {passes:.0f} "
        "times; channels double where the grid is halved"
    )
    made, why["fit.steps"] = paced(made, spend, each / _macs(made), BATCH)
    why["fit.batch"] = "a sample holds many things: small batches, and so many steps"
    why["fit.coarse"] = why["fit.coarse_size"] = "boxes are said on one grid"
    return replace(made, why=why)


def _whole(plan: Plan, made: Plan) -> Plan:
    """The plan at a size that the strides of ``made`` divide: mirrored cells then lie alike."""
    if plan.data.fit not in ("stretch", "pad", "crop"):
        return plan
    stride = made.net.levels[made.net.looks[-1]][1]
    pairs = zip(plan.data.size, stride, strict=True)
    size = tuple(s * round(n / s) if n >= 4 * s else n for n, s in pairs)
    if size == plan.data.size:
        return plan
    words = " x ".join(map(str, size))
    told = f"{plan.why.get('data.size', '')}; {words}, so that every stride divides it"
    plan = replace_part(plan, "data", size=size)
    return replace(plan, why={**plan.why, "data.size": told.removeprefix("; ")})


def planned(plan: Plan, card: Card) -> Plan:
    """Frames at many sizes and places, no smoothing, one view; levels where there are none yet."""
    if not plan.net.looks:
        found = tuple(range(1, len(plan.net.levels)))
        plan = replace_part(plan, "net", looks=found, tower=max(8, plan.net.widths[0]))
    why = {
        **plan.why,
        "augment.zoom": "things are learned at many sizes and places, their boxes with them",
        "augment.translate": "a zoomed frame lies anywhere already",
        "augment.cutout": "a box of what was erased would be wrong",
        "augment.warp": "boxes do not run faster",
        "fit.label_smoothing": "what a cell should say follows from how well its box fits",
        "fit.weights": "cells that fit their boxes well count for more, whatever the class",
        "judge.mirror": "answers are turned back cell by cell where an axis may be mirrored",
        "judge.shift": "boxes of shifted views cannot be averaged",
        "judge.sizes": "nor can those of larger and smaller ones",
    }
    still = (0,) * plan.rank
    plan = replace_part(plan, "augment", translate=still, cutout=0, warp=(), zoom=0.25)
    plan = replace_part(plan, "fit", label_smoothing=0.0, weights=())
    drawn = min(plan.judge.bootstrap, 300)
    plan = replace_part(plan, "judge", mirror=False, shift=0, sizes=1, bootstrap=drawn)
    return replace(plan, why=why)


def _with(plan: Plan, card: Card, base: int) -> Plan:
    """The plan with levels from ``base`` channels on."""
    size, steps = plan.data.size, [axis.step for axis in plan.axes]
    finest = min(steps)
    sides = _sides(plan, card)
    # So few cells, or so small things, that none may be lost.
    small = prod(size) <= FEW_CELLS or (bool(sides) and sides[0] < 4 * ACROSS)
    wide = [s < 2 * finest and n >= 8 for s, n in zip(steps, size, strict=True)]
    stem_stride = tuple(2 if w and not small else 1 for w in wide)
    stem_kernel = tuple(
        (4 if s > 1 else 2) if n > 1 else 1 for n, s in zip(size, stem_stride, strict=True)
    )
    inner = [-(-n // s) for n, s in zip(size, stem_stride, strict=True)]
    steps = [a * s for a, s in zip(steps, stem_stride, strict=True)]
    stages, why_strides = strides(steps, inner, LEFT)
    stages = stages or [(1,) * plan.rank]
    reach = [max(stem_stride)]
    for stride in stages:
        reach.append(reach[-1] * max(stride))
    looks, why_looks = _looks(reach, sides)
    stages = stages[: looks[-1]]
    kernel, why_kernels = kernels(steps, inner, stages)
    widths = tuple(min(base * 2**i, WIDEST) for i in range(len(stages)))
    most = 2 * plan.data.channels * prod(stem_kernel)
    net = NetPart(
        stem="whiten",
        stem_width=min(most, STEM),
        stem_kernel=stem_kernel,
        stem_stride=stem_stride,
        block="plain",
        down="max",
        widths=widths,
        depths=(2,) * len(stages),
        strides=tuple(stages),
        kernels=tuple(kernel),
        norm="batch",
        activation="relu",
        gate=False,
        pool="max",
        hidden=(),
        dropout=0.0,
        drop_path=0.0,
        scale=1.0,
        looks=looks,
        tower=max(base, min(96, widths[looks[0] - 1])),
    )
    why = {
        **plan.why,
        **WHY,
        "net.strides": why_strides,
        "net.kernels": why_kernels,
        "net.looks": why_looks,
        "net.stem_stride": "every cell: things or grid are small"
        if small
        else "every second cell: boxes end between cells all the same",
    }
    return replace(plan, net=net, why=why)


def _looks(reach: list[int], sides: list[float]) -> tuple[tuple[int, ...], str]:
    """Levels to look at (0 is the stem), for strides ``reach`` and mean sides, small to large."""
    found = list(range(1, len(reach)))
    if not sides:
        return tuple(found), "nothing is known of the sizes of boxes: every stage is looked at"
    small, large = sides[0], sides[-1]
    first = ([i for i in found if reach[i] * ACROSS <= small] or found[:1])[-1]
    coarse = [i for i in found if reach[i] * FEWEST <= large and i >= first]
    last = max(coarse[-1] if coarse else first, min(first + 1, found[-1]))
    told = ", ".join(str(reach[i]) for i in range(first, last + 1))
    why = f"boxes span {small:.0f} to {large:.0f} cells: strides of {told} see them"
    return tuple(range(first, last + 1)), why


def _sides(plan: Plan, card: Card) -> list[float]:
    """Mean side of small to large boxes in cells of the plan's grid."""
    if not card.sides:
        return []
    scale = [new / old for new, old in zip(plan.data.size, card.size, strict=True)]
    return [
        prod(n * s for n, s in zip(row, scale, strict=True)) ** (1 / plan.rank)
        for row in card.sides
    ]


def _macs(plan: Plan) -> int:
    """Multiply-adds of one sample."""
    network = build(plan, box_head(plan))
    return cost(network, plan.data.channels, plan.data.size).macs


def box_head(plan: Plan, side: list[float] | None = None) -> BoxHead:
    """The head of a plan. side: usual side of a box along each axis, in cells."""
    net = plan.net
    return BoxHead(plan.rank, net, net.looks, len(plan.classes), width=net.tower, side=side or ())
