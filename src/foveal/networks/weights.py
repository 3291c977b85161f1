"""Weights on disk: safetensors, written whole or not at all, checked before they are used."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from ..errors import RunError
from ..layers import Convolution
from ..layers.symmetry import join
from ..record import write_bytes
from .decoder import Decoder

AGAIN = "restore the file from a copy, or train again"
# What decoders of a symmetry read: features one behind the other. Files without the mark are of a
# time when they read the fields of both side by side.
MARK = {"joined": "one behind the other"}


def save_weights(network: nn.Module, path: Path) -> None:
    """Write every parameter and buffer of ``network`` to ``path``, atomically."""
    state = {name: value.detach().cpu().contiguous() for name, value in _state(network).items()}
    write_bytes(path, save(state, MARK))


def load_weights(network: nn.Module, path: Path) -> None:
    """Fill ``network`` with the weights in ``path``. It is untouched unless all of them fit.

    Raises: RunError naming the file when it cannot be read, or when a name, shape, type or
        value in it is not what this network needs.
    """
    try:
        content = path.read_bytes()
        found = load(content)
    except OSError as error:
        raise RunError(
            f"cannot read {path.name}: {error.strerror}",
            where=str(path),
            mend="give the folder of a finished run, or train again",
        ) from error
    except (SafetensorError, ValueError, KeyError) as error:
        raise RunError(
            f"{path.name} is damaged or no safetensors file ({str(error)[:80]})",
            where=str(path),
            mend=AGAIN,
        ) from error
    wanted = _state(network)
    fault = _names(wanted, found) or _values(wanted, found)
    if fault:
        raise RunError(fault, where=str(path), mend=AGAIN)
    if not MARK.items() <= _metadata(content).items():
        found |= _behind(network, found)
    with torch.no_grad():
        for name, value in wanted.items():
            value.copy_(found[name])


def _state(network: nn.Module) -> dict[str, Tensor]:
    return dict(network.state_dict())


def _names(wanted: dict[str, Tensor], found: dict[str, Tensor]) -> str:
    """What is wrong with the names, or ""."""
    missing, strange = sorted(wanted.keys() - found.keys()), sorted(found.keys() - wanted.keys())
    if missing:
        return f"{len(missing)} weights are missing, {missing[0]!r} first"
    if strange:
        return f"{len(strange)} weights are not of this network, {strange[0]!r} first"
    return ""


def _values(wanted: dict[str, Tensor], found: dict[str, Tensor]) -> str:
    """What is wrong with a shape, a type or a value, or ""."""
    for name, value in found.items():
        want = wanted[name]
        if value.shape != want.shape:
            return f"{name!r} has shape {tuple(value.shape)}, the plan's {tuple(want.shape)}"
        if value.dtype != want.dtype:
            return f"{name!r} holds {value.dtype}, the network {want.dtype}"
        if value.is_floating_point() and not bool(value.isfinite().all()):
            return f"{name!r} holds values that are not finite"
    return ""


def _metadata(content: bytes) -> dict[str, str]:
    """What stands in the header beside the tensors of a safetensors file that `load` has read."""
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    return dict(header.get("__metadata__") or {})  # it may be null


def _behind(network: nn.Module, found: dict[str, Tensor]) -> dict[str, Tensor]:
    """Plain kernels of decoders that read fields side by side, for features one behind the other.

    Kernels that still turn are the same for both.
    """
    kernels = {}
    for path, head in network.named_modules():
        if not isinstance(head, Decoder) or head.turns is None:
            continue
        for number in range(len(head.joins)):
            first = f"{path}.joins.{number}.0.convolution"
            for name, module in network.get_submodule(first).named_modules(prefix=first):
                if isinstance(module, Convolution):
                    old = found[f"{name}.weight"]
                    axis = 1 if module.groups == 1 else 0
                    order = torch.arange(module.inputs).view(1, 2, -1).unbind(1)
                    place = join(head.turns, *order)[0].argsort()
                    kernels[f"{name}.weight"] = old.index_select(axis, place)
    return kernels
