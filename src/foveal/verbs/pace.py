"""How long a training step takes on this machine as busy as it is, and on how many threads."""

from __future__ import annotations

import copy
import dataclasses
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import torch

from ..datasets.augment import augment, augment_both
from ..datasets.batches import Batches
from ..datasets.truths import truth_of
from ..memory import ran_out
from ..networks.ensemble import Ensemble, each
from ..plan import Plan, replace_part
from ..planner.machine import CROWDED, cores_got
from ..planner.task import task_named

if TYPE_CHECKING:
    from ..networks.build import Network

SLOWEST = 4.0  # times as slow as alone: more is not planned for


def paced(
    network: Network | Ensemble, plan: Plan, batches: Batches
) -> tuple[Plan, float, float, float]:
    """The plan with one thread where more only wait for each other; seconds of a step and of a
    judging pass; how many times slower this process is than alone on the machine.

    Threads meet after every small piece of work, so that one which another process keeps from its
    core holds up all. On two cores with two other processes a step of six convolutions took 217 to
    232 ms on two threads and 129 to 160 on one (alone 50 and 90).
    """
    threads = plan.fit.threads
    (step, forward), share = cores_got(partial(step_seconds, network, plan, batches))
    if plan.fit.device != "cpu" or share > CROWDED * threads:
        return plan, step, forward, 1.0
    if threads < 2:
        return plan, step, forward, min(SLOWEST, 1 / max(share, 1e-3))
    torch.set_num_threads(1)
    (alone, answer), share = cores_got(partial(step_seconds, network, plan, batches))
    slow = min(SLOWEST, 1 / max(share, 1e-3))
    if alone > step or plan.by_user("fit.threads"):
        torch.set_num_threads(threads)
        return plan, step, forward, slow
    told = (
        f"other processes are busy: a step takes {1000 * alone:.0f} ms on one thread, "
        f"{1000 * step:.0f} on {threads} that wait for each other"
    )
    plan = replace_part(plan, "fit", threads=1)
    plan = dataclasses.replace(plan, why={**plan.why, "fit.threads": told})
    return plan, alone, answer, slow


def step_seconds(network: Network | Ensemble, plan: Plan, batches: Batches) -> tuple[float, float]:
    """Seconds of one training step and of one judging pass, per batch, on a copy."""
    from ..evaluation.predict import answering
    from ..layers import channels_last, kernels_channels_last, tiled

    device = torch.device(plan.fit.device)
    clone = copy.deepcopy(network).to(device)
    if plan.fit.channels_last:
        kernels_channels_last(clone)
    if plan.fit.winograd:
        tiled(clone)
    task = task_named(plan.task)
    truth = truth_of(task.target)
    batch = next(batches.epoch(0))
    half = torch.autocast(device.type, torch.bfloat16, enabled=plan.fit.precision == "bf16")
    chance = torch.Generator()

    def step(count: int) -> None:
        assert batch.y is not None
        x, index = batch.x[:count].to(device), batch.index[:count]
        y = batch.y[:count]
        if truth is None:
            x = augment(x, plan.augment, generator=chance, epoch=0, index=index)
        else:
            x, y = augment_both(x, y, truth, plan.augment, generator=chance, index=index)
        with half:
            raws = each(clone, channels_last(x) if plan.fit.channels_last else x)
        losses = [task.loss(raw.float(), y, None, plan) for raw in raws]
        torch.stack(losses).sum().backward()  # type: ignore[no-untyped-call]

    def answer() -> None:
        clone.eval()
        with torch.inference_mode(), answering(plan):
            clone(batch.x.to(device))

    step(max(1, len(batch.index) // 8))  # warms up
    parts, count = 1, len(batch.index)
    while True:
        try:
            took = _seconds(partial(step, -(-count // parts)), device)
            return parts * took, _seconds(answer, device)
        except (RuntimeError, MemoryError) as error:
            if not ran_out(error) or count < 4 * parts:
                raise
        parts *= 2  # as training will, see training/loop.py


def _seconds(work: Callable[[], None], device: torch.device) -> float:
    start = _now(device)
    work()
    return _now(device) - start


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
