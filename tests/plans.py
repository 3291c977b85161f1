"""Small plans of any rank, for tests of networks."""

from dataclasses import replace
from math import prod

import torch

from foveal.grid import Axis, time_axis
from foveal.plan import AugmentPart, DataPart, FitPart, JudgePart, NetPart, Plan

RANKS = (1, 2, 3)
SIZE = {1: (21,), 2: (11, 9), 3: (7, 6, 5)}


def net_for(rank, channels=2, **changes):
    """Two stages of 6 and 8 channels that halve every axis; ``changes`` replace fields."""
    kernel = changes.get("stem_kernel", (2,) * rank)
    net = NetPart(
        stem="whiten",
        stem_width=2 * channels * prod(kernel),
        stem_kernel=kernel,
        stem_stride=(1,) * rank,
        block="plain",
        down="max",
        widths=(6, 8),
        depths=(2, 3),
        strides=((2,) * rank,) * 2,
        kernels=((3,) * rank,) * 2,
        norm="batch",
        activation="relu",
        gate=False,
        pool="average",
        hidden=(),
        dropout=0.0,
        drop_path=0.0,
        scale=0.5,
    )
    return replace(net, **changes)


def plan_for(rank, channels=2, **changes):
    """A plan for three classes around `net_for`."""
    each = (1.0,) * channels
    return Plan(
        task="classify",
        axes=tuple(Axis(name) for name in "zyx"[-rank:]),
        classes=("a", "b", "c"),
        data=DataPart(
            size=SIZE[rank],
            channels=channels,
            fit="stretch",
            low=tuple(10.0 * (i + 1) for i in range(channels)),
            high=tuple(200.0 + i for i in range(channels)),
            mean=tuple(0.4 + 0.1 * i for i in range(channels)),
            std=tuple(0.25 * e for e in each),
            validation=0.1,
            test=0.1,
        ),
        augment=AugmentPart((0,) * rank, (False,) * rank, False, 0, 0.0, 0.0),
        net=net_for(rank, channels, **changes),
        fit=FitPart(
            optimiser="sgd",
            lr=0.1,
            other_lr=0.1,
            momentum=0.9,
            weight_decay=0.0,
            batch=8,
            epochs=1.0,
            steps=1,
            warmup=0.0,
            label_smoothing=0.0,
            ema=0.0,
            precision="fp32",
            channels_last=True,
            threads=1,
            device="cpu",
            coarse=0.0,
            coarse_size=(),
        ),
        judge=JudgePart(mirror=False, shift=0, bootstrap=0),
        budget=None,
        seed=0,
    )


def film_for(rank, time, **changes):
    """`plan_for` on a grid whose axis number ``time`` is one of time, for "shifted" blocks."""
    changes = {"block": "shifted", **changes}
    plan = plan_for(rank, **changes)
    axes = list(plan.axes)
    axes[time] = time_axis(0.1)
    return replace(plan, axes=tuple(axes))


def raw_for(rank, count=4, channels=2, size=None):
    """Raw samples as the cache holds them, ``(B, C, *S)`` uint8; the same at every call."""
    seed = torch.Generator().manual_seed(7)
    shape = (count, channels, *(size or SIZE[rank]))
    return torch.randint(0, 256, shape, generator=seed, dtype=torch.uint8)


def lived(network, negative=False):
    """``network`` in evaluation mode with norms as after a training: no neutral numbers left."""
    seed = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if ".norm." in name:
                low = -1.0 if negative and "weight" in name else 0.5
                value.uniform_(low, 1.5, generator=seed)
    return network.eval()
