"""A running mean of the weights, which often scores better than the weights themselves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Average:
    """Exponential mean of all floating parameters and buffers of a network.

    Buffers too: batch norm's statistics belong to the weights they were measured with.

    Args:
        network: whose present values start the mean.
        decay: share of the old mean kept per step, 0 to below 1; 0 keeps no mean at all, and
            `shown` then shows the network as it is. Young means keep less: (1 + n) / (10 + n)
            after n steps, or the start would weigh for thousands of steps.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self._live = floating(network) if decay > 0 else {}
        self._mean = {name: value.clone() for name, value in self._live.items()}

    @torch.no_grad()
    def update(self, steps: int) -> None:
        """Take in the network as it is after ``steps`` steps."""
        if self._mean:
            keep = min(self.decay, (1 + steps) / (10 + steps))
            torch._foreach_lerp_(list(self._mean.values()), list(self._live.values()), 1 - keep)

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Within it the network holds the mean."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def settle(self) -> None:
        """Leave the mean in the network for good."""
        for name, value in self._live.items():
            value.data.copy_(self._mean[name])

    def state(self) -> dict[str, Tensor]:
        """The mean by name; the tensors themselves, not copies."""
        return dict(self._mean)

    def load(self, state: dict[str, Tensor]) -> None:
        for name, mean in self._mean.items():
            mean.copy_(state[name])

    def _swap(self) -> None:
        for name, value in self._live.items():
            value.data, self._mean[name] = self._mean[name], value.data


def floating(network: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers with fractions, by name; the tensors themselves."""
    everything = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    return {name: value for name, value in everything.items() if value.is_floating_point()}
