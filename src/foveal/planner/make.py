"""The plan from the card, the machine and the time: rules asked in order, reasons collected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, cast

from ..card import Card
from ..errors import PlanError
from ..grid import time_of
from ..networks import geometry
from ..plan import AugmentPart, DataPart, FitPart, JudgePart, NetPart, Plan
from ..tasks import Spend
from . import data as of_data
from . import fitting as of_fit
from . import network as of_net
from .invariance import FIRST, invariant, with_axes
from .kinds import Means, refined
from .machine import Machine
from .orientation import Orientation, orientation, oriented
from .symmetry import Evidence
from .task import task_named
from .turns import Found

Reasons = dict[str, str]
# Views at as many angles. Of 4,000 digits at random angles a network that turns along named 98.4 %,
# the mean of 2, 3 and 4 of its views 98.5, 98.6 and 98.55 %.
TURNS = 3
# Views of as many sizes: of 10,000 pictures of CIFAR-10 a network trained with zooms by up to 15 %
# named 89.6 %, the mean of its views of 1, 0.94 and 0.875 of the size 90.2 %.
SIZES = 3
# Cells that a classifier keeps along an axis, behind a coarse and behind a fine stem. Three stages
# either way did best on CIFAR-10; its head pools over what is left.
LEFT = {True: 2, False: 4}


def make_plan(
    card: Card,
    machine: Machine,
    *,
    task: str = "classify",
    budget: float | None = None,
    epochs: float | None = None,
    seed: int = 0,
    symmetry: str = "auto",
    evidence: tuple[Evidence, ...] = (),
    turns: Found | None = None,
    found: Any = None,
    changes: dict[str, str] | None = None,
) -> Plan:
    """A complete plan for learning what ``card`` describes.

    task: file name in ``tasks/``; its own rules come behind those of the data. budget: seconds
    for the whole command; epochs: passes instead of a budget. symmetry: "auto" follows
    ``evidence`` of each axis mirrored and ``turns``; "none", "flips", "rotations" and "full" are
    the user's (`orientation`). found: what the kind of data wanted to learn from the training
    rows (`kinds.observed`).
    changes: the user's edits, applied last and recorded as such; what follows from the working
    size (stages, kernels, depth) or a promised symmetry follows an edited one too.
    Raises: PlanError for an impossible edit, or where the task finds nothing to learn.
    """
    task_named(task).check(card)
    changes = changes or {}
    wish = Wish(task, budget, epochs, seed, symmetry, evidence, turns, found)
    first = {key: changes[key] for key in FIRST if key in changes}
    plan = invariant(_plan(card, machine, wish).edited(first))
    edited = plan.edited(changes)
    size = edited.data.size
    if size == plan.data.size:
        return edited
    if len(size) != plan.rank or min(size) < 1:
        raise PlanError(
            f"size {list(size)} does not fit a grid of rank {plan.rank}",
            where="--set data.size",
            mend=f"give one number >= 1, or {plan.rank} of them, as in [64, 64]",
        )
    if plan.rank != card.rank:  # sounds become pictures: the plan's size is not the files'
        return edited
    plan = _plan(of_data.resized(card, size), machine, wish)
    return invariant(plan.edited(first)).edited(changes)


@dataclass(frozen=True, slots=True)
class Wish:
    """What the user asked for, beside the data."""

    task: str
    budget: float | None
    epochs: float | None
    seed: int
    symmetry: str
    evidence: tuple[Evidence, ...]
    turns: Found | None
    found: Any


def _plan(card: Card, machine: Machine, wish: Wish) -> Plan:
    why: Reasons = {"data.size": card.why.get("size", ""), "data.fit": card.why.get("fit", "")}
    data = _data(card, why)
    train = _training_samples(card, data)
    turning = _turning(card, wish, train)
    augment = _augment(card, data, turning, why)
    seconds = _seconds(wish.budget, why)
    net = _net(card, data, machine, train, seconds, wish.epochs, why)
    fitting = _fit(card, data, net, machine, train, seconds, wish.epochs, why)
    judge = _judge(augment, data, why)
    why["task"] = _target(card)
    why["seed"] = "fixes the split, the first weights and every random change"
    plan = Plan(
        task=wish.task,
        axes=card.axes,
        classes=card.classes,
        data=data,
        augment=augment,
        net=net,
        fit=fitting,
        judge=judge,
        budget=wish.budget,
        seed=wish.seed,
        why=why,
        numbers=card.numbers,
    )
    plan = refined(plan, card, Means(machine, train, seconds, wish.epochs, wish.found))
    task = task_named(wish.task)
    if task.sized is not None:
        rate = of_fit.EFFICIENCY * machine.gflops * 1e9
        told = f"{seconds:.0f} s at {rate / 1e9:.0f} GFLOP/s"
        plan = task.sized(plan, card, Spend(rate * seconds, told, train, wish.epochs))
    return oriented(with_axes(task.planned(plan, card)), turning)


def _turning(card: Card, wish: Wish, train: int) -> Orientation:
    """What is done about flips and turns. Layers that turn along are chosen by the data alone for
    classes of whole pictures and volumes."""
    task = task_named(wish.task)
    whole = card.target in {"label", "labels"} and task.start is None
    pooled = whole and card.data in {"picture", "volume"}
    return orientation(card, wish.symmetry, wish.evidence, wish.turns, train, pooled)


def _target(card: Card) -> str:
    """What there is to learn, in words."""
    why = card.why.get("target", "")
    told = f": {why}" if why else ""
    if card.target == "numbers":
        return f"the target is {', '.join(n.name for n in card.numbers)}{told}"
    if card.target == "mask":
        return f"the target is one of {len(card.classes)} classes for every cell{told}"
    if card.target == "boxes":
        return f"the target is where things of {len(card.classes)} classes lie{told}"
    many = "any of" if card.target == "labels" else "one of"
    return f"the target is {many} {len(card.classes)} classes{told}"


def _data(card: Card, why: Reasons) -> DataPart:
    low, high, why["data.low"] = of_data.values(card)
    mean, std, why["data.mean"] = of_data.moments(card, low, high)
    validation, test, why["data.validation"], why["data.test"] = of_data.held_back(card)
    why["data.high"], why["data.std"] = why["data.low"], why["data.mean"]
    why["data.channels"] = {1: "one value per cell", 3: "colour was found"}.get(
        card.channels, "as many as the files hold"
    )
    why["data.dtype"] = "the widest values met in the files"
    why["data.scale"] = card.why.get("scale", "values mean the same in every file")
    why["data.step"] = card.why["size"] if card.fit == "spacing" else "cells have no length"
    why["data.text"] = why["data.sound"] = "the samples are neither text nor sound"
    time = time_of(card.axes)
    why["data.sampled"] = (
        "no axis holds frames"
        if time is None
        else "frames are picked, not blended: a mean of two shows what never was"
    )
    return DataPart(
        size=card.size,
        channels=card.channels,
        fit=card.fit,
        low=low,
        high=high,
        mean=mean,
        std=std,
        validation=validation,
        test=test,
        dtype=cast(Literal["uint8", "uint16", "float32"], card.dtype),
        scale=card.scale,
        step=tuple(axis.step for axis in card.axes) if card.fit == "spacing" else (),
        sampled=() if time is None else (time,),
    )


def _training_samples(card: Card, data: DataPart) -> int:
    n = card.parts.get("train", 0)
    return max(1, round(n * (1 - data.validation - data.test)))


def _seconds(budget: float | None, why: Reasons) -> float:
    """Seconds of training to plan for; the rest of the budget reads, judges and reports."""
    if budget is None:
        why["budget"] = "none given: the number of epochs decides"
        return 600.0
    why["budget"] = f"{budget:g} s for the whole command"
    return max(0.85 * budget - 5.0, 0.3 * budget)


def _augment(card: Card, data: DataPart, turning: Orientation, why: Reasons) -> AugmentPart:
    flip, why["augment.flip"] = turning.flip, turning.why["augment.flip"]
    translate, why["augment.translate"] = of_fit.translate(card, data.size)
    cutout, why["augment.cutout"] = of_fit.cutout(card, data.size)
    why["augment.warp"] = why["augment.gain"] = "only series and sounds run faster or get louder"
    why["augment.zoom"] = "things nearer or further were not asked for"
    why["augment.turn"] = "turns by any angle were not asked for"
    brightness, contrast, why["augment.brightness"] = of_fit.light(card)
    why["augment.contrast"] = why["augment.brightness"]
    why["augment.alternate"] = (
        "each picture is seen in both hands in any two passes (Jordan 2024, arXiv:2404.00498)"
        if any(flip)
        else "nothing is mirrored"
    )
    return AugmentPart(translate, flip, any(flip), cutout, brightness, contrast)


def _net(
    card: Card,
    data: DataPart,
    machine: Machine,
    train: int,
    seconds: float,
    epochs: float | None,
    why: Reasons,
) -> NetPart:
    rank, outputs = card.rank, len(card.classes) or len(card.numbers)
    rate = of_fit.EFFICIENCY * machine.gflops * 1e9
    target, told = of_net.affordable(train, rate, seconds, epochs)
    stem_kernel, stem_stride, why["net.stem_kernel"] = of_net.stem(data.size, target)
    inner = tuple(-(-n // s) for n, s in zip(data.size, stem_stride, strict=True))
    steps = [a.step * s for a, s in zip(card.axes, stem_stride, strict=True)]
    stages, why["net.strides"] = geometry.strides(steps, list(inner), LEFT[max(stem_stride) > 1])
    if not stages:
        stages = [(1,) * rank]
        why["net.strides"] = f"{data.size} is too small to be halved; one stage at full size"
    kernel, why["net.kernels"] = geometry.kernels(steps, list(inner), stages)
    depth, why["net.depths"] = of_net.depths(data.size, stem_kernel, stem_stride, stages, kernel)
    why["net.stem_stride"] = why["net.stem_kernel"]

    # Only where the finest grid is paid for, and layers behind it are wide enough to gain.
    gains = machine.winograd or machine.precision == "bf16"
    wide = gains and max(stem_stride) == 1 and len(stages) == 3 and train >= 5000

    def sized(base: int) -> NetPart:
        return of_net.family(
            rank, data.channels, base, stem_kernel, stem_stride, stages, kernel, depth, wide
        )

    def cost(base: int) -> int:
        return of_net.macs(sized(base), data.size, data.channels, outputs)

    base, why["net.widths"] = of_net.width(cost, target, told, train, wide)
    net = sized(base)
    why.update(of_net.reasons(net))
    return net


def _fit(
    card: Card,
    data: DataPart,
    net: NetPart,
    machine: Machine,
    train: int,
    seconds: float,
    epochs: float | None,
    why: Reasons,
) -> FitPart:
    batch, why["fit.batch"] = of_fit.batch(train)
    cost = of_net.macs(net, data.size, data.channels, len(card.classes) or len(card.numbers))
    passes, why["fit.epochs"] = of_fit.epochs(train, cost, machine.gflops, seconds, epochs)
    why["fit.precision"] = why["fit.channels_last"] = machine.why
    why["fit.threads"] = f"{machine.threads} at once did best, measured"
    why["fit.device"] = machine.name
    steps = max(1, round(passes * max(1, train // batch)))
    why["fit.steps"] = f"{passes:.1f} epochs of {max(1, train // batch)} batches"
    early = of_fit.coarse(card, data.size, passes)
    return of_fit.fitting(batch, passes, steps, machine, early, why)


def _judge(augment: AugmentPart, data: DataPart, why: Reasons) -> JudgePart:
    mirror = any(augment.flip)
    shift = 1 if max(data.size) >= 16 else 0
    why["judge.mirror"] = (
        "answers of the mirrored view are averaged in" if mirror else "nothing may be mirrored"
    )
    why["judge.shift"] = f"views shifted by {shift} cells are averaged in" if shift else "tiny grid"
    why["judge.window"] = "every sample is answered whole"
    why["judge.turns"] = "more angles than one where training turns samples (augment.turn)"
    why["judge.sizes"] = "more sizes than one where training changes sizes (augment.zoom)"
    why["judge.bootstrap"] = "1,000 resamples steady a 95 % interval to about a twentieth"
    return JudgePart(mirror=mirror, shift=shift, bootstrap=1000, turns=TURNS, sizes=SIZES)
