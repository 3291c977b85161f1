"""What stands around a grid: the opposite side, or the last cell again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

from ..errors import PlanError
from .memory import room

Border = Literal["replicate", "circular"]
Ends = tuple[tuple[int, int], ...]  # cells before and behind, of each axis


def around(
    x: Tensor, ends: Sequence[tuple[int, int]], border: Border, *, where: str = ""
) -> Tensor:
    """``x`` with so many more cells at the ends of each axis; channels-last memory stays so.

    PyTorch's own gives circular borders in plain memory, so each layer behind it moves all numbers
    twice. where: the layer that an error names; the shape of ``x`` where none is given.

    Shapes: ``(B, C, *S) -> (B, C, *T)`` with ``T[i] = S[i] + sum(ends[i])``.
    Raises: PlanError if circular padding would go round more than once.
    """
    pairs = tuple((before, behind) for before, behind in ends)
    if not any(map(any, pairs)):
        return x
    for n, pair in zip(x.shape[2:], pairs, strict=True):
        if border == "circular" and max(pair) > n:
            raise PlanError(
                f"circular padding of {max(pair)} wraps {n} cells more than once",
                where=where or f"input of shape {tuple(x.shape)}",
                mend="use a smaller kernel or dilation, or padding='replicate'",
            )
    if torch.is_grad_enabled() and x.requires_grad:
        out: Tensor = _Around.apply(x, pairs, border)  # type: ignore[no-untyped-call]
        return out
    return filled(x, pairs, border)


def filled(x: Tensor, ends: Ends, border: Border) -> Tensor:
    """`around` without a gradient and without its checks."""
    inner = out = room(x, [n + sum(pair) for n, pair in zip(x.shape[2:], ends, strict=True)])
    for axis, (n, (before, _)) in enumerate(zip(x.shape[2:], ends, strict=True), start=2):
        inner = inner.narrow(axis, before, n)
    inner.copy_(x)
    # Whole slabs: what is still empty in them is overwritten by the axes to come.
    for axis, (n, (before, behind)) in enumerate(zip(x.shape[2:], ends, strict=True), start=2):
        if before:
            from_ = (n, before) if border == "circular" else (before, 1)
            out.narrow(axis, 0, before).copy_(out.narrow(axis, *from_))
        if behind:
            from_ = (before, behind) if border == "circular" else (before + n - 1, 1)
            out.narrow(axis, before + n, behind).copy_(out.narrow(axis, *from_))
    return out


class _Around(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, ends: Ends, border: Border) -> Tensor:
        ctx.kept = tuple(x.shape[2:]), ends, border  # type: ignore[attr-defined]
        return filled(x, ends, border)

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor, None, None]:
        size, ends, border = ctx.kept  # type: ignore[attr-defined]
        return taken_in(gradient.clone(), size, ends, border), None, None


def taken_in(gradient: Tensor, size: Sequence[int], ends: Ends, border: Border) -> Tensor:
    """The gradient of cells that stood around the grid, added to the cells that they repeat.

    Shapes: ``(B, C, *T) -> (B, C, *S)``, a view of ``gradient``, which is overwritten.
    """
    out = gradient
    for axis, n, (before, behind) in reversed(
        list(zip(range(2, 2 + len(size)), size, ends, strict=True))
    ):
        head, tail = out.narrow(axis, 0, before), out.narrow(axis, before + n, behind)
        inner = out.narrow(axis, before, n)
        if border == "circular":
            inner.narrow(axis, n - before, before).add_(head)
            inner.narrow(axis, 0, behind).add_(tail)
        else:
            inner.narrow(axis, 0, 1).add_(head.sum(axis, keepdim=True))
            inner.narrow(axis, n - 1, 1).add_(tail.sum(axis, keepdim=True))
        out = inner
    return out
