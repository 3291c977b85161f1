"""Weights on disk: safetensors, written whole or not at all, checked before they are used."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from ..errors import RunError
from ..record import write_bytes

AGAIN = "restore the file from a copy, or train again"


def save_weights(network: nn.Module, path: Path) -> None:
    """Write every parameter and buffer of ``network`` to ``path``, atomically."""
    state = {name: value.detach().cpu().contiguous() for name, value in _state(network).items()}
    write_bytes(path, save(state))


def load_weights(network: nn.Module, path: Path) -> None:
    """Fill ``network`` with the weights in ``path``. It is untouched unless all of them fit.

    Raises: RunError naming the file when it cannot be read, or when a name, shape, type or
        value in it is not what this network needs.
    """
    try:
        found = load(path.read_bytes())
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
