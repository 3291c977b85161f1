"""A matrix along each axis of a grid: what is linear in cells and the same for every channel."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor


def along(x: Tensor, matrices: Sequence[Tensor | None]) -> Tensor:
    """``x`` with grid axis i multiplied by ``matrices[i]`` ``(T[i], S[i])``, of ``x``'s type; by
    none it stays as it is. What shrinks most goes first: the rest has less to do.

    The channels of a cell stay side by side in memory where they lay so.

    Shapes: ``(B, C, *S) -> (B, C, *T)``, of any rank.
    """
    last = x.stride(1) == 1 and x.shape[1] > 1
    out = (x.movedim(1, -1) if last else x).contiguous()
    changes = [(len(m) / m.shape[1], i, m) for i, m in enumerate(matrices) if m is not None]
    for _, i, matrix in sorted(changes, key=lambda change: change[0]):
        axis = i + (1 if last else 2)
        shape = list(out.shape)
        inner = prod(shape[axis + 1 :])
        shape[axis] = len(matrix)
        if inner == 1:
            out = (out.reshape(-1, matrix.shape[1]) @ matrix.T).view(shape)
        else:
            out = torch.matmul(matrix, out.reshape(-1, matrix.shape[1], inner)).view(shape)
    return out.movedim(-1, 1) if last else out
