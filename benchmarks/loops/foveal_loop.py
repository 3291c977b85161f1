"""Foveal: its own loop, batches, augmentation and optimiser, as `foveal train` runs them.

With --profile: where the time of a step goes.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
import spec
import torch

from foveal.datasets.augment import augment
from foveal.datasets.batches import Batches
from foveal.datasets.cache import Store
from foveal.grid import IMAGE_AXES
from foveal.memory import keep_freed
from foveal.networks.build import Network, build
from foveal.networks.cost import cost
from foveal.plan import AugmentPart, DataPart, FitPart, JudgePart, NetPart, Plan, replace_part
from foveal.planner.machine import Machine, measure
from foveal.tasks.classify import TASK
from foveal.training.loop import fit

BATCH = 500
KINDS = {
    "convolution, backward": ("convolution_backward", "slow_conv_dilated2d_backward"),
    "convolution, forward": ("convolution", "mkldnn_conv", "conv2d", "slow_conv"),
    "pooling": ("pool",),
    "norm": ("batch_norm",),
    "activation": ("relu", "threshold"),
    "optimiser": ("foreach", "bmm", "addmm", "matmul", "::mm", "linalg"),
    "batches and augmentation": ("index", "gather", "flip", "where", "pad", "addcmul"),
    "copies and conversions": ("copy_", "::to", "fill_", "zero_", "cat", "stack", "clone"),
}


def make_plan(base: int, machine: Machine) -> Plan:
    """The network of `spec`, with the precision and layout that were measured to be fastest."""
    widths = spec.widths(base)
    net = NetPart(
        stem="convolution",
        stem_width=spec.STEM,
        stem_kernel=(3, 3),
        stem_stride=(1, 1),
        block="plain",
        down="max",
        widths=widths,
        depths=(2, 2, 2),
        strides=((2, 2),) * 3,
        kernels=((3, 3),) * 3,
        norm="batch",
        activation="relu",
        gate=False,
        pool="average",
        hidden=(),
        dropout=0.0,
        drop_path=0.0,
        scale=1.0,
    )
    fitting = FitPart(
        optimiser="muon",
        lr=0.08,
        other_lr=0.4,
        momentum=0.6,
        weight_decay=1e-3,
        batch=BATCH,
        epochs=1.0,
        steps=spec.WARM_UP,
        warmup=0.1,
        label_smoothing=0.1,
        ema=0.0,
        precision="bf16" if machine.precision == "bf16" else "fp32",
        channels_last=machine.channels_last,
        threads=machine.threads,
        device=machine.device,
        coarse=0.0,
        coarse_size=(spec.SIZE, spec.SIZE),
    )
    three = (0.5,) * spec.CHANNELS
    data = DataPart(
        size=(spec.SIZE, spec.SIZE),
        channels=spec.CHANNELS,
        fit="stretch",
        low=(0.0,) * spec.CHANNELS,
        high=(255.0,) * spec.CHANNELS,
        mean=three,
        std=three,
        validation=0.0,
        test=0.0,
    )
    return Plan(
        task="classify",
        axes=IMAGE_AXES,
        classes=tuple(map(str, range(spec.CLASSES))),
        data=data,
        augment=AugmentPart((4, 4), (False, True), True, 0, 0.0, 0.0),
        net=net,
        fit=fitting,
        judge=JudgePart(False, 0, 0),
        budget=None,
        seed=0,
    )


def steps(network: Network, plan: Plan, batches: Batches, count: int) -> float:
    """Make ``count`` steps; samples per second of the training alone."""
    with tempfile.TemporaryDirectory() as run:
        return fit(
            network,
            TASK,
            batches,
            augment,
            lambda network: {TASK.judging.best: 0.0},
            replace_part(plan, "fit", steps=count),
            Path(run),
        ).samples_per_second


def profile(network: Network, plan: Plan, batches: Batches, count: int) -> dict[str, float]:
    """Share of the wall time by kind of work, in the thread that drives the step."""
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as watch

    with watch(activities=[ProfilerActivity.CPU]) as seen:
        start = time.perf_counter()
        steps(network, plan, batches, count)
        wall = 1e6 * (time.perf_counter() - start)
    shares: dict[str, float] = {}
    for event in seen.key_averages():
        spent = event.self_cpu_time_total / wall
        name = event.key.lower()
        kind = next((k for k, words in KINDS.items() if any(w in name for w in words)), "other")
        shares[kind] = shares.get(kind, 0.0) + spent
    shares["Python and the rest"] = max(0.0, 1.0 - sum(shares.values()))
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


def main() -> None:
    given = spec.arguments()
    keep_freed()
    machine = measure("auto", given.threads)
    plan = make_plan(given.width, machine)
    network = build(plan)
    x, y = spec.pictures()
    rows = np.arange(len(x))
    device = plan.fit.device
    batches = Batches(Store.from_array(x), rows, torch.from_numpy(y), batch=BATCH, device=device)
    rate = steps(network, plan, batches, spec.WARM_UP)
    count = max(3, round(given.seconds * rate / BATCH))
    if given.profile:
        spec.answer(shares=profile(network, plan, batches, count))
        return
    rate = steps(network, plan, batches, count)
    spec.answer(
        rate=rate,
        parameters=sum(p.numel() for p in network.parameters()),
        macs=cost(network, spec.CHANNELS, (spec.SIZE, spec.SIZE)).macs,
        batch=BATCH,
        precision=plan.fit.precision,
        channels_last=plan.fit.channels_last,
        machine=machine.name,
        device=machine.device,
    )


if __name__ == "__main__":
    main()
