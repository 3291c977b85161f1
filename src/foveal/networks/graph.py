"""Reads the windows of a module off its forward pass, so that receptive fields can be told."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import fx, nn

from ..errors import PlanError
from ..layers import (
    AdaptivePool,
    BatchNorm,
    ChannelNorm,
    Dense,
    DropPath,
    GlobalPool,
    GridPool,
    GroupNorm,
    SqueezeExcite,
    TransposedConvolution,
)
from ..layers.centred import CentredConvolution, CentredPool
from ..layers.polyphase import Polyphase
from ..layers.symmetry import FieldGate, FieldNorm, FieldPool
from ..layers.symmetry.turning import TurningConvolution
from .build import Network
from .receptive_field import INPUT, Operation, ReceptiveField, receptive_fields

# These look at the whole grid to set a scale, which by custom is not counted as seeing.
_GATES = (SqueezeExcite, FieldGate, FieldNorm)
_PASSES = (BatchNorm, ChannelNorm, GroupNorm, *_GATES, DropPath, nn.Identity)
_PASSES_IN_TORCH = ("activation", "dropout", "batchnorm", "normalization", "instancenorm")
_SEES_ALL = (GlobalPool, GridPool, AdaptivePool, FieldPool, Dense, nn.Linear, nn.Flatten)
_CENTRED = (CentredConvolution, CentredPool, TurningConvolution)
_JOINS: tuple[Callable[..., Any], ...] = (
    operator.add,
    operator.iadd,
    operator.mul,
    torch.add,
    torch.mul,
    torch.cat,
)
_POINTWISE: tuple[Callable[..., Any], ...] = (
    torch.relu,
    torch.sigmoid,
    torch.tanh,
    nn.functional.relu,
    nn.functional.gelu,
    nn.functional.silu,
)


def fields_of(network: Network) -> dict[str, ReceptiveField]:
    """The receptive field of every convolution, pool and join of a network, by its path."""
    graph = graph_of(network.backbone, network.backbone.rank)
    return receptive_fields(network.backbone.rank, graph)


def graph_of(module: nn.Module, rank: int) -> list[Operation]:
    """The windows and joins of a module, in order; what follows a global pool is left out.

    Args:
        module: maps ``(B, C, *S)`` to features; Foveal's layers and torch's own are understood.
            Other arguments of its forward are taken to be None.
        rank: number of grid axes.

    Raises: PlanError naming the first operation whose window is not known.
    """
    others = list(inspect.signature(module.forward).parameters)[1:]
    traced = _Tracer().trace(module, concrete_args=dict.fromkeys(others))
    reader = _Reader(rank)
    for node in traced.nodes:
        reader.read(node, module)
    return reader.graph


class _Tracer(fx.Tracer):  # torch's own way to say where to stop
    """Looks into containers, and takes layers as they are."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, (*_GATES, FieldPool)) or not any(True for _ in m.children())


class _Reader:
    """Collects operations; ``said[node]`` names the operation whose cells a node holds."""

    def __init__(self, rank: int) -> None:
        self.rank = rank
        self.graph: list[Operation] = []
        self.said: dict[fx.Node, str] = {}
        self.names: set[str] = set()

    def read(self, node: fx.Node, root: nn.Module) -> None:
        if node.op == "placeholder" and not self.said:
            self.said[node] = INPUT
        if node.op not in ("call_module", "call_function"):
            return
        inputs = [n for n in node.all_input_nodes if n in self.said]
        if not inputs or len(inputs) < len(node.all_input_nodes):
            return  # behind a global pool
        if node.op == "call_module":
            self._module(node, root.get_submodule(str(node.target)), inputs[0])
        elif node.target in _JOINS:
            self._join(node, inputs)
        elif node.target in _POINTWISE:
            self.said[node] = self.said[inputs[0]]
        else:
            raise _unknown(str(node.target))

    def _module(self, node: fx.Node, layer: nn.Module, before: fx.Node) -> None:
        in_torch = type(layer).__module__.rpartition(".")[2] in _PASSES_IN_TORCH
        if isinstance(layer, _SEES_ALL) or hasattr(layer, "output_size"):
            return
        if isinstance(layer, _PASSES) or in_torch:
            self.said[node] = self.said[before]
            return
        window = _window(layer)
        if window is None:
            raise _unknown(f"{node.target} ({type(layer).__name__})")
        self._add(node, str(node.target), (self.said[before],), window)

    def _join(self, node: fx.Node, inputs: list[fx.Node]) -> None:
        ends = tuple(dict.fromkeys(self.said[n] for n in inputs))
        if len(ends) == 1:
            self.said[node] = ends[0]
        else:
            self._add(node, node.name, ends, {})

    def _add(self, node: fx.Node, name: str, inputs: tuple[str, ...], window: Any) -> None:
        # A module that is used twice stands for two operations.
        name = name if name not in self.names else f"{name} ({node.name})"
        self.names.add(name)
        self.said[node] = name
        self.graph.append(Operation(name, inputs, **window))


def _window(layer: nn.Module) -> dict[str, Any] | None:
    """Kernel, stride, padding and dilation of a layer of ours or of torch's, or None."""
    if isinstance(layer, TransposedConvolution) or getattr(layer, "transposed", False):
        return None
    if isinstance(layer, Polyphase):
        return {"kernel": layer.stride, "stride": layer.stride, "padding": 0, "dilation": 1}
    if isinstance(layer, _CENTRED):
        return _around_the_middle(layer)
    if hasattr(layer, "before"):
        window = {"kernel": layer.kernel, "stride": layer.stride, "padding": layer.before}
    elif hasattr(layer, "kernel_size"):
        stride = layer.kernel_size if layer.stride is None else layer.stride
        window = {"kernel": layer.kernel_size, "stride": stride, "padding": _front(layer)}
    else:
        return None
    return window | {"dilation": getattr(layer, "dilation", 1)}


def _around_the_middle(layer: Any) -> dict[str, Any]:
    """The window of a layer that is centred on sizes that its stride divides."""
    dilation = getattr(layer, "dilation", (1,) * len(layer.kernel))
    width = [d * (k - 1) + 1 for k, d in zip(layer.kernel, dilation, strict=True)]
    width = [max(w, s) + (max(w, s) - s) % 2 for w, s in zip(width, layer.stride, strict=True)]
    before = [(w - s) // 2 for w, s in zip(width, layer.stride, strict=True)]
    window = {"kernel": tuple(width), "stride": layer.stride, "padding": tuple(before)}
    return window | {"dilation": 1}


def _front(layer: Any) -> Any:
    """Cells that a torch layer puts in front of each axis."""
    if layer.padding == "valid":
        return 0
    if layer.padding == "same":
        pairs = zip(layer.kernel_size, layer.dilation, strict=True)
        return tuple(d * (k - 1) // 2 for k, d in pairs)
    return layer.padding


def _unknown(name: str) -> PlanError:
    return PlanError(
        f"the window of {name} is not known",
        where="receptive field",
        mend="write the graph by hand as a list of Operation",
    )
