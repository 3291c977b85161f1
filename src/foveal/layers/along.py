"""A matrix along each axis of a grid: what is linear in cells and the same for every channel."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor


def along(x: Tensor, matrices: Sequence[Tensor | None]) -> Tensor:
    """``x`` with grid axis i multiplied by ``matrices[i]`` ``(T[i], S[i])``, of ``x``'s type; by
    none it stays as it is. What shrinks most goes first: the rest has less to do. Axes that grow
    follow, the last one first: its many small products are of few cells then (24 channels of 21 x
    28 x 19 cells to twice as many, bf16, there and back: 19 ms, by the first one first 31).

    The channels of a cell stay side by side in memory where they lay so.

    Shapes: ``(B, C, *S) -> (B, C, *T)``, of any rank.
    """
    last = x.stride(1) == 1 and x.shape[1] > 1
    out = (x.movedim(1, -1) if last else x).contiguous()
    changes = [(i, m) for i, m in enumerate(matrices) if m is not None]
    for i, matrix in sorted(changes, key=_turn):
        axis = i + (1 if last else 2)
        shape = list(out.shape)
        inner = prod(shape[axis + 1 :])
        shape[axis] = len(matrix)
        if inner == 1:
            out = (out.reshape(-1, matrix.shape[1]) @ matrix.T).view(shape)
        else:
            out = torch.matmul(matrix, out.reshape(-1, matrix.shape[1], inner)).view(shape)
    return out.movedim(-1, 1) if last else out


def _turn(change: tuple[int, Tensor]) -> tuple[float, int]:
    """What sorts a change of axis i among the others."""
    i, matrix = change
    new, old = matrix.shape
    return (new / old, i) if new < old else (1.0, -i)
