"""A tiny network, as a rung between linear models and the planned one."""

from __future__ import annotations

import itertools
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..layers import AdaptivePool, BatchNorm, Convolution, Dense
from . import Own, Rows
from .cells import Gather, shrunk

CELLS = 1024  # of a sample, at most about so many are looked at
WIDTHS, POOLED = (8, 16), 4  # channels of both convolutions; cells along an axis that are left
BATCH, PASSES = 64, 20.0
LEAST, ENOUGH = 10, 300  # steps that are made in any case; so many even where passes are over
RATE, FIRST, SECOND = 0.02, 0.9, 0.99  # of Adam (of 0.003 to 0.04 the best), its memory
SPEED = 4e9  # operations per second on one slow core; sizes the training
READ = 60  # operations that reading one value of a sample is worth


def own(gather: Gather, train: Rows, test: Rows, *, seconds: float = 5.0, seed: int = 0) -> Own:
    """Two convolutions of stride 2 and a fully connected layer, for samples of any rank and task.

    What it adds to a linear model is what looking at neighbouring cells is worth; what the planned
    network adds to it is what depth, width and time are worth. How many samples it sees follows
    from sizes alone, so that the same data give the same answers.

    Args:
        gather: rows -> ``(B, C, *S)``, the cached values. train, test: rows of both parts.
        seconds: about the most that one slow core may take.

    Source: LeCun et al., "Gradient-Based Learning Applied to Document Recognition", Proc. IEEE
        1998, for the form; Kingma and Ba, arXiv:1412.6980, for the steps.
    """
    seen = _seen(gather, train, test, seconds) if len(train) else BATCH

    def answer(targets: NDArray[np.float64]) -> NDArray[np.float64]:
        mean, scale = targets.mean(0), targets.std(0) + 1e-9
        wanted = torch.from_numpy((targets - mean) / scale).float()
        with torch.random.fork_rng([]), torch.inference_mode(False), torch.enable_grad():
            torch.manual_seed(seed)
            network, level, spread = _learned(gather, train, wanted, seen, seed)
        said = _said(network, gather, test, level, spread)
        return np.asarray(said * scale + mean)

    return Own(
        name="tiny_cnn",
        title="Tiny network",
        called="a tiny network of two convolutions",
        words=f"two convolutions and a fully connected layer that saw {seen:,} samples",
        answer=answer,
    )


def _seen(gather: Gather, train: Rows, test: Rows, seconds: float) -> int:
    """Training samples, counted as often as they are seen, that fit the time."""
    x = gather(train[:1])
    size = _cells(x).shape[2:]
    taps, axes = 3 ** len(size), len(size)
    first = prod(size) / 2**axes * taps * x.shape[1] * WIDTHS[0]
    second = prod(size) / 4**axes * taps * WIDTHS[0] * WIDTHS[1]
    read = READ * x.numel()
    left = seconds * SPEED - len(test) * (read + 2 * (first + second))
    count = int(left / (read + 6 * (first + second)))
    return int(np.clip(count, LEAST * BATCH, max(PASSES * len(train), ENOUGH * BATCH)))


def _learned(
    gather: Gather, train: Rows, wanted: Tensor, seen: int, seed: int
) -> tuple[nn.Module, Tensor, Tensor]:
    """The trained network, and the level and spread of the channels that it takes."""
    chance = np.random.default_rng(seed)
    order = itertools.chain.from_iterable(chance.permutation(len(train)) for _ in itertools.count())
    some = _cells(gather(train[np.sort(chance.permutation(len(train))[:256])]))
    dims = [0, *range(2, some.ndim)]
    level, spread = some.mean(dims, keepdim=True), some.std(dims, keepdim=True) + 1e-6
    network = _network(some, wanted.shape[1])
    weights = list(network.parameters())
    moments = [(torch.zeros_like(w), torch.zeros_like(w)) for w in weights]
    steps = max(1, seen // BATCH)
    for step in range(steps):
        rows = np.fromiter(itertools.islice(order, BATCH), np.int64)
        x = (_cells(gather(train[rows])) - level) / spread
        loss = (network(x) - wanted[rows]).square().mean()
        slopes = torch.autograd.grad(loss, weights)
        rate = RATE * (1 - step / steps)
        with torch.no_grad():
            for weight, slope, (first, second) in zip(weights, slopes, moments, strict=True):
                first.lerp_(slope, 1 - FIRST)
                second.lerp_(slope.square(), 1 - SECOND)
                size = (second / (1 - SECOND ** (step + 1))).sqrt_().add_(1e-8)
                weight.sub_(rate / (1 - FIRST ** (step + 1)) * first / size)
    return network.eval(), level, spread


def _network(x: Tensor, outputs: int) -> nn.Module:
    rank, (first, second) = x.ndim - 2, WIDTHS
    left = [min(POOLED, -(-size // 4)) for size in x.shape[2:]]
    return nn.Sequential(
        Convolution(rank, x.shape[1], first, 3, stride=2, bias=False),
        BatchNorm(first),
        nn.ReLU(),
        Convolution(rank, first, second, 3, stride=2, bias=False),
        BatchNorm(second),
        nn.ReLU(),
        AdaptivePool(rank, left),
        nn.Flatten(),
        Dense(second * prod(left), outputs),
    )


@torch.no_grad()
def _said(
    network: nn.Module, gather: Gather, rows: Rows, level: Tensor, spread: Tensor
) -> NDArray[np.float64]:
    parts = [
        network((_cells(gather(rows[at : at + BATCH])) - level) / spread)
        for at in range(0, len(rows), BATCH)
    ]
    return np.asarray(torch.cat(parts).double().numpy())


def _cells(x: Tensor) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(shrunk(x, CELLS)))
