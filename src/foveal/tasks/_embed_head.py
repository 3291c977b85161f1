"""A unit vector per sample, and in training its cosine to the direction of each identity."""

from __future__ import annotations

import dataclasses

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..networks.head import planned_head
from ..plan import Plan
from ._embed_start import directions


class EmbedHead(nn.Module):
    """Pool, one fully connected layer, length one.

    Each identity of the training part has a direction of its own, learned with the network and
    only used in training. Identities without a training sample take no part.

    Args:
        channels: of the features. target: identities of the training samples (N,), None to be
            filled from a file.

    Shapes: features ``(B, C, *S)``, mask ``(B, 1, *S)`` or None -> ``(B, D)``; in training
        ``(B, D + K)``, the cosines to the K identities behind, -inf for those never met.
    """

    far: Tensor
    met: Tensor

    def __init__(self, plan: Plan, channels: int, target: Tensor | None) -> None:
        super().__init__()
        net = dataclasses.replace(plan.net, scale=1.0)
        self.inner = planned_head(net, channels, plan.net.vector)
        count = len(plan.classes)
        self.register_buffer("far", directions(count, plan.net.vector), persistent=False)
        self.own = nn.Parameter(torch.zeros(count, plan.net.vector))
        met = torch.zeros(count, dtype=torch.bool)
        if target is not None and len(target):
            met[target] = True
        self.register_buffer("met", met)

    def forward(self, features: Tensor, mask: Tensor | None = None) -> Tensor:
        vectors = F.normalize(self.inner(features, mask).float(), dim=1, eps=1e-6)
        if not self.training:
            return vectors
        own = F.normalize(self.far + self.own, dim=1)
        cosines = F.linear(vectors, own).masked_fill(~self.met, -torch.inf)
        return torch.cat([vectors, cosines], 1)

    @torch.no_grad()
    def begin(self, matrix: Tensor, middle: Tensor, names: Tensor, means: Tensor) -> None:
        """Start from vectors ``(features - middle) @ matrix`` and the identities' ``means``.

        matrix ``(F, R)`` with R at most D; the other numbers of a vector begin at 0.
        """
        kept, last = matrix.shape[1], self.inner.last
        size = means.norm(dim=1).mean().clamp_min(1e-12)
        last.weight.zero_()
        last.weight[:kept] = (matrix / size).T.to(last.weight)
        assert last.bias is not None, "the last layer has a bias"
        last.bias.zero_()
        last.bias[:kept] = -(middle @ matrix / size).to(last.bias)
        at = names.to(self.own.device)
        wide = F.pad(F.normalize(means, dim=1), (0, last.outputs - kept)).to(self.own)
        self.own[at] = wide - self.far[at]
