"""Plans for signals: series keep their values, sounds may become pictures of pitch and time."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from ...card import Card
from ...networks import geometry
from ...plan import AugmentPart, DataPart, NetPart, Plan
from .. import fitting as of_fit
from .. import network as of_net
from ..sound import heard_as, is_sound, listen, of_picture
from . import Means, Rows

TINY = 300  # training samples under which none are held back for validation
STAGES, CELLS = 3, 512  # of a series; longer ones are made coarser by the stem
KERNELS = (9, 7, 5)
LEFT = 12  # cells that a series keeps
UNEVEN = 1.3

Reasons = dict[str, str]


def observe(card: Card, rows: Rows) -> Any:
    """What simple models learn from sounds in either form; None for other series."""
    return listen(card, rows)


def refine(plan: Plan, card: Card, means: Means) -> Plan:
    """The plan with a network for series, or with the sound as a picture and a network for it."""
    why = dict(plan.why)
    data = _held_back(plan.data, card, why)
    train = max(1, round(card.parts.get("train", 0) * (1 - data.validation - data.test)))
    axes = plan.axes
    if is_sound(card):
        data, axes = heard_as(data, card, means.found, why)
    else:
        why["data.sound"] = "values that are no sound: they are taken as they stand"
    if data.sound is not None and data.sound.bands:
        augment = of_picture(plan.augment, data, why)
        net = _picture_net(data, plan.outputs, train, means, why)
    else:
        data = _lengths(data, card, why)
        augment = _of_series(plan.augment, data, why)
        net = _series_net(data, plan.outputs, train, means, why)
    batch, why["fit.batch"] = of_fit.batch(train)
    cost = of_net.macs(net, data.size, data.channels, plan.outputs)
    passes, why["fit.epochs"] = of_fit.epochs(
        train, cost, means.machine.gflops, means.seconds, means.epochs
    )
    each = max(1, train // batch)
    steps = max(1, round(passes * each))
    why["fit.steps"] = f"{passes:.1f} epochs of {each} batches"
    early = (0.0, data.size, "every step at full size: most of a series' meaning is in its detail")
    fit = of_fit.fitting(batch, passes, steps, means.machine, early, why)
    return replace(plan, axes=axes, data=data, augment=augment, net=net, fit=fit, why=why)


def _held_back(data: DataPart, card: Card, why: Reasons) -> DataPart:
    train = card.parts.get("train", 0) * (1 - data.test)
    if not data.validation or train >= TINY:
        return data
    held = max(1, round(data.validation * train))
    points = 100 * 1.96 * math.sqrt(0.1 * 0.9 / held)
    why["data.validation"] = (
        f"{held} of {train:.0f} training samples would tell the accuracy to {points:.0f} points: "
        "too coarse to choose weights by, so all of them train and the last weights are kept"
    )
    return replace(data, validation=0.0)


def _lengths(data: DataPart, card: Card, why: Reasons) -> DataPart:
    """Masks where lengths differ much; where they nearly agree, stretching costs less."""
    if data.fit != "ragged" or card.largest[0] > UNEVEN * card.smallest[0]:
        return data
    why["data.fit"] = f"lengths agree within {UNEVEN}: stretched, so that nothing need be masked"
    return replace(data, fit="stretch", size=card.median)


def _of_series(augment: AugmentPart, data: DataPart, why: Reasons) -> AugmentPart:
    shift = tuple(0 if n < 20 else max(1, n // 20) for n in data.size)
    why["augment.translate"] = "what happens a twentieth earlier or later is the same thing"
    why["augment.warp"] = "what happens a tenth faster or slower is the same thing"
    why["augment.gain"] = "so is what is a tenth stronger or weaker"
    return replace(augment, translate=shift, warp=(0.1,) * len(data.size), gain=0.1)


def _series_net(data: DataPart, outputs: int, train: int, means: Means, why: Reasons) -> NetPart:
    """Residual stages of wide kernels, averaged over time.

    Source: Wang, Yan and Oates, arXiv:1611.06455 (residual networks for series); tuned by
    cross-validation on training parts of four sets of the UCR and UEA archives.
    """
    rank = len(data.size)
    coarse = max(1, max(data.size) // CELLS)
    inner = [-(-n // coarse) for n in data.size]
    stages = geometry.strides([1.0] * rank, inner, LEFT)[0][:STAGES] or [(1,) * rank]
    kernels, left = [], list(inner)
    for stride, width in zip(stages, KERNELS, strict=False):
        kernels.append(tuple(_odd(width, n) for n in left))
        left = [-(-n // s) for n, s in zip(left, stride, strict=True)]
    stem = tuple(_odd(max(KERNELS[0], 2 * coarse + 1), n) for n in data.size)

    def sized(base: int) -> NetPart:
        return NetPart(
            stem="convolution",
            stem_width=base,
            stem_kernel=stem,
            stem_stride=(coarse,) * rank,
            block="residual",
            down="max",
            widths=of_net.widths(base, len(stages)),
            depths=(3,) * len(stages),
            strides=tuple(stages),
            kernels=tuple(kernels),
            norm="batch",
            activation="relu",
            gate=False,
            pool="average",
            hidden=(),
            dropout=0.0,
            drop_path=0.0,
            scale=1.0,
        )

    base, why["net.widths"] = _width(sized, data, outputs, train, means, 32)
    net = sized(base)
    why.update(of_net.reasons(net))
    why["net.stem"] = why["net.stem_kernel"] = "a wide first kernel: series are smooth"
    why["net.stem_width"] = "as wide as the first stage"
    why["net.stem_stride"] = f"about {CELLS} cells are left of the longest series"
    why["net.block"] = "with few samples residual stages beat plain ones in cross-validation"
    why["net.kernels"] = "9, 7 and 5 cells beat 7, 5 and 3 in cross-validation"
    why["net.depths"] = "a convolution that halves, then one residual pair"
    why["net.strides"] = f"at most {STAGES} halvings, {LEFT} cells left at least"
    why["net.pool"] = "how often a shape occurs tells as much as that it occurs"
    why["net.scale"] = "a residual network starts small enough"
    return net


def _picture_net(data: DataPart, outputs: int, train: int, means: Means, why: Reasons) -> NetPart:
    """The plain network that pictures get, averaged over what is left of pitch and time."""
    rank = len(data.size)
    even = [1.0] * rank
    stages, why["net.strides"] = geometry.strides(even, list(data.size))
    stages = stages or [(1,) * rank]
    kernel, why["net.kernels"] = geometry.kernels(even, list(data.size), stages)
    stem, once = tuple(min(2, n) for n in data.size), (1,) * rank
    depth, why["net.depths"] = of_net.depths(data.size, stem, once, stages, kernel)

    def sized(base: int) -> NetPart:
        net = of_net.family(rank, 1, base, stem, once, stages, kernel, depth)
        return replace(net, pool="average")

    base, why["net.widths"] = _width(sized, data, outputs, train, means, 24)
    net = sized(base)
    why.update(of_net.reasons(net))
    why["net.stem_kernel"] = why["net.stem_stride"] = "every band and step of time is kept"
    why["net.pool"] = "the average over time named unknown speakers' words more often than the "
    why["net.pool"] += "maximum"
    return net


def _width(
    sized: Any, data: DataPart, outputs: int, train: int, means: Means, usual: int
) -> tuple[int, str]:
    """Channels of the first stage. Small sets never gained by more than ``usual``."""
    rate = of_fit.EFFICIENCY * means.machine.gflops * 1e9
    target, told = of_net.affordable(train, rate, means.seconds, means.epochs)
    # Small sets are never short of time: all passes that are worth it fit a larger network.
    spare = rate * means.seconds / (3 * train * of_fit.MOST_EPOCHS)
    target = target if means.epochs is not None else max(target, spare)

    def cost(base: int) -> int:
        return of_net.macs(sized(base), data.size, data.channels, outputs)

    base, why = of_net.width(cost, target, told, train)
    if train >= 5000 or base <= usual:
        return base, why
    return usual, f"with {train} training samples more than {usual} channels did not help"


def _odd(width: int, cells: int) -> int:
    """The largest odd kernel of at most ``width`` that an axis of so many cells can use."""
    width = min(width, cells)
    return width if width % 2 else max(1, width - 1)
