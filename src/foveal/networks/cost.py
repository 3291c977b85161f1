"""What a network costs: weights and multiply-adds per layer, and what sharing weights saves."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import partial
from math import prod

import torch
from torch import Tensor, nn

from ..layers import BlurDown, Embed, TransposedConvolution, Votes
from ..layers.symmetry.turning import TurningConvolution


@dataclass(frozen=True, slots=True)
class LayerCost:
    """One layer at one input size.

    Args:
        name: its path in the network. kind: "convolution", "blur", "dense", "norm",
            "table" (rows are looked up, not multiplied).
        parameters: weights and biases, frozen ones too; of a symmetry those that are free, each
            of which stands at several taps. macs: multiply-adds for one sample; those of norms
            are not counted.
        dense_parameters: what a layer would have in which every output cell sees every input
            cell, each with its own weight. local_parameters: in which windows stay but each
            cell has its own weights. Both equal ``parameters`` where there is no window.
        size: the output, ``(C, *T)``.
    """

    name: str
    kind: str
    parameters: int
    macs: int
    dense_parameters: int
    local_parameters: int
    size: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Cost:
    """All layers that own weights, in the order in which they are used, and their sums."""

    layers: tuple[LayerCost, ...]

    @property
    def parameters(self) -> int:
        return sum(layer.parameters for layer in self.layers)

    @property
    def macs(self) -> int:
        """Multiply-adds of one sample, forward. Training takes about three times as many."""
        return sum(layer.macs for layer in self.layers)

    @property
    def dense_parameters(self) -> int:
        return sum(layer.dense_parameters for layer in self.layers)

    @property
    def local_parameters(self) -> int:
        return sum(layer.local_parameters for layer in self.layers)


def cost(network: nn.Module, channels: int, size: tuple[int, ...]) -> Cost:
    """The cost of one sample ``(channels, *size)``. Nothing is computed: only shapes move.

    Raises: PlanError when the network refuses such a sample.
    """
    ghost = copy.deepcopy(network).to("meta").eval()
    layers: list[LayerCost] = []
    for name, module in ghost.named_modules():
        if _weight(module) is not None:
            module.register_forward_hook(partial(_note, name, layers))
    with torch.no_grad():
        ghost(torch.empty(1, channels, *size, device="meta"))
    return Cost(tuple(layers))


def _note(
    name: str,
    layers: list[LayerCost],
    module: nn.Module,
    inputs: tuple[Tensor, ...],
    out: Tensor,
) -> None:
    """Write one line when a layer is used."""
    layers.append(_layer(name, module, inputs[0].shape[1:], out.shape[1:]))


def _layer(name: str, module: nn.Module, before: torch.Size, after: torch.Size) -> LayerCost:
    weight = _weight(module)
    assert weight is not None, "only layers with a weight are noted"
    own = sum(p.numel() for p in module.parameters(recurse=False))
    kind, macs, dense, local = "norm", 0, own, own
    if isinstance(module, Embed | Votes):
        kind = "table"
    elif isinstance(module, BlurDown):
        kind, macs = "blur", prod(after) * weight.numel()
    elif isinstance(module, TurningConvolution):
        kind, taps = "convolution", module.layout.numel()
        macs = prod(after[1:]) * taps
        bias = prod(after) if module.bias is not None else 0
        dense, local = prod(after) * prod(before) + bias, macs + bias
    elif weight.ndim > 2:
        kind = "convolution"
        backwards = isinstance(module, TransposedConvolution)
        macs = prod((before if backwards else after)[1:]) * weight.numel()
        bias = prod(after) if module.bias is not None else 0
        dense, local = prod(after) * prod(before) + bias, macs + bias
    elif weight.ndim > 1:
        # The last dimension is read; all before it are places.
        kind, macs = "dense", prod(after[:-1]) * weight.numel()
    return LayerCost(name, kind, own, macs, dense, local, tuple(after))


def _weight(module: nn.Module) -> Tensor | None:
    name = "table" if isinstance(module, Embed | Votes) else "weight"
    weight = getattr(module, name, None)
    return weight if isinstance(weight, Tensor) else None
