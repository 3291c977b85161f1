"""Two bounds: each convolution of the network timed alone, and the machine's best convolution."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import foveal_loop
import spec
import torch
from torch import Tensor, nn

from foveal.layers import Convolution
from foveal.layers.memory import channels_last, kernels_channels_last
from foveal.memory import keep_freed
from foveal.networks.build import build
from foveal.planner.machine import measure

PEAKS = (
    (64, 28, 3),
    (128, 14, 3),
    (256, 14, 3),
    (64, 28, 5),
    (256, 7, 3),
)  # channels, edge, kernel
PEAK_BATCH = 64


def seconds_of(layer: nn.Module, x: Tensor, half: bool, last: bool, limit: float) -> float:
    """Median seconds of one pass forward and backward, over about ``limit`` seconds."""
    if last:
        kernels_channels_last(layer)
        x = channels_last(x)
    kind = x.device.type
    with torch.autocast(kind, torch.bfloat16, enabled=half), torch.no_grad():
        gradient = torch.randn_like(layer(x))

    def once() -> None:
        with torch.autocast(kind, torch.bfloat16, enabled=half):
            y = layer(x)
        y.backward(gradient)
        layer.zero_grad()
        x.grad = None
        if kind == "cuda":
            torch.cuda.synchronize()

    return median(once, limit)


def median(once: Callable[[], None], limit: float) -> float:
    once()
    took: list[float] = []
    while sum(took) < limit or len(took) < 3:
        start = time.perf_counter()
        once()
        took.append(time.perf_counter() - start)
    return statistics.median(took)


def main() -> None:
    given = spec.arguments()
    keep_freed()
    machine = measure("auto", given.threads)
    half, device = machine.precision == "bf16", machine.device
    plan = foveal_loop.make_plan(given.width, machine)
    network = build(plan).to(device)
    met: list[tuple[Convolution, torch.Size]] = []

    def note(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(module, Convolution)
        met.append((module, inputs[0].shape))

    for module in network.modules():
        if isinstance(module, Convolution):
            module.register_forward_pre_hook(note)
    with torch.no_grad():
        network(torch.zeros(1, spec.CHANNELS, spec.SIZE, spec.SIZE, device=device))
    limit, total, rows = given.seconds / (2 * len(met)), 0.0, []
    for number, (layer, shape) in enumerate(met):
        layer._forward_pre_hooks.clear()
        x = torch.randn(plan.fit.batch, *shape[1:], device=device)
        if half:
            x = x.bfloat16()
        x.requires_grad_(number > 0)  # nothing asks for the gradient of the pictures
        best = min(seconds_of(layer, x, half, last, limit) for last in (False, True))
        work = 6 * layer.weight.numel() * shape[2:].numel() * plan.fit.batch
        rows.append({"shape": list(shape[1:]), "to": len(layer.weight), "ms": 1e3 * best})
        rows[-1]["gflops"] = work / best / 1e9 * (1 if number else 2 / 3)
        total += best
    spec.answer(rate=plan.fit.batch / total, layers=rows, peak=peak(half, device, given.seconds))


def peak(half: bool, device: str, seconds: float) -> float:
    """The best rate of any convolution tried, forward and backward, in GFLOP/s."""
    best = 0.0
    for channels, edge, kernel in PEAKS:
        layer = Convolution(2, channels, channels, kernel, bias=False).to(device)
        x = torch.randn(PEAK_BATCH, channels, edge, edge, device=device)
        x = (x.bfloat16() if half else x).requires_grad_()
        work = 6 * PEAK_BATCH * layer.weight.numel() * edge * edge
        limit = seconds / (2 * len(PEAKS))
        took = min(seconds_of(layer, x, half, last, limit) for last in (False, True))
        best = max(best, work / took / 1e9)
    return best


if __name__ == "__main__":
    main()
