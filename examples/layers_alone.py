"""The layers by themselves, in plain PyTorch: one network for signals, pictures and volumes."""

import torch
from torch import nn

from foveal.layers import (
    BatchNorm,
    BlurDown,
    Convolution,
    Dense,
    GlobalPool,
    SqueezeExcite,
    activation,
)


class Small(nn.Module):
    """Two convolutions, a downsampling that does not alias, a gate, a pooled answer."""

    def __init__(self, rank: int, channels: int, classes: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            Convolution(rank, channels, 16, 3, bias=False),
            BatchNorm(16),
            activation("relu"),
            BlurDown(rank, 2),
            Convolution(rank, 16, 32, 3, dilation=2),
            SqueezeExcite(32),
            activation("relu"),
        )
        self.pool, self.last = GlobalPool("average"), Dense(32, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = self.last(self.pool(self.body(x)))
        return answer


def main() -> None:
    torch.manual_seed(0)
    for rank, size in ((1, (64,)), (2, (16, 16)), (3, (8, 8, 8))):
        network = Small(rank, 1, 2)
        optimiser = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
        label = torch.arange(32) % 2
        x = torch.randn(32, 1, *size) + label.view(-1, 1, *[1] * rank)  # one class is brighter
        for _ in range(20):
            loss = nn.functional.cross_entropy(network(x), label)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        count = sum(p.numel() for p in network.parameters())
        print(f"rank {rank}: {count} parameters, loss {loss.item():.3f}")


if __name__ == "__main__":
    main()
