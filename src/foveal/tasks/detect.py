"""Detect: where things are and of which class, on a grid of any rank."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..card import Card
from ..errors import DataError, PlanError
from ..grid import Axis, Grid, Sample
from ..layers.boxes import reach_of
from ..networks.assign import box_loss
from ..plan import Plan
from . import Calibration, Judging, Own, Task, Telling
from ._detect_boxes import cells, chosen, finish, padded, parted
from ._detect_judge import FIGURES, baselines, calibrate, judge, odd, quick
from ._detect_own import answer, drawn, files, picture, tally, told, whole
from ._detect_page import TERMS, headline, sections
from ._detect_plan import box_head, planned, sized
from ._luck import of_share


def check(card: Card) -> None:
    """Raises: PlanError when there is no box of any class in the training part."""
    if not sum(card.counts.get("train", ())):
        raise PlanError(
            "there is no box to learn from",
            where=card.path,
            mend="give annotations for the training part; `foveal look` tells what was left out",
        )


def encode(y: Any, plan: Plan) -> Tensor:
    """``(B, M, 1 + 2 R)`` float32: class and corners, NaN behind the last box of a sample.

    ``y`` is that already, or a list of ``(n, 1 + 2 R)``. Raises: DataError for another width or an
    unknown class.
    """
    width = 1 + 2 * plan.rank
    if not isinstance(y, Tensor):
        y = torch.from_numpy(y if isinstance(y, np.ndarray) else padded(y, width))
    found: Tensor = y.float()
    if found.shape[-1] != width:
        raise DataError(
            f"boxes of {found.shape[-1]} numbers, but a class and two corners are {width}",
            where="the targets",
            mend="give class, low corner, high corner, in the order of the axes",
        )
    kinds = found[..., 0][~found[..., 0].isnan()]
    if len(kinds) and not 0 <= int(kinds.min()) <= int(kinds.max()) < len(plan.classes):
        raise DataError(
            f"class {int(kinds.max())} where there are {len(plan.classes)}",
            where="the targets",
            mend=f"give numbers below {len(plan.classes)}",
        )
    return found


def head(plan: Plan, channels: int, target: Tensor | None = None) -> nn.Module:
    """A pyramid over the planned levels with two towers each; first boxes of the usual size."""
    side: list[float] = []
    if target is not None:
        low, high = target[..., 1:].reshape(-1, 2 * plan.rank).chunk(2, -1)
        side = (high - low).nanmedian(0).values.nan_to_num(1.0).tolist()
    return box_head(plan, side)


def loss(raw: Tensor, target: Tensor, mask: Tensor | None, plan: Plan) -> Tensor:
    """Classes and places of all cells against the boxes that they are to answer for."""
    logits, boxes = parted(raw, plan)
    return box_loss(logits, boxes, target, cells(plan, raw.device))


def decode(done: Tensor, plan: Plan) -> list[NDArray[np.float64]]:
    """Class and corners of the boxes of each sample that are more likely there than not."""
    found = chosen(done, len(plan.classes)).numpy()
    return [row[row[:, 0] > 0.5][:, 1:].astype(np.float64) for row in found]


def ideal(target: Tensor, plan: Plan) -> Tensor:
    """Raw answers that say every box once, at the free cell nearest to its middle."""
    where, count = cells(plan, target.device), len(plan.classes)
    fine = (where.strides == where.strides[0]).all(-1)  # the first level alone
    raw = torch.full((len(target), len(where.points), count + 2 * plan.rank), 0.0)
    raw[..., :count] = -20.0
    for out, boxes in zip(raw, target, strict=True):
        free = fine.clone()
        for label, *box in boxes[~boxes[:, 0].isnan()].tolist():
            corner = torch.tensor(box)
            reach = reach_of(where.points, corner)
            off = (reach[:, : plan.rank] - reach[:, plan.rank :]).square().sum(-1)
            off[~free | (reach.min(-1).values <= 0)] = torch.inf
            at = int(off.argmin())
            free[at] = False
            out[at, int(label)] = 20.0
            out[at, count:] = (reach[at] / where.strides[at].repeat(2)).clamp_min(1e-3).log()
    return raw


def brief(raw: Tensor, target: Tensor, plan: Plan) -> tuple[Tensor, Tensor]:
    """The boxes that are meant, of each sample; the targets as they are."""
    return chosen(finish(raw.float(), plan, {}), len(plan.classes)), target


def answers(
    done: NDArray[np.float64], plan: Plan, calibration: Calibration
) -> list[dict[str, Any]]:
    """``{"counts", "boxes": [{"label", "score", "low", "high"}, ...]}`` of each, surest first.

    Corners are in cells of the sample, in the order of its axes. Of each class, boxes from the
    score on that balanced best on the validation part.
    """
    found = chosen(torch.from_numpy(done), len(plan.classes)).numpy().astype(np.float64)
    return [told(rows[np.isfinite(rows[:, 0])], plan, calibration) for rows in found]


def columns(plan: Plan) -> tuple[str, ...]:
    """How many there are of each class, then all boxes; then error."""
    return (*(f"count({name})" for name in plan.classes), "boxes", "error")


def flat(answer: Mapping[str, Any]) -> dict[str, Any]:
    """The answer's cells by column."""
    cells_ = {**answer, **{f"count({k})": n for k, n in answer["counts"].items()}}
    cells_["boxes"] = "; ".join(
        f"{b['label']} {b['score']:.3g} {' '.join(f'{v:g}' for v in (*b['low'], *b['high']))}"
        for b in answer["boxes"]
    )
    return cells_


def line(answer: Mapping[str, Any]) -> str:
    """ "3 RBC, 1 WBC" of a sample."""
    counts = answer["counts"]
    return ", ".join(f"{n} {name}" for name, n in counts.items() if n) or "nothing"


def blocks(rank: int) -> list[Sample]:
    """Twelve dim grids with one or two bright blocks, of a darker and a brighter class."""
    noise = np.random.default_rng(0)
    size = (16,) * rank
    grid = Grid(tuple(Axis(name) for name in "zyx"[-rank:]), size)
    samples = []
    for i in range(12):
        x = noise.normal(0, 0.05, (1, *size)).astype(np.float32)
        boxes = []
        for label in range(1 + i % 2):
            low = noise.integers(0, 3, rank) + 8 * label
            high = low + noise.integers(5, 7, rank)
            inside = [slice(a, b) for a, b in zip(low.tolist(), high.tolist(), strict=True)]
            part = x[0]
            part[tuple(inside)] += 1.0 + label
            boxes.append([label, *low, *high])
        samples.append(Sample(f"block{i}", x, grid, np.array(boxes, np.float32)))
    return samples


def evidence(raw: Tensor, choice: Any) -> Tensor:
    """The highest logit of a class anywhere ``(B,)``."""
    return raw[..., int(choice)].amax(-1)


TASK = Task(
    target="boxes",
    fits=lambda card: card.target == "boxes",
    check=check,
    planned=planned,
    encode=encode,
    head=head,
    loss=loss,
    finish=finish,
    decode=decode,
    ideal=ideal,
    evidence=evidence,
    example=blocks,
    judging=Judging(
        main="ap50",
        best="ap50",
        figures=FIGURES,
        quick=quick,
        luck=of_share,
        calibrate=calibrate,
        judge=judge,
        baselines=baselines,
        odd=odd,
        rows="classes",
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
    ),
    brief=brief,
    sized=sized,
    own=Own(answer, tally, files, drawn, picture, whole),
    alone="boxes of several networks are lists of unlike length, which have no mean",
)
