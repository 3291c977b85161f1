"""Rules for the network: stages, kernels, depth, width. Each returns (value, why)."""

from __future__ import annotations

import math
from collections.abc import Callable

from ..networks.parts import fields
from ..plan import NetPart

WIDEST = 512  # channels; wider stages did not pay in any measured run
BASES = (8, 12, 16, 24, 32, 40, 48, 56, 64, 80, 96, 128, 192, 256)
STEM_MOST = 32  # whitened directions behind these hold little but noise
# Channels that a processor takes at once: 24 into 32 on 32 x 32 cells took twice as long as 16.
TOGETHER = 16
WIDE = (16, 32, 48, 64)  # channels of the first of stages that widen fourfold
# What such a network may cost more than the law says: 5 minutes on CIFAR-10, 5,000 held-back
# pictures, one seed: 0.881 with 32, 128, 256 channels, 0.872 with 40, 80, 160 as the law has it,
# 0.869 with 32, 192, 384. In bf16 (two Zen 4 cores; forward 400 to 580 GFLOP/s, the gradients of 16
# into 32 channels 220 to 260): 0.883 with 32, 128, 256, 0.878 with 48, 192, 256.
RICHER = 2.6
# Operations of one forward pass per root of all operations that the time holds. A larger network
# learns more from a sample, a smaller one sees more samples; twice as much of either cost accuracy
# in runs on CIFAR-10 (14 and 26 million operations were equally good, 48 worse, at 1.1e13 in all).
BALANCE = 5.8
SLACK = 1.3  # widths come in steps, and a little too wide beats far too narrow
PER_CELL = 23_500  # operations per cell behind the stem, below which a coarser grid does better

Shape = tuple[int, ...]


def depths(
    size: Shape, stem: Shape, stem_stride: Shape, stages: list[Shape], kernel: list[Shape]
) -> tuple[list[int], str]:
    """Convolutions per stage: two, and more in the last stage until the whole object is seen.

    The receptive field must reach the longest axis, where one stage can still help.
    """
    depth = [2] * len(stages)
    while min(reach(stem, stem_stride, stages, kernel, depth)) < max(size) and depth[-1] < 4:
        depth[-1] += 1
    seen = " x ".join(map(str, reach(stem, stem_stride, stages, kernel, depth)))
    return depth, f"the receptive field of {seen} cells covers the picture of {max(size)}"


def reach(
    stem: Shape, stem_stride: Shape, stages: list[Shape], kernel: list[Shape], depth: list[int]
) -> Shape:
    """Receptive field of the last stage along each axis, in input cells (closed form)."""
    field, jump = [1] * len(stem), [1] * len(stem)
    for axis in range(len(stem)):
        field[axis] += stem[axis] - 1
        jump[axis] *= stem_stride[axis]
        for stride, k, n in zip(stages, kernel, depth, strict=True):
            field[axis] += (k[axis] - 1) * jump[axis]
            field[axis] += (stride[axis] - 1) * jump[axis]  # the pooling window
            jump[axis] *= stride[axis]
            field[axis] += (n - 1) * (k[axis] - 1) * jump[axis]
    return tuple(field)


def macs(net: NetPart, size: Shape, channels: int, outputs: int, time: int | None = None) -> int:
    """Multiply-adds of one sample; tests hold it equal to `networks.cost`.

    time: position of the axis of time, along which "factored" blocks look by themselves.
    """
    whole, size = size, _after(size, net.stem_stride)
    seen = whole if net.shift == "blur" else size
    total = math.prod(seen) * math.prod(net.stem_kernel) * channels * net.stem_width
    total *= net.stem != "embed"  # rows of a table are looked up, not multiplied
    before, whole, parallel = net.stem_width, size, net.block == "parallel"
    inside = net.down == "stride" and net.shift != "blur"
    for width, depth, stride, kernel in zip(
        net.widths, net.depths, net.strides, net.kernels, strict=True
    ):
        if parallel:
            before, size = net.stem_width, whole
        steps = [(kernel, stride)]
        if time is not None and net.block == "factored" and kernel[time] > 1:
            steps = [(cut(kernel, time), cut(stride, time)) for cut in (_without, _only)]
        for number in range(depth):
            for window, step in steps:
                after = size if number else _after(size, step)
                total += math.prod(after if inside else size) * math.prod(window) * before * width
                before, size = width, after
    before = fields(net, net.features) * net.places
    for hidden in net.hidden:
        total += before * hidden
        before = hidden
    return total + before * outputs


