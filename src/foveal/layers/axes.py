"""What the layers share: one number per axis, and where a "same" window starts and ends."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import PlanError

Ints = int | Sequence[int]
RANKS = (1, 2, 3)


def per_axis(value: Ints, rank: int, *, name: str, where: str, least: int = 1) -> tuple[int, ...]:
    """One number for each of ``rank`` axes.

    Raises: PlanError if ``rank`` is not 1, 2 or 3, if the count of numbers differs from it, or
        if one is not a whole number of at least ``least``.
    """
    if rank not in RANKS:
        raise PlanError(
            f"rank is {rank!r}", where=where, mend="give 1 (signal), 2 (picture) or 3 (volume)"
        )
    values = (value,) * rank if isinstance(value, int) else tuple(value)
    if len(values) != rank or not all(isinstance(v, int) and v >= least for v in values):
        raise PlanError(
            f"{name} {value} does not fit a grid of rank {rank}",
            where=where,
            mend=f"give one whole number >= {least}, or {rank} of them",
        )
    return values


def count(value: int, *, name: str, where: str) -> int:
    """``value``, when it counts something (channels, outputs, groups).

    Raises: PlanError if it is not a whole number of at least 1.
    """
    if not isinstance(value, int) or value < 1:
        raise PlanError(
            f"{name} is {value!r}", where=where, mend=f"give {name} as a whole number >= 1"
        )
    return value


def share(value: float, *, name: str, where: str) -> float:
    """``value``, when it is a probability below 1. Raises: PlanError otherwise."""
    if not 0 <= value < 1:
        raise PlanError(f"{name} is {value!r}", where=where, mend="give a number in [0, 1)")
    return value


def beside(per_channel: Tensor, rank: int) -> Tensor:
    """``(C,)`` as ``(C, 1, ...)``, which meets ``(B, C, *S)``."""
    return per_channel.view(-1, *[1] * rank)


def check_input(x: Tensor, rank: int, channels: int, *, where: str) -> None:
    """Raises: PlanError unless ``x`` is ``(B, channels, *S)`` with ``rank`` axes in S."""
    if x.ndim != rank + 2 or x.shape[1] != channels:
        raise PlanError(
            f"input of shape {tuple(x.shape)} does not fit {channels} channels, rank {rank}",
            where=where,
            mend=f"give (B, {channels}, {', '.join('S' * rank)})",
        )


def span(kernel: tuple[int, ...], dilation: tuple[int, ...]) -> tuple[int, ...]:
    """Cells from the first to the last tap of a dilated kernel, both counted."""
    return tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True))


def before(width: tuple[int, ...], stride: tuple[int, ...]) -> tuple[int, ...]:
    """Cells by which the first window starts before the grid.

    Windows of T = ceil(S / stride) are centred as far as a start that does not depend on S
    allows: (width - 1) / 2 for odd windows of stride 1 or 2, and 0 where the stride is at
    least the window, so that patches tile the grid.
    """
    return tuple(
        max(0, min((w - 1) // 2, (w - s + 1) // 2)) for w, s in zip(width, stride, strict=True)
    )


def missing(
    size: Sequence[int | torch.SymInt],
    width: tuple[int, ...],
    stride: tuple[int, ...],
    start: tuple[int, ...],
) -> tuple[int, ...]:
    """Cells to add behind each axis so that ceil(size / stride) windows fit, when ``start``
    cells are already added on both sides. All 0 for odd windows of stride 1 or 2, which lets
    the kernel pad by itself and saves a copy."""
    extra = []
    for n, w, s, b in zip(size, width, stride, start, strict=True):
        if isinstance(n, int):
            end = (-(-n // s) - 1) * s + w
            extra.append(max(0, end - n - 2 * b))
        else:  # a size left open by torch.export: what the most demanding size would need
            extra.append(w - 1 - 2 * b)
    return tuple(extra)


def pad_behind(x: Tensor, extra: tuple[int, ...], value: float = 0.0) -> Tensor:
    """``x`` with ``extra`` cells of ``value`` behind each axis; ``x`` itself when none."""
    if not any(extra):
        return x
    # F.pad wants the last axis first: (left, right) of axis n, ..., of axis 1.
    return F.pad(x, [n for e in reversed(extra) for n in (0, e)], value=value)
