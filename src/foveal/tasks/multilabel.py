"""Multi-label: any of the classes per sample, or none, on a grid of any rank."""

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
from ..find import nearest
from ..grid import Axis, Grid, Sample
from ..networks.ensemble import log_mean
from ..networks.head import planned_head
from ..plan import Plan, replace_part
from . import Calibration, Judging, Task, Telling
from ._imbalance import of_labels, weighed
from ._luck import of_share
from ._multilabel_judge import FIGURES, baselines, calibrate, judge, quick
from ._multilabel_page import TERMS, headline, sections

THRESHOLD = 0.5  # where the validation part was too small to choose one


def check(card: Card) -> None:
    """Raises: PlanError when no class is on some samples and missing on others."""
    total, counts = card.parts.get("train", 0), card.counts.get("train", ())
    if not any(0 < count < total for count in counts):
        raise PlanError(
            f"none of {len(card.classes)} classes is on some training samples and not on others",
            where=card.path,
            mend="mark by 1 which samples have a class, and by 0 which have not",
        )


def planned(plan: Plan, card: Card) -> Plan:
    """Rare classes weigh more; no smoothing, which would hide how sure an answer is."""
    plan = replace_part(weighed(plan, *of_labels(card)), "fit", label_smoothing=0.0)
    told = "each class is a yes or no of its own, set right afterwards by its own slope and shift"
    return replace(plan, why={**plan.why, "fit.label_smoothing": told})


def encode(y: Any, plan: Plan) -> Tensor:
    """``(B, K)`` float32 of 0 and 1, from such rows or from the names of each sample's classes.

    Raises: DataError for a name that is no class, or a value other than 0 and 1.
    """
    count = len(plan.classes)
    if isinstance(y, np.ndarray) and y.dtype.kind in "biuf":
        values = y.reshape(-1, count) if not y.size else y
        odd = values[~np.isin(values, (0, 1))]
        if values.shape[1:] != (count,) or odd.size:
            what = f"{odd.flat[0]} is neither 0 nor 1" if odd.size else f"shape {values.shape}"
            raise DataError(
                f"{what}, but there are {count} classes",
                where="the targets",
                mend=f"give one row of {count} zeros and ones per sample",
            )
        return torch.from_numpy(values.astype(np.float32))
    place = {name: i for i, name in enumerate(plan.classes)}
    target = torch.zeros(len(y), count)
    for row, names in enumerate(y):
        for name in names:
            if name not in place:
                raise DataError(
                    f"{name!r} is not one of the {count} classes",
                    where="the labels",
                    mend=nearest(str(name), place)
                    or f"classes are: {', '.join(plan.classes[:20])}",
                )
            target[row, place[name]] = 1
    return target


def head(plan: Plan, channels: int, target: Tensor | None = None) -> nn.Module:
    """Pool over the grid, then fully connected layers down to one number per class.

    The bias starts from the odds of each class in ``target`` (N, K), weighed as in the loss.
    """
    odds = None
    if target is not None:
        positive = target.double().sum(0) + 0.5
        odds = positive / (len(target) + 1 - positive)
        if plan.fit.weights:
            odds = odds * torch.tensor(plan.fit.weights)
        odds = odds.float()
    return planned_head(plan.net, channels, len(plan.classes), odds)


def loss(raw: Tensor, target: Tensor, mask: Tensor | None, plan: Plan) -> Tensor:
    """Mean binary cross-entropy in nats; positives weigh ``plan.fit.weights``, by class.

    Shapes: ``(B, K), (B, K) -> ()``. The mask has done its work in the pooling.
    """
    weights = plan.fit.weights
    weight = torch.tensor(weights, device=raw.device) if weights else None
    return F.binary_cross_entropy_with_logits(raw.float(), target, pos_weight=weight)


def finish(raw: Tensor, plan: Plan, calibration: Calibration) -> Tensor:
    """Probabilities ``(B, K)``, each class by itself."""
    raw = raw if raw.dtype == torch.float64 else raw.float()
    if "slope" in calibration:
        slope, shift = (torch.tensor(calibration[k]).to(raw) for k in ("slope", "shift"))
        raw = raw * slope + shift
    return raw.sigmoid()


def joined(raws: Tensor, plan: Plan, calibration: Calibration) -> Tensor:
    """Raw answers that say the mean of the probabilities, ``(M, B, K) -> (B, K)``."""
    known = "slope" in calibration
    slope, shift = (
        torch.tensor(calibration[key] if known else plain).to(raws)
        for key, plain in (("slope", 1.0), ("shift", 0.0))
    )
    odds = raws * slope + shift
    odds = log_mean(F.logsigmoid(odds)) - log_mean(F.logsigmoid(-odds))
    return (odds - shift) / slope


def decode(done: Tensor, plan: Plan) -> list[tuple[str, ...]]:
    """The classes that are more probable than not."""
    return [
        tuple(n for n, yes in zip(plan.classes, row, strict=True) if yes)
        for row in (done > THRESHOLD).tolist()
    ]


def answers(
    done: NDArray[np.float64], plan: Plan, calibration: Calibration
) -> list[dict[str, Any]]:
    """``{"labels", "probabilities"}`` of each sample; labels are those above their thresholds."""
    floors = calibration.get("threshold") or [THRESHOLD] * len(plan.classes)
    return [
        {
            "labels": [n for n, p, low in zip(plan.classes, row, floors, strict=True) if p > low],
            "probabilities": {n: round(p, 6) for n, p in zip(plan.classes, row, strict=True)},
        }
        for row in done.tolist()
    ]


def columns(plan: Plan) -> tuple[str, ...]:
    """labels (apart by ";"), error, then one per class as "p(class)"."""
    return ("labels", "error", *(f"p({name})" for name in plan.classes))


def flat(answer: Mapping[str, Any]) -> dict[str, Any]:
    """The answer's cells by column."""
    each = {f"p({name})": p for name, p in answer["probabilities"].items()}
    return {"labels": ";".join(answer["labels"]), **each}


def line(answer: Mapping[str, Any]) -> str:
    """Every class that was found, with its probability."""
    each = answer["probabilities"]
    return "  ".join(f"{name} {each[name]:.4f}" for name in answer["labels"]) or "none"


def shades(rank: int) -> list[Sample]:
    """Twelve noise grids: dark, bright, or so bright that they are both bright and glaring."""
    noise = np.random.default_rng(0)
    grid = Grid(tuple(Axis(name) for name in "zyx"[-rank:]), (8,) * rank)
    kinds = ((-1.0, ("dark",)), (1.0, ("bright",)), (3.0, ("bright", "glaring")))
    return [
        Sample(f"shade{i}", noise.normal(mean, 0.3, (1, *grid.size)).astype(np.float32), grid, y)
        for i, (mean, y) in enumerate(kinds * 4)
    ]


TASK = Task(
    target="labels",
    fits=lambda card: card.target == "labels",
    check=check,
    planned=planned,
    encode=encode,
    head=head,
    loss=loss,
    finish=finish,
    decode=decode,
    ideal=lambda target, plan: 24.0 * target - 12.0,
    evidence=lambda raw, choice: raw[:, choice],
    example=shades,
    judging=Judging(
        main="map_macro",
        best="map_macro",
        figures=FIGURES,
        quick=quick,
        luck=of_share,
        calibrate=calibrate,
        judge=judge,
        baselines=baselines,
        rows="per_label",
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
    joined=joined,
)
