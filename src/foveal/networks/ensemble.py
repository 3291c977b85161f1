"""Several networks that answer as one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

Join = Callable[[Tensor], Tensor]


class Ensemble(nn.Module):
    """Networks of one plan with weights of their own, whose answers are joined.

    join: raw answers of all members ``(M, B, ...)`` -> raw ``(B, ...)``.

    Shapes: x ``(B, C, *S)``, mask ``(B, 1, *S)`` or None -> raw, as of one member. Who averages
    over views asks each member for itself first (evaluation/predict.py).
    """

    def __init__(self, members: Sequence[nn.Module], join: Join) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.join = join

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        return self.join(torch.stack(each(self, x, mask)))


def each(network: nn.Module, x: Tensor, mask: Tensor | None = None) -> list[Tensor]:
    """Raw answers of every member, before they are joined; of any other network its own."""
    members = network.members if isinstance(network, Ensemble) else [network]
    return [member(x, mask) for member in members]


def log_mean(logs: Tensor) -> Tensor:
    """The log of the mean of ``logs.exp()`` over the first axis, without leaving the logs."""
    found: Tensor = logs.logsumexp(0) - torch.tensor(float(len(logs))).log().to(logs)
    return found
