"""Embed: a unit vector per sample, near for samples of one identity; on a grid of any rank."""

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
from ..plan import Plan
from . import Calibration, Judging, Task, Telling
from ._embed_head import EmbedHead
from ._embed_judge import FIGURES, baselines, calibrate, floor, judge, known_again, quick
from ._embed_page import TERMS, headline, sections
from ._embed_plan import planned
from ._embed_start import directions, start
from ._luck import of_share
from ._parts import apart

SCALE = 16.0  # of the cosines: at 64, which large sets use, few samples are learned by heart
MARGIN = 0.2


def check(card: Card) -> None:
    """Raises: PlanError when no two identities, or no two samples of one, can be compared."""
    counts = [n for n in card.counts.get("train", ()) if n]
    if len(counts) < 2 or max(counts) < 2:
        raise PlanError(
            f"{len(counts)} identities in the training part, with {max(counts, default=0)} samples "
            "at most",
            where=card.path,
            mend="give at least two identities (one folder each), some with two samples or more",
        )


def encode(y: Any, plan: Plan) -> Tensor:
    """One number per identity, ``(B,)`` int64: of names their positions in ``plan.classes``.

    Numbers stay as they are: identities that the plan does not know are counted by their own data.
    Raises: DataError for an unknown name or a number below 0.
    """
    values = np.asarray(y)
    if values.dtype.kind in "iu":
        if values.size and values.min() < 0:
            raise DataError(
                f"{values.min()} is no identity",
                where="the labels",
                mend="number identities from 0, or give their names",
            )
        return torch.from_numpy(values.astype(np.int64))
    place = {name: i for i, name in enumerate(plan.classes)}
    for name in map(str, values.tolist()):
        if name not in place:
            raise DataError(
                f"{name!r} is not one of the {len(place)} identities",
                where="the labels",
                mend=nearest(name, place) or f"identities are: {', '.join(plan.classes[:20])}",
            )
    return torch.tensor([place[str(name)] for name in values.tolist()], dtype=torch.int64)


def head(plan: Plan, channels: int, target: Tensor | None = None) -> nn.Module:
    """Pool, one fully connected layer, length one; cosines to the identities in training."""
    return EmbedHead(plan, channels, target)


def loss(raw: Tensor, target: Tensor, mask: Tensor | None, plan: Plan) -> Tensor:
    """Cross-entropy of scaled cosines, the true one less a margin, in nats.

    Shapes: ``(B, D + K)`` as the head gives it in training, ``(B,) -> ()``; of vectors alone,
        ``(B, D)``, the cosines are those to directions that were never learned.
    Source: Wang et al., arXiv:1801.09414 (CosFace), equation 4. We scale by 16 and not 64: our
        sets are small.
    """
    length = plan.net.vector
    cosines = raw[:, length:].float()
    if not cosines.shape[1]:
        cosines = raw.float() @ directions(len(plan.classes), length).T.to(raw.device)
    one = F.one_hot(target, cosines.shape[1])
    return F.cross_entropy(SCALE * (cosines - MARGIN * one), target)


def finish(raw: Tensor, plan: Plan, calibration: Calibration) -> Tensor:
    """Unit vectors ``(B, D)``."""
    raw = raw if raw.dtype == torch.float64 else raw.float()
    return F.normalize(raw[:, : plan.net.vector], dim=1)


def decode(done: Tensor, plan: Plan) -> list[str]:
    """The identity whose ideal direction is nearest; a gallery tells who somebody really is."""
    near = done.float() @ directions(len(plan.classes), plan.net.vector).T
    return [plan.classes[i] for i in near.argmax(-1).tolist()]


def ideal(target: Tensor, plan: Plan) -> Tensor:
    """The same vector for all samples of an identity, far from those of others."""
    return directions(len(plan.classes), plan.net.vector)[target]


def answers(
    done: NDArray[np.float64], plan: Plan, calibration: Calibration
) -> list[dict[str, Any]]:
    """``{"embedding": [...]}`` of each sample."""
    return [{"embedding": [round(float(v), 6) for v in row]} for row in done]


def columns(plan: Plan) -> tuple[str, ...]:
    """error, then the numbers of the vector, "e0" and on."""
    return ("error", *(f"e{i}" for i in range(plan.net.vector)))


def flat(answer: Mapping[str, Any]) -> dict[str, Any]:
    """The answer's cells by column."""
    return {**answer, **{f"e{i}": value for i, value in enumerate(answer["embedding"])}}


def line(answer: Mapping[str, Any]) -> str:
    """The first numbers."""
    first = " ".join(f"{v:.3f}" for v in answer["embedding"][:4])
    return f"[{first} ...] of {len(answer['embedding'])} numbers"


def angles(rank: int) -> list[Sample]:
    """Four identities of three samples: two channels tell them, a third does not."""
    noise = np.random.default_rng(0)
    grid = Grid(tuple(Axis(name) for name in "zyx"[-rank:]), (8,) * rank)
    wide = (3, *[1] * rank)
    samples = []
    for who in range(4):
        turn = np.pi * (who + 0.5) / 2
        for i in range(3):
            level = np.array([np.cos(turn), np.sin(turn), 0.5 * noise.normal()]).reshape(wide)
            x = level + noise.normal(0, 0.3, (3, *grid.size))
            samples.append(Sample(f"{who}{i}", x.astype(np.float32), grid, f"person {who}"))
    return samples


TASK = Task(
    target="label",
    fits=lambda card: card.target == "label" and apart(card),
    check=check,
    planned=planned,
    encode=encode,
    head=head,
    loss=loss,
    finish=finish,
    decode=decode,
    ideal=ideal,
    evidence=lambda raw, choice: raw[:, choice],
    example=angles,
    apart="whole identities lie on one side of the split",
    start=start,
    judging=Judging(
        main="eer",
        best="auc",
        figures=FIGURES,
        quick=quick,
        luck=of_share,  # pairs of few samples are no more independent than the samples,
        calibrate=calibrate,
        judge=judge,
        baselines=baselines,
        recalls=known_again,
        floor=floor,
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
    alone="vectors of networks trained apart lie in unlike spaces, so that they have no mean",
)
