"""How fast training convolutions run in rank 1, 2 and 3, as shares of rank 2 on this machine.

    python benchmarks/kernels.py [--repeat 7] [--batch 16]

Last, wide layers the plain way and by fewer multiplications (`layers/winograd.py`), in turns.

For each rank the path that Foveal takes (`layers.Convolution` in channels-last memory) and the
ways it avoids, forward and backward, per core: CPU seconds of one thread, medians. Nothing is
asserted; the figures are for people.
"""

from __future__ import annotations

import argparse
import copy
import math
import os
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from foveal.layers import Convolution, channels_last, kernels_channels_last, tiled
from foveal.layers.winograd import tile_for

# About as many multiply-adds in each rank: 64 channels, a few thousand cells.
SHAPES = {1: ((3136,), 7), 2: ((56, 56), 3), 3: ((14, 14, 16), 3)}
CHANNELS = 64
# Inputs, outputs and cells of layers behind the first stages of a network.
WIDE = [
    (128, 128, (8, 8)),
    (128, 256, (8, 8)),
    (256, 256, (4, 4)),
    (256, 256, (16, 16)),
    (128, 128, (8, 8, 8)),
    (256, 256, (4, 4, 4)),
]

Work = Callable[[], Tensor]


def rate(work: Work, operations: float, repeat: int) -> float:
    """Useful operations per CPU second in 10^9, forward and backward, the median of ``repeat``."""
    seconds = []
    for turn in range(repeat + 1):
        start = time.process_time()
        work().float().mean().backward()
        if turn:
            seconds.append(time.process_time() - start)
    return operations / max(statistics.median(seconds), 1e-9) / 1e9


def ours(rank: int, batch: int, last: bool) -> Work:
    """The layer as networks use it, or in plain memory."""
    size, kernel = SHAPES[rank]
    layer = Convolution(rank, CHANNELS, CHANNELS, kernel, bias=False)
    x = torch.randn(batch, CHANNELS, *size)
    if last:
        kernels_channels_last(layer)
        x = channels_last(x)
    x.requires_grad_()
    return lambda: layer(x)


def native_line(batch: int) -> Work:
    """Rank 1 as everyone writes it."""
    (length,), kernel = SHAPES[1]
    weight = torch.randn(CHANNELS, CHANNELS, kernel, requires_grad=True)
    x = torch.randn(batch, CHANNELS, length, requires_grad=True)
    return lambda: F.conv1d(x, weight, padding=kernel // 2)


def upright_line(batch: int) -> Work:
    """Rank 1 as a picture one cell wide: the kernel lies along the other axis."""
    (length,), kernel = SHAPES[1]
    weight = torch.randn(CHANNELS, CHANNELS, kernel, 1).to(memory_format=torch.channels_last)
    weight.requires_grad_()
    x = torch.randn(batch, CHANNELS, length, 1).to(memory_format=torch.channels_last)
    x.requires_grad_()
    return lambda: F.conv2d(x, weight, padding=(kernel // 2, 0))


def slices(batch: int) -> Work:
    """Rank 3 as a sum of pictures, one per depth of the kernel."""
    (depth, height, width), kernel = SHAPES[3]
    shape = (CHANNELS, CHANNELS, kernel, kernel)
    weights = [torch.randn(*shape, requires_grad=True) for _ in range(kernel)]
    x = torch.randn(batch, depth, CHANNELS, height, width, requires_grad=True)

    def work() -> Tensor:
        padded = F.pad(x, (0, 0, 0, 0, 0, 0, kernel // 2, kernel // 2))
        parts = [
            F.conv2d(padded[:, k : k + depth].flatten(0, 1), w, padding=kernel // 2)
            for k, w in enumerate(weights)
        ]
        return torch.stack(parts).sum(0)

    return work


def wide(batch: int, repeat: int) -> None:
    """Seconds of both ways, forward and backward, in turns: medians and their ratio."""
    for inputs, outputs, size in WIDE:
        rank = len(size)
        if tile_for(size, (3,) * rank, inputs, outputs) is None:
            print(f"{inputs} to {outputs} channels on {size}: the plain way is taken")
            continue
        plain = kernels_channels_last(Convolution(rank, inputs, outputs, 3, bias=False))
        fewer = tiled(copy.deepcopy(plain))
        x = channels_last(torch.randn(batch, inputs, *size)).requires_grad_()
        took: dict[bool, list[float]] = {False: [], True: []}
        for turn in range(repeat + 1):
            for layer in (plain, fewer):
                start = time.process_time()
                layer(x).mean().backward()
                if turn:
                    took[layer.tiled].append(time.process_time() - start)
        before, after = (1e3 * statistics.median(took[key]) for key in (False, True))
        cells = " x ".join(map(str, size))
        print(
            f"fp32  {inputs} to {outputs} channels on {cells} cells: plain {before:.0f} ms, "
            f"fewer products {after:.0f} ms, {before / after:.2f} times as fast"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=7, help="runs of which the median is shown")
    parser.add_argument("--batch", type=int, default=16)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    load = ", ".join(f"{v:.1f}" for v in os.getloadavg())
    print(f"one thread of {os.cpu_count()}, torch {torch.__version__}, load {load}")
    for bf16 in (False, True):
        found: dict[str, float] = {}
        for rank, (size, kernel) in SHAPES.items():
            operations = 6.0 * asked.batch * CHANNELS**2 * math.prod(size) * kernel**rank
            ways: dict[str, Work] = {
                f"rank {rank}, ours": ours(rank, asked.batch, True),
                f"rank {rank}, plain memory": ours(rank, asked.batch, False),
            }
            if rank == 1:
                ways["rank 1, conv1d"] = native_line(asked.batch)
                ways["rank 1, upright"] = upright_line(asked.batch)
            if rank == 3:
                ways["rank 3, slice by slice"] = slices(asked.batch)
            for name, work in ways.items():
                with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                    found[name] = rate(work, operations, asked.repeat)
        base = found["rank 2, ours"]
        for name, value in found.items():
            kind = "bf16" if bf16 else "fp32"
            print(f"{kind}  {name:<24} {value:>7.0f} GFLOP/s {value / base:>6.2f}")
    wide(8 * asked.batch, asked.repeat)


if __name__ == "__main__":
    main()
