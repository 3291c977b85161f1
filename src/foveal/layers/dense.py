"""The fully connected layer: every output sees every input."""

from math import sqrt

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import PlanError
from . import axes


class Dense(nn.Module):
    """A weighted sum of all inputs for each output, with dropout on the inputs.

    Args:
        inputs, outputs: numbers per sample. dropout: probability that an input is left out of
            a training step; the others are scaled up to keep the sum.

    Shapes: ``(..., inputs) -> (..., outputs)``.
    Raises: PlanError if a number is out of range, or the input has another width.
    Source: dropout after Srivastava et al., JMLR 15 (2014); weights He et al., arXiv:1502.01852.
    """

    def __init__(
        self, inputs: int, outputs: int, *, dropout: float = 0.0, bias: bool = True
    ) -> None:
        super().__init__()
        self.inputs = axes.count(inputs, name="inputs", where="Dense")
        self.outputs = axes.count(outputs, name="outputs", where="Dense")
        self.dropout = axes.share(dropout, name="dropout", where="Dense")
        self.weight = nn.Parameter(torch.randn(outputs, inputs) * sqrt(2 / inputs))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-1] != self.inputs:
            raise PlanError(
                f"input of shape {tuple(x.shape)} does not end in {self.inputs}",
                where="Dense",
                mend="pool or flatten the grid first, or change inputs",
            )
        if self.dropout:
            x = F.dropout(x, self.dropout, self.training)
        return F.linear(x, self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"{self.inputs}, {self.outputs}, dropout={self.dropout}"
