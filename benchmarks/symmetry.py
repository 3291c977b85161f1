"""What layers that turn with their input cost beside plain ones of the same multiply-adds.

    python benchmarks/symmetry.py [--rounds 15] [--threads 2] [--precision fp32|bf16|both]
        [--size small|large|both]

For each symmetry the same small network is built twice: with C plain channels, and with C / n
fields of n channels, so that every convolution multiplies and adds equally often. A small batch
takes 10 to 50 ms, of which the calls themselves are a good part; a large one takes 0.1 to 0.4 s,
as steps of planned networks do. Timed are one training step (forward, loss, backward, SGD) and one
prediction, of the network as trained and folded. Then one way to halve the grid beside the others.
Contestants take turns in every round; medians and their ratios are printed as markdown. Nothing is
asserted; the figures are for people.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from foveal.layers import (
    BatchNorm,
    BlurDown,
    Convolution,
    Dense,
    GlobalPool,
    MaxPool,
    channels_last,
    kernels_channels_last,
)
from foveal.layers.centred import CentredPool
from foveal.layers.polyphase import Polyphase
from foveal.layers.symmetry import (
    FieldNorm,
    FieldPool,
    GroupConvolution,
    LiftingConvolution,
    Symmetry,
    fold,
    symmetry_of,
)
from foveal.memory import keep_freed

# Three input channels in all: with one, torch takes the input for contiguous memory.
INPUTS = 3
# name, symmetry, channels
CASES = (
    ("rank 1, 2 turns", symmetry_of(1, "full"), 64),
    ("rank 2, 4 turns", symmetry_of(2, "rotations"), 64),
    ("rank 2, 8 turns", symmetry_of(2, "full"), 64),
    ("rank 3, 8 in the plane", symmetry_of(3, "full", fixed=(0,)), 48),
    ("rank 3, 24 turns", symmetry_of(3, "rotations"), 48),
    ("rank 3, 48 turns", symmetry_of(3, "full"), 48),
)
# cells along an axis and samples of a batch, for each rank
SIZES = {
    "small": {1: (512, 32), 2: (32, 32), 3: (12, 8)},
    "large": {1: (512, 256), 2: (32, 256), 3: (24, 16)},
}


def plain(rank: int, width: int) -> nn.Sequential:
    def layer(before: int, after: int) -> list[nn.Module]:
        convolution = Convolution(rank, before, after, 3, bias=False)
        return [convolution, BatchNorm(after), nn.ReLU()]

    return nn.Sequential(
        *layer(INPUTS, width),
        *layer(width, width),
        MaxPool(rank, 2),
        *layer(width, width),
        MaxPool(rank, 2),
        *layer(width, width),
        GlobalPool("average"),
        Dense(width, 10),
    )


def turning(symmetry: Symmetry, width: int) -> nn.Sequential:
    fields, rank = width // len(symmetry), symmetry.rank

    def layer(lifts: bool) -> list[nn.Module]:
        convolution: nn.Module = (
            LiftingConvolution(symmetry, INPUTS, fields, 3, bias=False)
            if lifts
            else GroupConvolution(symmetry, fields, fields, 3, bias=False)
        )
        return [convolution, FieldNorm(symmetry, fields), nn.ReLU()]

    return nn.Sequential(
        *layer(True),
        *layer(False),
        CentredPool(rank, "max", 2),
        *layer(False),
        CentredPool(rank, "max", 2),
        *layer(False),
        FieldPool(symmetry),
        Dense(fields, 10),
    )


def folded_plain(network: nn.Sequential) -> nn.Sequential:
    """The plain network with its norms folded, as `foveal.networks.fold` does for plans."""
    layers: list[nn.Module] = []
    for module in network:
        if isinstance(module, BatchNorm):
            ahead = layers[-1]
            assert isinstance(ahead, Convolution)
            made = Convolution(ahead.rank, ahead.inputs, ahead.outputs, ahead.kernel)
            layers[-1] = made
        else:
            layers.append(module)
    return nn.Sequential(*layers).eval()


def step(network: nn.Module, x: Tensor, half: bool) -> Callable[[], None]:
    optimiser = torch.optim.SGD(network.parameters(), lr=1e-3, momentum=0.9)
    y = torch.arange(len(x)) % 10

    def once() -> None:
        network.train()
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            loss = nn.functional.cross_entropy(network(x), y)
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()

    return once


def prediction(network: nn.Module, x: Tensor, half: bool) -> Callable[[], None]:
    network.eval()

    def once() -> None:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=half):
            network(x)

    return once


def medians(entries: dict[str, Callable[[], None]], rounds: int) -> dict[str, float]:
    """Milliseconds of each; in every round each has its turn, in turning order."""
    took: dict[str, list[float]] = {name: [] for name in entries}
    names = list(entries)
    for name in names:
        entries[name]()
    for number in range(rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            start = time.perf_counter()
            entries[name]()
            took[name].append(1e3 * (time.perf_counter() - start))
    return {name: statistics.median(each) for name, each in took.items()}


def compare(rounds: int, half: bool, size: str) -> None:
    print(f"\n### {size} batches, {'bf16' if half else 'fp32'}: ms (times plain)\n")
    print("| | step, plain | step, turning | prediction, plain | as trained | folded |")
    print("|---|---|---|---|---|---|")
    for name, symmetry, width in CASES:
        cells, batch = SIZES[size][symmetry.rank]
        torch.manual_seed(0)
        x = channels_last(torch.randn(batch, INPUTS, *[cells] * symmetry.rank))
        one, other = plain(symmetry.rank, width), turning(symmetry, width)
        for network in (one, other):
            kernels_channels_last(network)
        steps = medians({"plain": step(one, x, half), "turning": step(other, x, half)}, rounds)
        bare, bent = folded_plain(one), fold(other)
        for network in (bare, bent):
            kernels_channels_last(network)
        found = medians(
            {
                "plain": prediction(bare, x, half),
                "trained": prediction(other, x, half),
                "folded": prediction(bent, x, half),
            },
            2 * rounds,
        )
        a, b = steps["plain"], found["plain"]
        print(
            f"| {name} | {a:.1f} | {steps['turning']:.1f} ({steps['turning'] / a:.2f}) "
            f"| {b:.2f} | {found['trained']:.2f} ({found['trained'] / b:.2f}) "
            f"| {found['folded']:.2f} ({found['folded'] / b:.2f}) |",
            flush=True,
        )


def halve(rounds: int) -> None:
    print("\n### Halving the grid, fp32, forward and backward: ms\n")
    print("| | MaxPool | CentredPool max | BlurDown | CentredPool blur | Polyphase | one conv. |")
    print("|---|---|---|---|---|---|---|")
    for rank, cells, batch in ((1, 512, 32), (2, 32, 32), (3, 12, 8)):
        x = channels_last(torch.randn(batch, 64, *[cells] * rank)).requires_grad_()
        layers: dict[str, nn.Module] = {
            "max": MaxPool(rank, 2),
            "centred max": CentredPool(rank, "max", 2),
            "blur": BlurDown(rank, 2),
            "centred blur": CentredPool(rank, "blur", 2),
            "polyphase": Polyphase(rank, 64, 2),
            "convolution": kernels_channels_last(Convolution(rank, 64, 64, 3)),
        }

        def both(layer: nn.Module, x: Tensor = x) -> Callable[[], None]:
            def once() -> None:
                layer(x).sum().backward()
                x.grad = None

            return once

        found = medians({name: both(layer) for name, layer in layers.items()}, rounds)
        print(f"| rank {rank} | " + " | ".join(f"{ms:.2f}" for ms in found.values()) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--precision", choices=["fp32", "bf16", "both"], default="both")
    parser.add_argument("--size", choices=[*SIZES, "both"], default="both")
    given = parser.parse_args()
    keep_freed()
    torch.set_num_threads(given.threads)
    machine = f"{platform.platform()}, torch {torch.__version__}"
    print(f"{machine}, {given.threads} threads; load {os.getloadavg()[0]:.1f}")
    for size in SIZES:
        for half in (False, True):
            wanted = given.precision in ("both", "bf16" if half else "fp32")
            if wanted and given.size in ("both", size):
                compare(given.rounds, half, size)
    halve(given.rounds)


if __name__ == "__main__":
    main()
