"""(a) What PyTorch tutorials show: Dataset, DataLoader, 32 bits, plain layout, Adam, batch 64."""

from __future__ import annotations

import time

import spec
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

BATCH = 64


class Pictures(Dataset[tuple[Tensor, int]]):
    """One picture at a time: to float, normalised, flipped by a coin, cropped from a frame of 4."""

    def __init__(self) -> None:
        self.x, self.y = spec.pictures()

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        x = torch.from_numpy(self.x[index]).permute(2, 0, 1).float().div(255)
        x = (x - 0.5) / 0.25
        if torch.rand(()) < 0.5:
            x = x.flip(-1)
        top, left = torch.randint(0, 9, (2,)).tolist()
        x = F.pad(x, (4, 4, 4, 4))[:, top : top + spec.SIZE, left : left + spec.SIZE]
        return x, int(self.y[index])


def block(inputs: int, outputs: int, halve: bool = False) -> list[nn.Module]:
    convolution: list[nn.Module] = [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)]
    pool: list[nn.Module] = [nn.MaxPool2d(2)] if halve else []
    return [*convolution, *pool, nn.BatchNorm2d(outputs), nn.ReLU()]


def network(base: int) -> nn.Module:
    layers, before = block(spec.CHANNELS, spec.STEM), spec.STEM
    for width in spec.widths(base):
        layers += [*block(before, width, halve=True), *block(width, width)]
        before = width
    return nn.Sequential(
        *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, spec.CLASSES)
    )


def main() -> None:
    given = spec.arguments()
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    model = network(given.width)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    loader = DataLoader(Pictures(), batch_size=BATCH, shuffle=True)
    criterion = nn.CrossEntropyLoss()
    seen = steps = 0
    start = time.perf_counter()
    while time.perf_counter() - start < given.seconds or steps <= spec.WARM_UP:
        for x, y in loader:
            optimiser.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimiser.step()
            steps, seen = steps + 1, seen + len(x)
            if steps == spec.WARM_UP:
                start, seen = time.perf_counter(), 0
            if steps > spec.WARM_UP and time.perf_counter() - start > given.seconds:
                break
    spent = time.perf_counter() - start
    parameters = sum(p.numel() for p in model.parameters())
    spec.answer(rate=seen / spent, parameters=parameters, batch=BATCH, precision="fp32")


if __name__ == "__main__":
    main()
