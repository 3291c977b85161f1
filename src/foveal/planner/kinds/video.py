"""Plans for clips: space is made coarse first and time is kept; blocks that look along time."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal

from ...card import Card
from ...grid import time_of
from ...networks import geometry
from ...plan import FitPart, NetPart, Plan
from .. import fitting as of_fit
from .. import network as of_net
from . import Means

Shape = tuple[int, ...]
Reasons = dict[str, str]

MANY = 5000  # clips from which kernels over time pay for their weights
LEAST_PASSES = 10  # a network that would see its clips less often is made smaller
# Cells that each frame keeps along an axis, behind a coarse and behind a fine stem: as pictures do.
LEFT = {True: 2, False: 4}
DEEPEST = 4
HELD = 512 * 2**20  # bytes of activations that a step may keep for its way back
COPIES = 3  # of each convolution's output: as it came, normalised, and behind the activation


def refine(plan: Plan, card: Card, means: Means) -> Plan:
    """The plan with a network that looks along time, and a step that fits in memory.

    Source: Lin, Gan and Han, arXiv:1811.08383 (shifted); Tran et al., arXiv:1711.11248
    (factored); Feichtenhofer, arXiv:2004.04730 (frames are kept to the last stage).
    """
    time = time_of(plan.axes)
    assert time is not None, "a video has an axis of time"
    why = dict(plan.why)
    net = _net(plan, means, time, why)
    fit = _fit(plan, card, net, means, time, why)
    shift = _put(plan.augment.translate, time, 0)
    why["augment.translate"] += "; never in time, where a mirrored border would run backwards"
    why["judge.shift"] = "one look: a clip is many pictures already, and each look costs them all"
    return replace(
        plan,
        net=net,
        fit=fit,
        augment=replace(plan.augment, translate=shift),
        judge=replace(plan.judge, shift=0),
        why=why,
    )


def block(train: int) -> tuple[Literal["shifted", "factored"], str]:
    """How a convolution sees time, by the number of training clips."""
    if train >= MANY:
        return "factored", (
            f"{train:,} clips (from {MANY:,} on) can teach kernels of their own over time: "
            "one convolution over space, then one over time"
        )
    return "shifted", (
        f"{train:,} clips (under {MANY:,}): an eighth of the channels comes from the frame before "
        "and one from the frame behind, which needs no weights"
    )


def target(frames: int, means: Means) -> tuple[float, str]:
    """Operations that one forward pass should take, and what that rests on.

    Two neighbouring frames tell little more than one, so a clip counts as half as many pictures
    as it has frames, and pictures are worth what `network.affordable` says; but each clip is to be
    seen `LEAST_PASSES` times.
    """
    rate = of_fit.EFFICIENCY * means.machine.gflops * 1e9
    picture, told = of_net.affordable(means.train, rate, means.seconds, means.epochs)
    whole = max(1.0, frames / 2) * picture
    if means.epochs is None:
        whole = min(whole, rate * means.seconds / (3 * means.train * LEAST_PASSES))
    return whole, told


def stem(frames: int, space: Shape, most: float) -> tuple[Shape, Shape, int, str]:
    """Kernel and stride of the stem in space, its stride in time, and why.

    Space is made coarse first; only where that is not enough every second frame is left out.
    most: operations that one forward pass may take (`target`).
    """
    stride: Shape = ()
    for step, coarse in ((1, 1), (1, 2), (1, 4), (2, 4)):
        stride = tuple(min(coarse, 4 if n >= 96 else 2 if n >= 24 else 1) for n in space)
        steps = zip((frames, *space), (step, *stride), strict=True)
        paid = math.prod(-(-n // s) for n, s in steps) * of_net.PER_CELL <= most
        if paid:
            break
    kernel = tuple(1 if n < 2 else 4 if s > 1 else 2 for n, s in zip(space, stride, strict=True))
    kept = "every frame is seen" if step == 1 else "every second frame is seen"
    if max(stride) == 1:
        return kernel, stride, step, f"{kept} at every cell: the time pays for it"
    less = "" if paid else ", and even that is much for the time given"
    return kernel, stride, step, f"{kept}; a finer grid would leave too few channels{less}"


def _net(plan: Plan, means: Means, time: int, why: Reasons) -> NetPart:
    size = plan.data.size
    frames, space = size[time], size[:time] + size[time + 1 :]
    kind, why["net.block"] = block(means.train)
    most, told = target(frames, means)
    kernel, stride, step, why["net.stem_kernel"] = stem(frames, space, most)
    why["net.stem_stride"] = why["net.stem_kernel"]
    inner = [-(-n // s) for n, s in zip(space, stride, strict=True)]
    even = [1.0] * len(space)
    stages, reason = geometry.strides(even, inner, LEFT[max(stride) > 1])
    stages = stages or [(1,) * len(space)]
    why["net.strides"] = f"of each frame, {reason}; time is kept to the end"
    kernels, reason = geometry.kernels(even, inner, stages)
    over = "3 frames see a step and its direction" if kind == "factored" else "frames are shifted"
    why["net.kernels"] = f"{reason}; {over}"
    shape_of = (
        _put_in(kernel, time, 1),
        _put_in(stride, time, step),
        [_put_in(s, time, 1) for s in stages],
    )
    # A shift and a kernel over three frames see equally far.
    wide = [_put_in(k, time, 3) for k in kernels]
    depth, why["net.depths"] = depths(size, time, *shape_of, wide)
    looks = wide if kind == "factored" else [_put_in(k, time, 1) for k in kernels]

    def sized(base: int) -> NetPart:
        net = of_net.family(len(size), plan.data.channels, base, *shape_of, looks, depth)
        return replace(net, block=kind)

    def cost(base: int) -> int:
        return of_net.macs(sized(base), size, plan.data.channels, plan.outputs, time)

    base, why["net.widths"] = of_net.width(cost, most, told, means.train)
    why.update({k: v for k, v in of_net.reasons(sized(base)).items() if k != "net.block"})
    return sized(base)


def depths(
    size: Shape,
    time: int,
    kernel: Shape,
    stride: Shape,
    stages: list[Shape],
    kernels: list[Shape],
) -> tuple[list[int], str]:
    """Convolutions per stage: two, and more in the last until it sees frames whole, half a clip."""
    depth = [2] * len(stages)
    wanted = _put(size, time, -(-size[time] // 2))
    while True:
        seen = of_net.reach(kernel, stride, stages, kernels, depth)
        short = any(s < n for s, n in zip(seen, wanted, strict=True))
        if not short or depth[-1] >= DEEPEST:
            break
        depth[-1] += 1
    space = " x ".join(str(n) for i, n in enumerate(seen) if i != time)
    return depth, f"the last stage sees {seen[time]} frames and {space} cells of each"


def _fit(plan: Plan, card: Card, net: NetPart, means: Means, time: int, why: Reasons) -> FitPart:
    usual, why["fit.batch"] = of_fit.batch(means.train)
    each = held(net, plan.data.size, plan.data.channels, time)
    batch = max(1, min(usual, HELD // each))
    if batch < usual:
        why["fit.batch"] = f"a clip keeps about {each / 2**20:.0f} MB of activations in a step"
    cost = of_net.macs(net, plan.data.size, plan.data.channels, plan.outputs, time)
    passes, why["fit.epochs"] = of_fit.epochs(
        means.train, cost, means.machine.gflops, means.seconds, means.epochs
    )
    each_pass = max(1, means.train // batch)
    steps = max(1, round(passes * each_pass))
    why["fit.steps"] = f"{passes:.1f} epochs of {each_pass} batches"
    early = of_fit.coarse(card, plan.data.size, passes)
    return of_fit.fitting(batch, passes, steps, means.machine, early, why)


def held(net: NetPart, size: Shape, channels: int, time: int) -> int:
    """About the bytes that one sample's activations take in a training step."""
    cells = 4 * math.prod(size) * channels
    size = tuple(-(-n // s) for n, s in zip(size, net.stem_stride, strict=True))
    cells += 4 * COPIES * math.prod(size) * net.stem_width
    for width, depth, stride, kernel in zip(
        net.widths, net.depths, net.strides, net.kernels, strict=True
    ):
        after = tuple(-(-n // s) for n, s in zip(size, stride, strict=True))
        looks = 2 if net.block == "factored" and kernel[time] > 1 else 1
        cells += 4 * width * (math.prod(size) + COPIES * math.prod(after) * (depth * looks))
        size = after
    return cells


def _put(cells: Shape, axis: int, value: int) -> Shape:
    """``cells`` with ``value`` at ``axis``."""
    return tuple(value if i == axis else n for i, n in enumerate(cells))


def _put_in(cells: Shape, axis: int, value: int) -> Shape:
    """``cells`` of the other axes with ``value`` put in at ``axis``."""
    return (*cells[:axis], value, *cells[axis:])
