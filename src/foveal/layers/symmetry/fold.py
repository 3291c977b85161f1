"""A trained network with symmetry as a network of plain layers: the same answers, nothing to lay
out at every step."""

from __future__ import annotations

import copy
from typing import TypeVar, cast

import torch
from torch import nn

from ..centred import CentredConvolution
from ..convolution import Convolution
from ..norm import BatchNorm
from .convolution import SeparableGroupConvolution
from .norm import FieldNorm
from .turning import TurningConvolution

N = TypeVar("N", bound=nn.Module)


def fold(network: N) -> N:
    """A copy in evaluation mode whose convolutions are plain ones, n times as large on disk.

    Inside an `nn.Sequential` a batch norm right behind a convolution becomes part of it;
    elsewhere it becomes a plain `BatchNorm`, which `foveal.networks.fold` takes further. Group
    and channel norms, gates and `FieldPool` stay. Strided convolutions become a
    `CentredConvolution`, the others a `Convolution`. Answers agree within the rounding of the
    weights' float type. The copy is for prediction.
    """
    whole = nn.Sequential(copy.deepcopy(network))  # a network may itself be one layer
    _fold(whole)
    return cast(N, whole[0].eval())


def _fold(module: nn.Module) -> None:
    children = list(module._modules.items())  # named_children leaves out what occurs twice
    ahead: nn.Module | None = None
    for name, child in children:
        if isinstance(child, TurningConvolution):
            setattr(module, name, child.plain())
        elif isinstance(child, FieldNorm) and isinstance(child.norm, BatchNorm):
            norm = _plain_norm(child.norm, len(child.symmetry))
            target = _last(ahead) if isinstance(module, nn.Sequential) else None
            if target is not None:
                _merge(target, norm)
            setattr(module, name, norm if target is None else nn.Identity())
        elif child is not None:
            _fold(child)
        ahead = getattr(module, name)
        if not isinstance(child, TurningConvolution | SeparableGroupConvolution):
            ahead = None  # not a convolution that was made here: others may use it too


def _last(module: nn.Module | None) -> Convolution | CentredConvolution | None:
    if isinstance(module, SeparableGroupConvolution):
        pointwise = module.pointwise
        assert isinstance(pointwise, Convolution), "its parts are folded first"
        return pointwise
    return module if isinstance(module, Convolution | CentredConvolution) else None


@torch.no_grad()
def _plain_norm(norm: BatchNorm, n: int) -> BatchNorm:
    plain = BatchNorm(n * norm.channels, norm.momentum, norm.eps)
    plain.weight = nn.Parameter(norm.weight.repeat(n))
    plain.bias = nn.Parameter(norm.bias.repeat(n))
    plain.running_mean = norm.running_mean.repeat(n)
    plain.running_var = norm.running_var.repeat(n)
    return plain


@torch.no_grad()
def _merge(convolution: Convolution | CentredConvolution, norm: BatchNorm) -> None:
    scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
    each = (-1, *[1] * (convolution.weight.ndim - 1))
    convolution.weight.mul_(scale.view(each))
    shift = norm.bias - norm.running_mean * scale
    if convolution.bias is not None:
        shift = shift + convolution.bias * scale
    convolution.bias = nn.Parameter(shift)
