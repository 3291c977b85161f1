"""Samples really turned, by half of a quarter turn, for the test of any angle."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from ..grid import Axis
from ..layers.turning import turned, within
from .pooled import Features, coarse, maps
from .turn_groups import Group

HALF = 22.5  # degrees either way: 45 between both, and both blurred alike
TOGETHER = 256


def at_angle(
    x: NDArray[np.generic], axes: tuple[Axis, ...], group: Group, cells: int, finest: int
) -> tuple[Features, Features, str] | None:
    """Pooled maps of samples turned one way and the other in a plane of the group, and its name;
    None where no plane is turned, or two are.

    Corners are hidden behind the mean of what is inside, as they are not known.
    """
    planes = [s for s in group.sets if len(s) == 2]
    if len(planes) != 1 or any(len(s) > 2 for s in group.sets):
        return None
    plane = (planes[0][0], planes[0][1])
    steps = (axes[plane[0]].step, axes[plane[1]].step)
    found: tuple[list[Features], list[Features]] = ([], [])
    for start in range(0, len(x), TOGETHER):
        some = torch.from_numpy(coarse(x[start : start + TOGETHER], finest).mean(1, keepdims=True))
        inside = within(tuple(some.shape[2:]), plane)
        for side, degrees in zip(found, (-HALF, HALF), strict=True):
            side.append(maps(_seen(turned(some, plane, degrees, steps), inside), cells, finest))
    name = f"turn {axes[plane[0]].name}-{axes[plane[1]].name} by {2 * HALF:g} degrees"
    return np.concatenate(found[0]), np.concatenate(found[1]), name


def _seen(x: torch.Tensor, inside: torch.Tensor) -> NDArray[np.float32]:
    mean = (x * inside).flatten(1).sum(1) / inside.sum()
    hidden = torch.where(inside > 0, x, mean.view(-1, *[1] * (x.ndim - 1)))
    return np.asarray(hidden.numpy(), np.float32)
