"""A tiny set, a tiny network and a whole training of them: under a second, with dropout."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from foveal.grid import IMAGE_AXES, Batch
from foveal.plan import AugmentPart, DataPart, FitPart, JudgePart, NetPart, Plan
from foveal.tasks.classify import TASK
from foveal.training.deadline import Deadline
from foveal.training.history import History
from foveal.training.loop import fit
from foveal.training.stop import Stop
from foveal.training.together import ALONE, Together

FIT = FitPart(
    optimiser="muon",
    lr=0.1,
    other_lr=0.1,
    momentum=0.6,
    weight_decay=1e-3,
    batch=16,
    epochs=5,
    steps=20,
    warmup=0.1,
    label_smoothing=0.1,
    ema=0.0,
    precision="fp32",
    channels_last=True,
    threads=1,
    device="cpu",
    coarse=0.0,
    coarse_size=(8, 8),
)


def plan(**fit_changes: object) -> Plan:
    part = replace(FIT, **fit_changes)
    data = DataPart((8, 8), 1, "stretch", (0.0,), (255.0,), (0.5,), (0.25,), 0.1, 0.1)
    net = NetPart(
        stem="convolution",
        stem_width=8,
        stem_kernel=(3, 3),
        stem_stride=(1, 1),
        block="plain",
        down="max",
        widths=(8, 16),
        depths=(1, 1),
        strides=((2, 2), (2, 2)),
        kernels=((3, 3), (3, 3)),
        norm="batch",
        activation="relu",
        gate=False,
        pool="average",
        hidden=(),
        dropout=0.1,
        drop_path=0.0,
        scale=1.0,
    )
    axes, classes = IMAGE_AXES, ("dark", "bright")
    part_of = AugmentPart((1, 1), (True, False), False, 0, 0.0, 0.0)
    judge = JudgePart(False, 0, 100)
    return Plan("classify", axes, classes, data, part_of, net, part, judge, None, 0)


class Toy:
    """64 noisy squares, dark or bright, in 4 batches; stands in for `Batches`."""

    def __init__(self, on_batch=lambda epoch, number, x: x) -> None:
        chance = torch.Generator().manual_seed(1)
        self.y = torch.arange(64) % 2
        x = torch.rand(64, 1, 8, 8, generator=chance) * 128 + self.y.view(-1, 1, 1, 1) * 60
        self.x = x.to(torch.uint8)
        self.on_batch, self.rows = on_batch, torch.arange(64)

    def __len__(self) -> int:
        return 4

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        order = torch.randperm(64, generator=torch.Generator().manual_seed(number))
        for i in range(start, 4):
            index = order[i * 16 : (i + 1) * 16]
            yield Batch(self.on_batch(number, i, self.x[index]), self.y[index], index)


def poisoned(when):
    """A toy whose batches hold NaN where ``when(n)``, for the n-th batch that is made."""
    made = [0]

    def on_batch(epoch, number, x):
        made[0] += 1
        return x.float() * float("nan") if when(made[0]) else x

    return Toy(on_batch)


class Net(nn.Module):
    """Every kind of parameter there is: kernels, batch norm, dropout, a head."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Conv2d(8, 8, 3, padding=1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
        )
        self.drop = nn.Dropout(0.2)
        self.head = nn.Linear(8, 2)
        self.sizes: list[tuple[int, ...]] = []

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        self.sizes.append(tuple(x.shape[2:]))
        return self.head(self.drop(self.body(x.float() / 255 - 0.5).mean((2, 3))))


def shifted(x, part, *, generator, epoch, index):
    """An augmentation that draws from the generator it is given."""
    return x.roll(int(torch.randint(8, (), generator=generator)), 2)


def train(
    run: Path,
    the_plan: Plan,
    *,
    toy: Toy | None = None,
    net: Net | None = None,
    resume: bool = False,
    stop: Stop | None = None,
    deadline: Deadline | None = None,
    on_validate=lambda: None,
    together: Together = ALONE,
) -> tuple[Net, History]:
    toy, net = toy or Toy(), net or Net()

    def validate(network: nn.Module) -> dict[str, float]:
        on_validate()
        return {"accuracy": (network(toy.x).argmax(1) == toy.y).float().mean().item()}

    history = fit(
        net,
        TASK,
        toy,
        shifted,
        validate,
        the_plan,
        run,
        deadline=deadline,
        resume=resume,
        stop=stop,
        together=together,
    )
    return net, history


def weights(net: nn.Module) -> dict[str, bytes]:
    """Every parameter and buffer as bytes: equal means equal to the last bit."""
    return {n: t.contiguous().numpy().tobytes() for n, t in net.state_dict().items()}


def train_in_a_process(run: Path, steps: int, resume: bool, polite: bool) -> None:
    """For tests that kill: trains, writes the final weights' bytes, exits with 0.

    ``polite`` listens to signals and exits with 130 when interrupted.
    """
    torch.set_num_threads(1)
    with Stop() as stop:
        if not polite:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        try:
            net, _ = train(run, plan(steps=steps, ema=0.9), resume=resume, stop=stop)
        except Exception as error:
            (run / "error.txt").write_text(str(error))
            os._exit(130)
    (run / "final").write_bytes(b"".join(weights(net).values()))
