"""Fewer operations, the same answers: batch norms become part of the convolutions before them, and
convolutions that turn with their input become plain ones."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import nn

from ..layers import BatchNorm, Convolution
from ..layers.centred import CentredConvolution
from ..layers.symmetry import SeparableGroupConvolution
from ..layers.symmetry import fold as unturned
from ..layers.symmetry.turning import TurningConvolution
from .block import ConvBlock

N = TypeVar("N", bound=nn.Module)


def fold(network: N) -> N:
    """A copy in evaluation mode whose convolutions do what their batch norms did.

    Those of a symmetry become plain ones first (`layers.symmetry.fold`). An average or a blur
    between the two lets a scale and an offset pass. A maximum lets them pass only where no scale
    is negative, an energy lets no offset pass; such a block keeps its norm, and `unfolded` names
    it. Answers agree within the rounding of the weights' float type. The copy is for prediction.
    """
    folded = unturned(network)
    for block in folded.modules():
        if isinstance(block, ConvBlock) and _folds(block):
            _fold(block)
    return folded


def plain(network: N) -> N:
    """``network`` with plain convolutions and norms where it had those of a symmetry, in
    evaluation mode: what is kept of a trained one. Another network is given back itself."""
    turns = any(isinstance(module, TurningConvolution) for module in network.modules())
    return unturned(network) if turns else network


def unfolded(network: nn.Module) -> tuple[str, ...]:
    """Names of blocks whose batch norm stands behind an energy, or behind a maximum with a
    negative scale."""
    blocks = [(n, b) for n, b in network.named_modules() if isinstance(b, ConvBlock)]
    return tuple(n for n, b in blocks if isinstance(b.norm, BatchNorm) and not _folds(b))


def _folds(block: ConvBlock) -> bool:
    if not isinstance(block.norm, BatchNorm):
        return False
    if block.down is not None and block.down.energy:
        return False
    maximum = block.down is not None and block.down.maximum
    return not maximum or bool((block.norm.weight >= 0).all())


@torch.no_grad()
def _fold(block: ConvBlock) -> None:
    norm, convolution = block.norm, block.convolution
    if isinstance(convolution, SeparableGroupConvolution):
        convolution = convolution.pointwise
    assert isinstance(norm, BatchNorm), "only such blocks are folded"
    assert isinstance(convolution, Convolution | CentredConvolution), "made plain before"
    scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
    each = (-1, *[1] * (convolution.weight.ndim - 1))
    convolution.weight.copy_(convolution.weight * scale.view(each))
    convolution.bias = nn.Parameter(norm.bias - norm.running_mean * scale)
    block.norm = None
