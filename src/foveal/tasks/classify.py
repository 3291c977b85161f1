"""Classify: one label per sample, on a grid of any rank."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..card import Card
from ..errors import DataError
from ..find import nearest
from ..grid import Axis, Grid, Sample
from ..networks.head import planned_head
from ..plan import Plan
from . import Task


def encode(y: Sequence[Any], card: Card) -> Tensor:
    """Positions in ``card.classes``, ``(B,)`` int64, of class names or of such positions.

    Raises: DataError for a name that is no class, or a position outside them.
    """
    values = np.asarray(y)
    if values.dtype.kind in "iu":
        wrong = values[(values < 0) | (values >= len(card.classes))]
        if wrong.size:
            raise _unknown(str(wrong[0]), card, f"positions run from 0 to {len(card.classes) - 1}")
        return torch.from_numpy(values.astype(np.int64))
    place = {name: i for i, name in enumerate(card.classes)}
    names, inverse = np.unique(values.astype(str), return_inverse=True)
    for name in names:
        if str(name) not in place:
            raise _unknown(repr(str(name)), card, nearest(str(name), place))
    found = np.array([place[str(name)] for name in names], dtype=np.int64)
    return torch.from_numpy(found[inverse.reshape(-1)])


def head(plan: Plan, channels: int, prior: Tensor | None = None) -> nn.Module:
    """Pool over the grid, then fully connected layers down to one number per class."""
    return planned_head(plan.net, channels, len(plan.classes), prior)


def loss(raw: Tensor, target: Tensor, mask: Tensor | None = None, smoothing: float = 0.0) -> Tensor:
    """Mean cross-entropy in nats; ``smoothing`` is the share of belief spread over all classes.

    Shapes: ``(B, K), (B,) -> ()``. The mask has done its work in the pooling.
    Source: Szegedy et al. 2016, arXiv:1512.00567, section 7.
    """
    return F.cross_entropy(raw.float(), target, label_smoothing=smoothing)


def decode(done: Tensor, grid: Grid, card: Card) -> list[str]:
    """The most probable class of each sample, by name."""
    return [card.classes[i] for i in done.argmax(-1).tolist()]


def metric(said: Sequence[Any], true: Sequence[Any]) -> dict[str, float]:
    """Accuracy, and the mean over classes of the share found of each. Best 1, worst 0."""
    right = np.asarray(said) == np.asarray(true)
    classes, of = np.unique(np.asarray(true), return_inverse=True)
    found = np.bincount(of.reshape(-1), right, len(classes)) / np.bincount(of.reshape(-1))
    return {"accuracy": float(right.mean()), "balanced_accuracy": float(found.mean())}


def shades(rank: int) -> list[Sample]:
    """Six dark and six bright noise grids; brightness alone tells them apart."""
    noise = np.random.default_rng(0)
    grid = Grid(tuple(Axis(name) for name in "zyx"[-rank:]), (8,) * rank)
    return [
        Sample(f"{y}{i}", noise.normal(shift, 1, (1, *grid.size)).astype(np.float32), grid, y)
        for shift, y in [(-1, "dark"), (1, "bright")]
        for i in range(6)
    ]


def _unknown(value: str, card: Card, help: str) -> DataError:
    return DataError(
        f"{value} is not one of the {len(card.classes)} classes",
        where=f"labels of {card.name or card.path}",
        mend=help or f"classes are: {', '.join(card.classes[:20])}",
    )


TASK = Task(
    fits=lambda card: card.target == "label",
    encode=encode,
    head=head,
    loss=loss,
    finish=lambda raw: raw.float().softmax(-1),
    decode=decode,
    metric=metric,
    best="accuracy",
    evidence=lambda raw, choice: raw[:, choice],
    example=shades,
)
