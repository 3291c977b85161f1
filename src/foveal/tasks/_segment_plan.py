"""What a class for every cell asks of the plan: every cell kept, a decoder, passes enough."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import torch

from ..card import Card
from ..networks.build import build
from ..networks.cost import cost
from ..networks.decoder import Decoder
from ..networks.geometry import kernels, strides
from ..plan import NetPart, Plan, replace_part
from . import Spend
from ._pace import paced

BASES = (8, 12, 16, 24, 32)
WIDEST = 320  # as nnU-Net's in three axes
PASSES = 60.0  # over the training part, before a wider network pays
FEWEST = 30.0  # below it, fewer cells are worth more than fine ones
LEAST_SHARE = 1 / 16  # of the cells, at least, are kept
BATCH = (2, 16)
BEYOND = 2  # times as large as what was learned from, along an axis: another kind of sample
SCALED = ("stretch", "pad", "crop")  # ways in which samples are brought to one size


def sized(plan: Plan, card: Card, spend: Spend) -> Plan:
    """The plan with a network of levels on the finest grid, and the widest, that the time pays.

    nnU-Net shrinks its patch until a batch fits the memory; here the grid shrinks until a narrow
    network passes over the training part 30 times, and the network widens while it still makes 60
    passes. Source: Isensee et al. 2021, doi:10.1038/s41592-020-01008-z; what limits is ours.
    """
    passes = spend.epochs or PASSES
    size = plan.data.size
    each = spend.operations / (3 * 2 * max(spend.train, 1))  # multiply-adds, times passes
    trial = _with(plan, size, BASES[0])
    while _macs(trial) * FEWEST > each and spend.epochs is None:
        smaller = tuple(n if n <= 16 else max(16, 8 * int(0.85 * n / 8)) for n in size)
        if smaller == size or prod(smaller) < LEAST_SHARE * prod(plan.data.size):
            break
        size = smaller
        trial = _with(plan, size, BASES[0])
    base = BASES[0]
    for candidate in BASES:
        if _macs(_with(plan, size, candidate)) * passes <= each:
            base = candidate
    made = _with(plan, size, base)
    why = dict(made.why)
    if size != plan.data.size:
        why["data.size"] = (
            f"{spend.told} pay {FEWEST:.0f} passes over {spend.train} samples at "
            f"{_words(size)} cells, not at {_words(plan.data.size)}; answers are brought back to "
            "each sample's own grid"
        )
    why["net.widths"] = (
        f"{spend.told}: the widest of {', '.join(map(str, BASES))} that passes over the training "
        f"part about {passes:.0f} times; channels double where the grid is halved"
    )
    made, why["fit.steps"] = paced(made, spend, each / _macs(made), BATCH)
    why["fit.batch"] = f"{spend.train} training samples of {prod(size):,} cells each"
    why["fit.lr"] = f"0.1 at 500 samples a step, scaled by the fourth root of {made.fit.batch}/500"
    why["fit.other_lr"] = f"0.4 at 500 samples a step, scaled by the root of {made.fit.batch}/500"
    why["fit.coarse"] = why["fit.coarse_size"] = "every step at full size: borders are fine things"
    return replace(made, why=why)


def planned(plan: Plan, card: Card) -> Plan:
    """No smoothing, no shifted views: borders are what is learned."""
    why = {
        **plan.why,
        "fit.label_smoothing": "Dice answers for the balance; borders are to be sharp",
        "judge.shift": "an answer that is shifted is another one",
        "judge.sizes": "and so is one of another size",
    }
    plan = replace_part(plan, "fit", label_smoothing=0.0)
    plan = replace_part(plan, "judge", shift=0, sizes=1)
    if any(plan.augment.warp):
        plan = replace_part(plan, "augment", warp=())
        why["augment.warp"] = "a mask would have to run with its sample"
    if plan.data.fit in SCALED:
        even = all(b <= BEYOND * a for a, b in zip(card.median, card.largest, strict=True))
        window = card.median if even else card.largest
        plan = replace_part(plan, "judge", window=window)
        why["judge.window"] = (
            f"training samples are {'usually' if even else 'up to'} {_words(window)}: in one "
            f"more than {BEYOND} times as large along an axis things keep their size if it is "
            "answered in windows like that"
        )
    return replace(plan, why=why)


def decoder(plan: Plan, prior: torch.Tensor | None = None) -> Decoder:
    """The head of a plan. prior: share of each class, ``(K,)``."""
    return Decoder(plan.rank, plan.net, len(plan.classes), prior=prior)


def _with(plan: Plan, size: tuple[int, ...], base: int) -> Plan:
    """The plan at ``size`` with levels from ``base`` channels on."""
    pairs = zip(plan.axes, plan.data.size, size, strict=True)
    steps = [axis.step * old / new for axis, old, new in pairs]
    stages, why_strides = strides(steps, list(size))
    stages = stages or [(1,) * plan.rank]
    kernel, why_kernels = kernels(steps, list(size), stages)
    widths = [min(base * 2**i, WIDEST) for i in range(len(stages) + 1)]
    finest = min(steps)
    stem = tuple(3 if s < 2 * finest and n >= 3 else 1 for s, n in zip(steps, size, strict=True))
    net = NetPart(
        stem="convolution",
        stem_width=widths[0],
        stem_kernel=stem,
        stem_stride=(1,) * plan.rank,
        block="plain",
        down="max",
        widths=tuple(widths[1:]),
        depths=(2,) * len(stages),
        strides=tuple(stages),
        kernels=tuple(kernel),
        norm="batch",
        activation="relu",
        gate=False,
        pool="average",
        hidden=(),
        dropout=0.0,
        drop_path=0.0,
        scale=0.5,
    )
    why = {
        **plan.why,
        "net.strides": why_strides,
        "net.kernels": why_kernels,
        "net.stem": "a trained convolution that keeps every cell: borders are decided there",
        "net.stem_width": "as many channels as the finest level of the decoder",
        "net.stem_kernel": "three cells along each axis of like step",
        "net.stem_stride": "no cell is lost before the first level",
        "net.depths": "two convolutions per level, one more in the decoder, as in a U-Net",
        "net.pool": "nothing is pooled over the grid",
        "net.scale": "answers start small, so the first steps do not overshoot",
    }
    plan = replace_part(plan, "data", size=size)
    shift = tuple(0 if n < 6 else max(1, round(n / 16)) for n in size)
    if any(plan.augment.translate):
        plan = replace_part(plan, "augment", translate=shift)
    if plan.data.fit == "spacing":
        plan = replace_part(plan, "data", step=tuple(steps))
    axes = tuple(
        replace(axis, step=float(f"{s:.6g}")) if plan.data.fit == "spacing" else axis
        for axis, s in zip(plan.axes, steps, strict=True)
    )
    if plan.data.fit == "spacing":
        plan = replace_part(plan, "data", step=tuple(axis.step for axis in axes))
    return replace(plan, net=net, axes=axes, why=why)


def _macs(plan: Plan) -> int:
    """Multiply-adds of one sample."""
    network = build(plan, decoder(plan))
    return cost(network, plan.data.channels, plan.data.size).macs


def _words(size: tuple[int, ...]) -> str:
    return " x ".join(map(str, size))
