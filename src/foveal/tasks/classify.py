"""Classify: one label per sample, on a grid of any rank."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from ..card import Card
from ..errors import DataError, PlanError
from ..find import nearest
from ..grid import Axis, Grid, Sample
from ..networks.ensemble import log_mean
from ..networks.head import planned_head
from ..plan import Plan
from . import Calibration, Judging, Task, Telling
from . import _classify_sets as sets
from ._classify_judge import FIGURES, baselines, calibrate, judge, quick
from ._classify_page import TERMS, headline, sections
from ._imbalance import of_classes, weighed
from ._luck import of_share
from ._parts import apart


def check(card: Card) -> None:
    """Raises: PlanError when there are fewer than two classes."""
    if len(card.classes) < 2:
        raise PlanError(
            f"there is only {len(card.classes)} class: {', '.join(card.classes) or 'none'}",
            where=card.path,
            mend="give at least two class folders; telling one from nothing needs examples of both",
        )


def encode(y: Any, plan: Plan) -> Tensor:
    """Positions in ``plan.classes``, ``(B,)`` int64, of class names or of such positions.

    Raises: DataError for a name that is no class, or a position outside them.
    """
    values = np.asarray(y)
    if values.dtype.kind in "iu":
        wrong = values[(values < 0) | (values >= len(plan.classes))]
        if wrong.size:
            last = len(plan.classes) - 1
            raise _unknown(str(wrong[0]), plan, f"positions run from 0 to {last}")
        return torch.from_numpy(values.astype(np.int64))
    place = {name: i for i, name in enumerate(plan.classes)}
    names, inverse = np.unique(values.astype(str), return_inverse=True)
    for name in names:
        if str(name) not in place:
            raise _unknown(repr(str(name)), plan, nearest(str(name), place))
    found = np.array([place[str(name)] for name in names], dtype=np.int64)
    return torch.from_numpy(found[inverse.reshape(-1)])


def head(plan: Plan, channels: int, target: Tensor | None = None) -> nn.Module:
    """Pool over the grid, then fully connected layers down to one number per class.

    The bias starts from the base rates in ``target`` (N,), weighted as the loss weighs them.
    """
    prior = None
    if target is not None:
        counts = torch.bincount(target, minlength=len(plan.classes)).double() + 1e-3
        if plan.fit.weights:
            counts = counts * torch.tensor(plan.fit.weights)
        prior = (counts / counts.sum()).float()
    return planned_head(plan.net, channels, len(plan.classes), prior)


def loss(raw: Tensor, target: Tensor, mask: Tensor | None, plan: Plan) -> Tensor:
    """Mean cross-entropy in nats, each class with its weight from ``plan.fit.weights``.

    ``plan.fit.label_smoothing`` is the share of belief spread over all classes.

    Shapes: ``(B, K), (B,) -> ()``. The mask has done its work in the pooling.
    Source: Szegedy et al. 2016, arXiv:1512.00567, section 7.
    """
    weights = plan.fit.weights
    weight = torch.tensor(weights, device=raw.device) if weights else None
    smoothing = plan.fit.label_smoothing
    return F.cross_entropy(raw.float(), target, weight=weight, label_smoothing=smoothing)


def finish(raw: Tensor, plan: Plan, calibration: Calibration) -> Tensor:
    """Probabilities ``(B, K)``; the temperature divides the raw answers."""
    raw = raw if raw.dtype == torch.float64 else raw.float()
    temperature = float(calibration.get("temperature", 1.0))
    return (raw / temperature).softmax(-1)


def joined(raws: Tensor, plan: Plan, calibration: Calibration) -> Tensor:
    """Raw answers that say the mean of the probabilities, ``(M, B, K) -> (B, K)``."""
    temperature = float(calibration.get("temperature", 1.0))
    return temperature * log_mean((raws / temperature).log_softmax(-1))


def decode(done: Tensor, plan: Plan) -> list[str]:
    """The most probable class of each sample, by name."""
    return [plan.classes[i] for i in done.argmax(-1).tolist()]


def ideal(target: Tensor, plan: Plan) -> Tensor:
    """Nearly all belief on the true class."""
    return 12.0 * F.one_hot(target, len(plan.classes)).float()


def answers(
    done: NDArray[np.float64], plan: Plan, calibration: Calibration
) -> list[dict[str, Any]]:
    """``{"label", "probability", "probabilities"}`` of each sample; see _classify_sets.py for
    what may be asked for besides."""
    best = done.argmax(1)
    found: list[dict[str, Any]] = [
        {
            "label": plan.classes[top],
            "probability": round(float(row[top]), 6),
            "probabilities": {
                name: round(float(p), 6) for name, p in zip(plan.classes, row, strict=True)
            },
        }
        for top, row in zip(best.tolist(), done, strict=True)
    ]
    return sets.answered(found, done, plan.classes, calibration)


def columns(plan: Plan) -> tuple[str, ...]:
    """label, probability, error, then one per class as "p(class)"."""
    return ("label", "probability", "error", *(f"p({name})" for name in plan.classes))


def flat(answer: Mapping[str, Any]) -> dict[str, Any]:
    """The answer's cells by column."""
    each = answer.get("probabilities", {})
    cells = {**answer, **{f"p({name})": p for name, p in each.items()}}
    return {**cells, "set": "; ".join(answer.get("set", ()))}


def line(answer: Mapping[str, Any]) -> str:
    """Label and probability, and what was asked for besides."""
    return f"{answer['label']}  {answer['probability']:.4f}{sets.told(answer)}"


def shades(rank: int) -> list[Sample]:
    """Six dark and six bright noise grids; brightness alone tells them apart."""
    noise = np.random.default_rng(0)
    grid = Grid(tuple(Axis(name) for name in "zyx"[-rank:]), (8,) * rank)
    return [
        Sample(f"{y}{i}", noise.normal(shift, 1, (1, *grid.size)).astype(np.float32), grid, y)
        for shift, y in [(-1, "dark"), (1, "bright")]
        for i in range(6)
    ]


def _unknown(value: str, plan: Plan, help: str) -> DataError:
    return DataError(
        f"{value} is not one of the {len(plan.classes)} classes",
        where="the labels",
        mend=help or f"classes are: {', '.join(plan.classes[:20])}",
    )


TASK = Task(
    target="label",
    chooses=True,
    fits=lambda card: card.target == "label" and not apart(card),
    check=check,
    planned=lambda plan, card: weighed(plan, *of_classes(card)),
    encode=encode,
    head=head,
    loss=loss,
    finish=finish,
    decode=decode,
    ideal=ideal,
    evidence=lambda raw, choice: raw[:, choice],
    example=shades,
    judging=Judging(
        main="accuracy",
        best="accuracy",
        figures=FIGURES,
        quick=quick,
        luck=of_share,
        calibrate=calibrate,
        judge=judge,
        baselines=baselines,
        each=lambda raw, target, plan: raw.argmax(1) == target,
    ),
    telling=Telling(
        answers=answers,
        columns=columns,
        flat=flat,
        line=line,
        headline=headline,
        dots="named rightly",
        sections=sections,
        terms=TERMS,
        asked=sets.asked,
    ),
    joined=joined,
)
