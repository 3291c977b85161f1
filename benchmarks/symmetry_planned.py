"""What a planned network that turns with its input costs beside a plain one of the same channels.

    python benchmarks/symmetry_planned.py DATA [--symmetry rotations full] [--budget 10m]
        [--rounds 15] [--threads 2] [--set key=value ...]

The planner makes the network for DATA with a symmetry; the plain one has as many channels in each
layer, so both multiply and add equally often (printed: million multiply-adds of one sample, and
weights). Both see the same batch of training samples, of the size and in the precision of the
plan. Timed are one whole step (forward, the task's loss, backward, the plan's optimiser) and one
prediction as a finished run makes it, of networks that are folded. Contestants take turns in every
round; medians and their ratios are printed as markdown. Nothing is asserted; the figures are for
people.
"""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Callable
from dataclasses import replace
from time import monotonic

import torch
from symmetry import medians, prediction
from torch import nn

from foveal.duration import seconds
from foveal.grid import Batch
from foveal.layers import channels_last, kernels_channels_last, tiled
from foveal.memory import keep_freed
from foveal.networks.cost import cost
from foveal.networks.ensemble import each
from foveal.networks.fold import fold
from foveal.plan import Plan, replace_part
from foveal.planner.task import task_named
from foveal.training.optimiser import build_optimiser
from foveal.verbs.first_weights import new_network
from foveal.verbs.plan import Wish, draw
from foveal.verbs.prepare_run import part
from foveal.verbs.source import Source, examine

HEAD = "| symmetry | batch | MMACs, plain | turning | weights, plain | turning "
HEAD += "| step, plain: ms | turning | prediction, plain: ms | folded |"


def layouts(plan: Plan, network: nn.Module) -> nn.Module:
    """The network as training lays out its weights."""
    if plan.fit.channels_last:
        kernels_channels_last(network)
    return tiled(network) if plan.fit.winograd else network


def step(plan: Plan, network: nn.Module, batch: Batch) -> Callable[[], None]:
    """One step as training makes it, but for augmentation, which is the same for both."""
    task, optimiser = task_named(plan.task), build_optimiser(network, plan.fit)
    half = plan.fit.precision == "bf16"
    assert batch.y is not None
    x, y = batch.x, batch.y

    def once() -> None:
        network.train()
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            (raw,) = each(network, x)
        task.loss(raw.float(), y, None, plan).backward()
        optimiser.step(1e-3)
        optimiser.clear()

    return once


def compare(kind: str, given: argparse.Namespace) -> None:
    changes = dict(pair.split("=", 1) for pair in given.set)
    wish = Wish(budget=given.budget, symmetry=kind, changes=changes)
    plan, survey, split = draw(examine(Source(given.data, None, "skip", (), "auto")), wish)
    plan = replace_part(plan, "fit", members=1)
    plans = {"plain": replace_part(plan, "net", symmetry="none"), "turning": plan}
    batch = next(part(plan, survey, split.train, plan.fit.batch, shuffle=True).epoch(0))
    if plan.fit.channels_last:
        batch = replace(batch, x=channels_last(batch.x))
    networks = {name: new_network(each, survey, split) for name, each in plans.items()}
    costs = {
        name: cost(network, batch.x.shape[1], tuple(batch.x.shape[2:]))
        for name, network in networks.items()
    }
    for network in networks.values():
        layouts(plan, network)
    steps = medians(
        {name: step(plans[name], network, batch) for name, network in networks.items()},
        given.rounds,
    )
    folded = {name: layouts(plan, fold(net)) for name, net in networks.items()}
    half = plan.fit.precision == "bf16"
    asked = medians(
        {name: prediction(network, batch.x, half) for name, network in folded.items()},
        given.rounds,
    )
    macs = " | ".join(f"{costs[name].macs / 1e6:.1f}" for name in plans)
    weights = " | ".join(f"{costs[name].parameters:,}" for name in plans)
    timed = " | ".join(
        f"{took['plain']:.1f} | {took['turning']:.1f} ({took['turning'] / took['plain']:.3f})"
        for took in (steps, asked)
    )
    print(f"| {kind} | {len(batch.index)} | {macs} | {weights} | {timed} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("--symmetry", nargs="+", default=["rotations", "full"])
    parser.add_argument("--budget", type=seconds, default=600.0)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--set", nargs="*", default=[])
    given = parser.parse_args()
    keep_freed()
    torch.set_num_threads(given.threads)
    began = monotonic()
    machine = f"{platform.platform()}, torch {torch.__version__}"
    print(f"{machine}, {given.threads} threads; load {os.getloadavg()[0]:.1f}")
    print(f"\n{HEAD}\n|{'---|' * (HEAD.count('|') - 1)}")
    for kind in given.symmetry:
        compare(kind, given)
    print(f"\n{monotonic() - began:.0f} s in all")


if __name__ == "__main__":
    main()
