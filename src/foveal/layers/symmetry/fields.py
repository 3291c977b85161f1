"""What stands between convolutions of fields: dropout, gate, and putting fields together."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import axes
from ..dense import Dense
from .group import Symmetry
from .readout import FieldPool


class FieldDropout(nn.Module):
    """In training, leaves out whole fields of a sample, all orientations and cells of them.

    Args:
        symmetry: n turns. rate: probability that a sample loses a field, in [0, 1); the others
            are scaled up to keep the mean.

    Shapes: ``(B, n * K, *S) -> (B, n * K, *S)``.
    Raises: PlanError for another rate, or channels that are no whole fields.
    Source: Tompson et al., arXiv:1411.4280, section 3.2, for fields in place of channels.
    """

    def __init__(self, symmetry: Symmetry, rate: float) -> None:
        super().__init__()
        self.symmetry = symmetry
        self.rate = axes.share(rate, name="rate", where="FieldDropout")

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return x
        fields = self.symmetry.apart(x).shape[2]
        keep = F.dropout(x.new_ones(x.shape[0], fields), self.rate)
        keep = keep.repeat(1, len(self.symmetry))
        return x * keep.view(*keep.shape, *[1] * (x.ndim - 2))

    def extra_repr(self) -> str:
        return f"{self.symmetry}, {self.rate}"


class FieldGate(nn.Module):
    """Scales each field by a number in (0, 1) read off the means of all fields.

    Args:
        symmetry: n turns. fields: K. reduction: how many times narrower the hidden layer is.

    Shapes: ``(B, n * K, *S) -> (B, n * K, *S)``, mask ``(B, 1, *S)``; padding does not count.
    Raises: PlanError if a number is below 1, or for channels that are no whole fields.
    Source: Hu et al., arXiv:1709.01507, section 3, for fields in place of channels.
    """

    def __init__(self, symmetry: Symmetry, fields: int, reduction: int = 4) -> None:
        super().__init__()
        axes.count(fields, name="fields", where="FieldGate")
        axes.count(reduction, name="reduction", where="FieldGate")
        hidden = max(1, fields // reduction)
        self.pool = FieldPool(symmetry, "average")
        self.squeeze = Dense(fields, hidden)
        self.excite = Dense(hidden, fields)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        gate: Tensor = self.excite(self.squeeze(self.pool(x, mask)).relu()).sigmoid()
        gate = gate.repeat(1, len(self.pool.symmetry))
        return x * gate.view(*gate.shape, *[1] * (x.ndim - 2))


def join(symmetry: Symmetry, *parts: Tensor) -> Tensor:
    """The fields of all ``parts`` side by side, where `torch.cat` would mix their orientations.

    Shapes: ``(B, n * K, *S), (B, n * L, *S), ... -> (B, n * (K + L + ...), *S)``.
    Raises: PlanError if the channels of a part are no whole fields.
    """
    apart = [symmetry.apart(part) for part in parts]
    if all(part.stride(1) == 1 for part in parts):
        # In the order of channels-last memory: a cat of the middle axis would lay out all anew.
        cells = [fields.movedim((1, 2), (-2, -1)) for fields in apart]
        return torch.cat(cells, -1).flatten(-2).movedim(-1, 1)
    return torch.cat(apart, 2).flatten(1, 2)
