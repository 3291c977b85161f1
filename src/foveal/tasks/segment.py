"""Segment: a class for every cell, on a grid of any rank."""

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
from ..networks.ensemble import log_mean
from ..plan import Plan
from ..target import VOID
from . import Calibration, Judging, Own, Task, Telling
from ._luck import of_share
from ._segment_judge import FIGURES, baselines, calibrate, judge, odd, quick
from ._segment_own import answer, drawn, files, tally
from ._segment_page import TERMS, headline, sections
from ._segment_plan import decoder, planned, sized
from ._windows import count

SMOOTH = 1.0  # cells added to both sides of Dice, so that an absent class is no division by zero


def check(card: Card) -> None:
    """Raises: PlanError when the training part has fewer than two classes."""
    counts = card.counts.get("train", ())
    there = [name for name, n in zip(card.classes, counts, strict=False) if n]
    if len(there) < 2:
        raise PlanError(
            f"the masks of the training part hold {len(there)} class: {', '.join(there) or 'none'}",
            where=card.path,
            mend="give masks in which at least two classes occur",
        )


def encode(y: Any, plan: Plan) -> Tensor:
    """Masks ``(B, *S)`` uint8 of positions in ``plan.classes`` and `VOID`, checked.

    Raises: DataError for a position that is no class.
    """
    masks = y if isinstance(y, Tensor) else torch.from_numpy(np.asarray(y))
    last = len(plan.classes) - 1
    wrong = masks[(masks > last) & (masks != VOID)] if masks.numel() else masks
    if wrong.numel() or masks.is_floating_point():
        value = wrong.flatten()[0].item() if wrong.numel() else str(masks.dtype)
        raise DataError(
            f"{value} in a mask is no class",
            where="the masks",
            mend=f"positions run from 0 to {last}; {VOID} stands where no class is known",
        )
    return masks.to(torch.uint8)


def head(plan: Plan, channels: int, target: Tensor | None = None) -> nn.Module:
    """A decoder over all levels. Its bias starts from the shares of cells in ``target``."""
    prior = None
    if target is not None and target.numel():
        counts = torch.bincount(target.flatten().long(), minlength=VOID + 1)[: len(plan.classes)]
        prior = (counts.double() + 1) / (counts.sum() + len(plan.classes))
    return decoder(plan, None if prior is None else prior.float())


def loss(raw: Tensor, target: Tensor, mask: Tensor | None, plan: Plan) -> Tensor:
    """Mean cross-entropy in nats plus one minus the mean soft Dice of the batch, without void.

    Dice is that of all cells of the batch together, over the classes that occur in it.

    Shapes: ``(B, K, *S), (B, *S) -> ()``.
    Source: Drozdzal et al., arXiv:1608.04117 (soft Dice); their sum after Isensee et al. 2021.
    """
    classes = raw.shape[1]
    log_p = raw.float().log_softmax(1)
    known = target < classes
    true = torch.where(known, target, 0).long()
    weight = known.float()
    if plan.fit.weights:
        weight = weight * torch.tensor(plan.fit.weights, device=raw.device)[true]
    own = log_p.gather(1, true[:, None])[:, 0]
    entropy = -(own * weight).sum() / weight.sum().clamp_min(1e-6)
    said = (log_p.exp() * known[:, None]).transpose(0, 1).flatten(1).sum(1)
    hits = torch.zeros_like(said).index_add_(0, true.flatten(), (own.exp() * known).flatten())
    there = torch.bincount(true[known], minlength=classes).float()
    dice = (2 * hits + SMOOTH) / (said + there + SMOOTH)
    met = (there > 0).float()
    return entropy + 1 - (dice * met).sum() / met.sum().clamp_min(1)


def finish(raw: Tensor, plan: Plan, calibration: Calibration) -> Tensor:
    """Probabilities ``(B, K, *S)``."""
    return (raw if raw.dtype == torch.float64 else raw.float()).softmax(1)


def joined(raws: Tensor, plan: Plan, calibration: Calibration) -> Tensor:
    """Raw answers that say the mean of the probabilities, ``(M, B, K, *S) -> (B, K, *S)``."""
    return log_mean(raws.log_softmax(2))


