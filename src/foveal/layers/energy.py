"""How strongly a window answers: the root of the mean square of what is positive in it.

    root(mean(half_square(x)))

with any mean over windows, a blur too. A maximum without its jumps: strong cells count most, all
that are positive count, and an answer twice as strong gives twice as much.

Source: Hénaff and Simoncelli, arXiv:1511.06394, section 2.2: L2 pooling with a smooth window.
Theirs squares what is negative, too.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

# Added under the root, whose slope at 0 has no end: 0.001 stands where nothing is positive.
LEAST = 1e-6


def half_square(x: Tensor) -> Tensor:
    """``max(x, 0) ** 2 / 2``, whose slope is ``max(x, 0)``. Any shape, float."""
    if torch.is_grad_enabled() and x.requires_grad:
        out: Tensor = _HalfSquare.apply(x)  # type: ignore[no-untyped-call]
        return out
    return _half_square(x.relu())


def root(half: Tensor) -> Tensor:
    """The root of twice a mean of `half_square`. Any shape, float, never negative."""
    return (2 * half + LEAST).sqrt()


def _half_square(positive: Tensor) -> Tensor:
    return torch.addcmul(positive.new_zeros(()), positive, positive, value=0.5)


class _HalfSquare(torch.autograd.Function):
    """Three passes over the finest cells, where PyTorch's own steps take six."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        positive = x.relu()
        ctx.save_for_backward(positive)
        return _half_square(positive)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (positive,) = ctx.saved_tensors
        out: Tensor = gradient * positive
        return out
