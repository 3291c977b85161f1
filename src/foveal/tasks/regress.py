"""Regress: one or several numbers per sample, on a grid of any rank."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from ..card import Card
from ..errors import DataError, PlanError
from ..grid import Axis, Grid, Sample
from ..networks.head import planned_head
from ..plan import Plan, replace_part
from . import Calibration, Judging, Task, Telling
from ._luck import of_explained
from ._numbers import centre, spread
from ._numbers import flat as flat_numbers
from ._regress_judge import FIGURES, asked, baselines, calibrate, error_of, judge, quick
from ._regress_page import TERMS, headline, sections


def check(card: Card) -> None:
    """Raises: PlanError when there is no number, or none that varies."""
    if flat_numbers(card).all():
        names = ", ".join(n.name for n in card.numbers) or "none"
        raise PlanError(
            f"there is no number that varies ({names})",
            where=card.path,
            mend="give a column of numbers that differ from item to item: --target COLUMN",
        )


def planned(plan: Plan, card: Card) -> Plan:
    """Places told apart where every sample fills the grid; hardly any shift; no smoothing."""
    why = {
        "fit.label_smoothing": "numbers are no classes: nothing to smooth",
        "fit.weights": "every number is standardised by its spread, so all weigh the same",
        "augment.translate": "a number may change with where a thing lies: shifted by a cell only",
    }
    shift = tuple(min(cells, 1) for cells in plan.augment.translate)
    plan = replace_part(plan, "augment", translate=shift)
    plan = replace_part(plan, "fit", label_smoothing=0.0)
    if plan.data.fit != "ragged":
        plan = replace_part(plan, "net", pool="grid")
        why["net.pool"] = "a number may depend on where a thing lies: four parts along each axis"
    return replace(plan, why={**plan.why, **why})


def encode(y: Any, plan: Plan) -> Tensor:
    """Standardised numbers ``(B, K)`` float32: minus the mean, divided by the spread.

    ``y`` is ``(B, K)``, or ``(B,)`` of a single number. Raises: DataError for another shape or for
    a value that is no number.
    """
    count = len(plan.numbers)
    values = np.asarray(y, np.float64)
    values = values.reshape(len(values), -1) if values.size else values.reshape(-1, count)
    if values.shape[1] != count:
        raise DataError(
            f"{values.shape[1]} numbers per sample, but the plan has {count}",
            where="the targets",
            mend=f"give, in this order: {', '.join(n.name for n in plan.numbers)}",
        )
    if not np.isfinite(values).all():
        raise DataError(
            "a target is missing or infinite", where="the targets", mend="leave such items out"
        )
    return torch.from_numpy(((values - centre(plan)) / spread(plan)).astype(np.float32))


def head(plan: Plan, channels: int, target: Tensor | None = None) -> nn.Module:
    """Pool over the grid, then fully connected layers down to one output per number."""
    return planned_head(plan.net, channels, len(plan.numbers))


def loss(raw: Tensor, target: Tensor, mask: Tensor | None, plan: Plan) -> Tensor:
    """Mean Huber loss of standardised numbers: squares up to one spread, straight beyond.

    Shapes: ``(B, K), (B, K) -> ()``. The mask has done its work in the pooling.
    Source: Huber 1964, doi:10.1214/aoms/1177703732.
    """
    return F.huber_loss(raw.float(), target)


def finish(raw: Tensor, plan: Plan, calibration: Calibration) -> Tensor:
    """Numbers in their own units, ``(B, K)``."""
    raw = raw if raw.dtype == torch.float64 else raw.float()
    wide, middle = (torch.from_numpy(v).to(raw) for v in (spread(plan), centre(plan)))
    return raw * wide + middle


def decode(done: Tensor, plan: Plan) -> list[tuple[float, ...]]:
    """The numbers of each sample."""
    return [tuple(row) for row in done.tolist()]


def answers(
    done: NDArray[np.float64], plan: Plan, calibration: Calibration
) -> list[dict[str, Any]]:
    """``{"numbers", "low", "high"}`` of each sample, each by name.

    ``low`` and ``high`` hold the truth in 90 of 100 cases, or in as many as were asked for; they
    are absent where the validation part was too small to tell how wide that is.
    """
    names = [n.name for n in plan.numbers]
    widths = calibration.get("half_width") or [None] * len(names)
    found = []
    for row in done.tolist():
        answer: dict[str, Any] = {"numbers": _named(names, row)}
        if None not in widths:
            answer["low"] = _named(names, [v - w for v, w in zip(row, widths, strict=True)])
            answer["high"] = _named(names, [v + w for v, w in zip(row, widths, strict=True)])
        found.append(answer)
    return found


def columns(plan: Plan) -> tuple[str, ...]:
    """Of each number its value, low and high; then error."""
    return (
        *(c for n in plan.numbers for c in (n.name, f"low({n.name})", f"high({n.name})")),
        "error",
    )


def flat(answer: Mapping[str, Any]) -> dict[str, Any]:
    """The answer's cells by column."""
    cells = dict(answer["numbers"])
    for end in ("low", "high"):
        each = answer.get(end, {})
        cells |= {f"{end}({name})": each.get(name, "") for name in answer["numbers"]}
    return cells


def line(answer: Mapping[str, Any]) -> str:
    """ "steering 0.12 (-0.05 to 0.29)" of each number."""
    said = []
    for name, value in answer["numbers"].items():
        ends = ""
        if "low" in answer:
            ends = f" ({answer['low'][name]:.4g} to {answer['high'][name]:.4g})"
        said.append(f"{name} {value:.4g}{ends}")
    return "  ".join(said)


def ramps(rank: int) -> list[Sample]:
    """Twelve noise grids of rising brightness, which is the number (and half of it another)."""
    noise = np.random.default_rng(0)
    grid = Grid(tuple(Axis(name) for name in "zyx"[-rank:]), (8,) * rank)
    return [
        Sample(
            f"ramp{i}",
            noise.normal((i - 5.5) / 4, 0.1, (1, *grid.size)).astype(np.float32),
            grid,
            (10.0 * i, 100.0 - 5 * i),
        )
        for i in range(12)
    ]


def _named(names: list[str], values: list[float]) -> dict[str, float]:
    """By name, with as many digits as float32 has."""
    return {name: float(f"{value:.7g}") for name, value in zip(names, values, strict=True)}


TASK = Task(
    target="numbers",
    fits=lambda card: card.target == "numbers",
    check=check,
    planned=planned,
    encode=encode,
    head=head,
    loss=loss,
    finish=finish,
    decode=decode,
    ideal=lambda target, plan: target.clone(),
    evidence=lambda raw, choice: raw[:, choice],
    example=ramps,
    judging=Judging(
        main="mae",
        best="r2",
        figures=FIGURES,
        quick=quick,
        luck=of_explained,
        calibrate=calibrate,
        judge=judge,
        baselines=baselines,
        each=error_of,
        rows="numbers",
    ),
    telling=Telling(
        answers=answers,
        columns=columns,
        flat=flat,
        line=line,
        headline=headline,
        dots="",
        sections=sections,
        terms=TERMS,
        asked=asked,
    ),
    joined=lambda raws, plan, calibration: raws.mean(0),
)