def decode(done: Tensor, plan: Plan) -> list[Any]:
    """The most probable class of each cell, as positions ``(*S)``."""
    return list(done.argmax(1).numpy().astype(np.uint8))


def ideal(target: Tensor, plan: Plan) -> Tensor:
    """Nearly all belief on the true class; void cells believe in the first."""
    true = torch.where(target < len(plan.classes), target, 0).long()
    one = torch.nn.functional.one_hot(true, len(plan.classes)).float()
    return 12.0 * one.movedim(-1, 1)


def brief(raw: Tensor, target: Tensor, plan: Plan) -> tuple[Tensor, Tensor]:
    """Cells of class i that were called j, ``(B, K, K)``, twice: judging needs no more."""
    classes = raw.shape[1]
    said = raw.argmax(1)
    known = target < classes
    row = torch.arange(len(raw), device=raw.device).view(-1, *[1] * (target.ndim - 1))
    place = (row * classes + torch.where(known, target, 0).long()) * classes + said
    counts = torch.bincount(place[known], minlength=len(raw) * classes * classes)
    counts = counts.view(len(raw), classes, classes).float()
    return counts, counts


def evidence(raw: Tensor, choice: Any) -> Tensor:
    """How much speaks for a class, over all cells, ``(B,)``."""
    return raw[:, choice].flatten(1).mean(1)


def answers(
    done: NDArray[np.float64], plan: Plan, calibration: Calibration
) -> list[dict[str, Any]]:
    """``{"shares"}``: of each class, the share of cells, for each sample."""
    found = []
    for each in done:
        counts = np.bincount(each.argmax(0).reshape(-1), minlength=len(plan.classes))
        found.append({"shares": shares(counts, plan)})
    return found


def shares(counts: NDArray[Any], plan: Plan) -> dict[str, float]:
    """Share of all cells by class."""
    total = max(int(counts.sum()), 1)
    return {n: round(int(c) / total, 6) for n, c in zip(plan.classes, counts, strict=True)}


def columns(plan: Plan) -> tuple[str, ...]:
    """file, error, then the share of each class as "share(class)"."""
    return ("file", "error", *(f"share({name})" for name in plan.classes))


def flat(answer: Mapping[str, Any]) -> dict[str, Any]:
    """The answer's cells by column."""
    each = answer.get("shares", {})
    return {"file": "", **answer, **{f"share({name})": share for name, share in each.items()}}


def line(answer: Mapping[str, Any]) -> str:
    """The largest classes with their shares, and the file."""
    top = sorted(answer["shares"].items(), key=lambda pair: -pair[1])[:4]
    said = "  ".join(f"{name} {100 * share:.1f} %" for name, share in top if share)
    return f"{said}  {answer.get('file', '')}".rstrip()


def spots(rank: int) -> list[Sample]:
    """A dozen grids with a bright block on dark noise; the mask tells the block."""
    noise = np.random.default_rng(0)
    grid = Grid(tuple(Axis(name) for name in "zyx"[-rank:]), (8,) * rank)
    found = []
    for i in range(12):
        mask = np.zeros(grid.size, np.uint8)
        mask[tuple(slice(a, a + 4) for a in noise.integers(0, 5, rank))] = 1
        x = (noise.normal(0, 0.3, grid.size) + 2.0 * mask - 1.0).astype(np.float32)
        found.append(Sample(f"spot{i}", x[None], grid, mask))
    return found


TASK = Task(
    target="mask",
    fits=lambda card: card.target == "mask",
    check=check,
    planned=planned,
    encode=encode,
    head=head,
    loss=loss,
    finish=finish,
    decode=decode,
    ideal=ideal,
    evidence=evidence,
    example=spots,
    judging=Judging(
        main="iou",
        best="iou",
        figures=FIGURES,
        quick=quick,
        luck=of_share,
        calibrate=calibrate,
        judge=judge,
        baselines=baselines,
        odd=odd,
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
    own=Own(answer=answer, tally=tally, files=files, drawn=drawn, asks=count),
    joined=joined,
)