def _after(size: Shape, stride: Shape) -> Shape:
    return tuple(-(-n // s) for n, s in zip(size, stride, strict=True))


def _only(cells: Shape, axis: int) -> Shape:
    """``cells`` with 1 everywhere but along one axis."""
    return tuple(n if i == axis else 1 for i, n in enumerate(cells))


def _without(cells: Shape, axis: int) -> Shape:
    """``cells`` with 1 along one axis."""
    return tuple(1 if i == axis else n for i, n in enumerate(cells))


def widths(base: int, stages: int, wide: bool = False) -> tuple[int, ...]:
    """Channels double as the grid is halved, so each stage costs about the same.

    wide: from the second stage on there are twice as many.
    """
    return tuple(min(base * 2**i * (1 + (wide and i > 0)), WIDEST) for i in range(stages))


def stem(size: Shape, target: float) -> tuple[Shape, Shape, str]:
    """Kernel and stride of the stem along each axis: the finest grid that ``target`` can pay.

    target: operations that one forward pass may take (`affordable`). Measured on CIFAR-10 at
    equal time: with 1.1e13 operations in all, patches of 4 x 4 every 2 cells gave 82.3 % where
    2 x 2 at every cell gave 80.8 %; with 5e13 they gave 86.3 % against 87.3 %; with 2.3e13 to
    2.9e13 (two minutes, bf16) 83.8 % against 85.2 %.
    """
    choices = [
        tuple(min(s, 4 if n >= 96 else 2 if n >= 24 else 1) for n in size) for s in (1, 2, 4)
    ]
    for stride in choices:
        cells = math.prod(-(-n // s) for n, s in zip(size, stride, strict=True))
        if cells * PER_CELL <= target:
            break
    kernel = tuple(1 if n < 2 else 4 if s > 1 else 2 for n, s in zip(size, stride, strict=True))
    if max(stride) > 1:
        return kernel, stride, "a finer grid would leave too few channels for the time given"
    return kernel, stride, "the first stage keeps every cell: the time pays for it"


def family(
    rank: int,
    channels: int,
    base: int,
    stem_kernel: Shape,
    stem_stride: Shape,
    stages: list[Shape],
    kernel: list[Shape],
    depth: list[int],
    wide: bool = False,
) -> NetPart:
    """The network of one base width; every member has the same geometry."""
    patch = min(2 * channels * math.prod(stem_kernel), STEM_MOST)
    return NetPart(
        stem="whiten",
        stem_width=patch if patch < TOGETHER else patch - patch % TOGETHER,
        stem_kernel=stem_kernel,
        stem_stride=stem_stride,
        block="plain",
        down="max",
        widths=widths(base, len(stages), wide),
        depths=tuple(depth),
        strides=tuple(stages),
        kernels=tuple(kernel),
        norm="batch",
        activation="relu",
        gate=False,
        pool="max",
        hidden=(),
        dropout=0.0,
        drop_path=0.0,
        scale=0.111,
    )


def affordable(train: int, rate: float, seconds: float, epochs: float | None) -> tuple[float, str]:
    """Operations that one forward pass should take, so that size and samples seen balance.

    Of C operations that the time holds, a forward pass gets ``BALANCE * sqrt(C)``; then the
    samples seen grow with the root of C too. With ``epochs`` given, the samples are known and the
    same law gives the size. rate: operations per second that training reaches.
    """
    if epochs is None:
        told = f"{seconds:.0f} s at {rate / 1e9:.0f} GFLOP/s"
        return BALANCE * (rate * seconds) ** 0.5, told
    return 3 * BALANCE**2 * train * epochs, f"{train * epochs:.0f} samples to see"


def width(
    cost: Callable[[int], int], target: float, told: str, train: int, wide: bool = False
) -> tuple[int, str]:
    """Channels of the first stage: the most that keep a forward pass near ``target``.

    cost: channels of the first stage -> multiply-adds. wide: as in `widths`.
    """
    most = BASES[-1] if train >= 5000 else 96 if train >= 1000 else 48
    bases, room = (WIDE, RICHER * target) if wide else (BASES, SLACK * target)
    base = bases[0]
    for candidate in bases:
        if 2 * cost(candidate) <= room and candidate <= most:
            base = candidate
    why = f"{told} are best spent on about {target / 1e6:.1f} million operations per sample; "
    if wide:
        return base, (
            f"{why}wide layers are the cheaper ones here, so channels grow fourfold behind the "
            "finest grid"
        )
    return base, f"{why}channels double where the grid is halved"


def reasons(net: NetPart) -> dict[str, str]:
    """Why the rest of the network is as it is."""
    return {
        "net.stem": "patches are decorrelated before the first trained layer (whitening, frozen)",
        "net.stem_width": f"both signs of the {net.stem_width // 2} strongest patch directions",
        "net.block": "plain stages learn fastest in short trainings; residual ones pay when deep",
        "net.down": "the maximum keeps an edge wherever in the window it lies",
        "net.norm": "batch norm costs least and folds into the convolution afterwards",
        "net.activation": "ReLU costs a third of GELU and loses little",
        "net.gate": "gates did not pay for their time in short trainings",
        "net.pool": "one strong sign of an object is enough, wherever it lies",
        "net.votes": "cells have no words that could vote",
        "net.forget": "cells have no words that could be forgotten",
        "net.looks": "no boxes are to be found",
        "net.tower": "no boxes are to be found",
        "net.vector": "the head answers itself",
        "net.symmetry": "no symmetry was asked for",
        "net.shift": "shifts were not asked to leave answers as they are",
        "net.hidden": "the last fully connected layer reads the pooled features directly",
        "net.dropout": "label smoothing and shifts regularise enough in short trainings",
        "net.drop_path": "no residual branches to drop",
        "net.scale": "logits start small (a ninth), so the first steps do not overshoot",
    }
