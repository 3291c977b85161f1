"""Heads turn features into raw outputs. None of them knows the rank of its grid."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from ..errors import PlanError
from ..layers import Dense, GlobalPool, GridPool, OpeningPool
from ..layers import activation as activate
from ..layers.symmetry import FieldPool, Symmetry
from ..net import OPENING, PARTS, NetPart
from .parts import fields, turns_of


class PooledHead(nn.Module):
    """One output vector per sample: pool the real cells, then fully connected layers.

    Args:
        inputs: channels of the features, times the places that ``pool`` tells apart; fields
            where there are ``turns``.
        outputs: K, numbers per sample (classes, or regressed values).
        hidden: widths of fully connected layers before the last one.
        pool: "average" or "max" over the grid, "grid": the average of each of its parts, or
            "opening": the largest of all and of the first cells.
        dropout: share of features dropped before each fully connected layer, in training.
        scale: factor on what the last layer makes of its features; its bias is not scaled, so
            features of zero yield the prior.
        prior: expected frequency of each class, ``(K,)``, summing to 1. Sets the bias.
            None starts from zero.
        activation: between fully connected layers.
        turns: whose fields the features are: the answer is the same under all of them.

    Shapes: features ``(B, C, *S)``, mask ``(B, 1, *S)`` with 1 on real cells -> ``(B, K)``.
    Raises: PlanError when the prior does not have K entries.
    Source: bias from base rates after Lin et al., arXiv:1708.02002, section 4.1; small logits
        after Jordan, arXiv:2404.00498.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        hidden: tuple[int, ...] = (),
        pool: Literal["average", "max", "grid", "opening"] = "average",
        dropout: float = 0.0,
        scale: float = 1.0,
        prior: Tensor | None = None,
        activation: str = "relu",
        turns: Symmetry | None = None,
    ) -> None:
        super().__init__()
        self.pool: nn.Module
        if turns is not None:
            assert pool in ("average", "max"), "refused with the plan"
            self.pool = FieldPool(turns, "max" if pool == "max" else "average")
        elif pool == "grid":
            self.pool = GridPool(PARTS)
        elif pool == "opening":
            self.pool = OpeningPool(OPENING)
        else:
            self.pool = GlobalPool(pool)
        widths = (inputs, *hidden)
        self.hidden = nn.ModuleList(Dense(a, b, dropout=dropout) for a, b in pairwise(widths))
        self.activation = activate(activation)
        self.last = Dense(widths[-1], outputs, dropout=dropout)
        self.scale = scale
        if prior is not None:
            self._start_from(prior)

    def forward(self, features: Tensor, mask: Tensor | None = None) -> Tensor:
        x = self.pool(features, mask)
        for layer in self.hidden:
            x = self.activation(layer(x))
        raw: Tensor = self.last(x * self.scale)
        return raw

    @torch.no_grad()
    def _start_from(self, prior: Tensor) -> None:
        bias = self.last.bias
        assert bias is not None, "the last layer has a bias"
        if prior.shape != bias.shape:
            raise PlanError(
                f"a prior of shape {tuple(prior.shape)} for {len(bias)} outputs",
                where="PooledHead",
                mend="give one frequency per output",
            )
        bias.copy_(prior.clamp_min(1e-6).log())


def planned_head(
    net: NetPart, inputs: int, outputs: int, prior: Tensor | None = None
) -> PooledHead:
    """The pooled head that a plan's network asks for, on ``inputs`` channels."""
    return PooledHead(
        fields(net, inputs) * net.places,
        outputs,
        hidden=net.hidden,
        pool=net.pool,
        dropout=net.dropout,
        scale=net.scale,
        prior=prior,
        activation=net.activation,
        turns=turns_of(net),
    )
