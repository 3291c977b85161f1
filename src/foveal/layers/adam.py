"""Adam for what a layer learns by itself before training.

torch.optim brings torch's compiler along: 2.4 s that a budget of seconds has not.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class Adam:
    """Steps on ``weights``, in place, of about the same size for each whatever its gradient's.

    Source: Kingma and Ba, arXiv:1412.6980, algorithm 1, with their constants.
    """

    def __init__(self, weights: list[Tensor]) -> None:
        self.weights, self.steps = weights, 0
        self.means = [torch.zeros_like(weight) for weight in weights]
        self.squares = [torch.zeros_like(weight) for weight in weights]

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor], rate: float) -> None:
        self.steps += 1
        for weight, mean, square, gradient in zip(
            self.weights, self.means, self.squares, gradients, strict=True
        ):
            mean.lerp_(gradient, 0.1)
            square.lerp_(gradient * gradient, 0.001)
            size = (square / (1 - 0.999**self.steps)).sqrt_().add_(1e-8)
            weight.addcdiv_(mean, size, value=-rate / (1 - 0.9**self.steps))
