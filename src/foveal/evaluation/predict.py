"""Raw answers of a network for a stream of batches, averaged over a few views of each sample."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..datasets.cache import batched
from ..datasets.moved import zoomed
from ..errors import PlanError
from ..grid import Batch, Sample
from ..layers.turning import turned
from ..networks.build import Network
from ..networks.ensemble import Ensemble
from ..plan import Plan
from ..tasks import Ask, Calibration, Task, briefly

HELD = {"cpu": 32 << 20, "cuda": 1 << 30}  # bytes of the first activation of one batch


@dataclass(frozen=True, slots=True)
class View:
    """One look at a sample: degrees to turn it by, in a plane of two grid axes, how many times as
    large to make it, axes to mirror, cells to shift along each, and its weight."""

    mirror: tuple[int, ...] = ()
    shift: tuple[int, ...] = ()
    weight: float = 1.0
    turn: float = 0.0
    plane: tuple[int, ...] = ()
    size: float = 1.0


PLAIN = (View(),)


def planned_views(plan: Plan) -> tuple[View, ...]:
    """The looks that the plan asks for; weights sum to 1.

    Mirrored views only along axes that training was allowed to mirror, turned ones only by angles
    that it turned by, smaller ones down to the smallest that it made: larger ones lose their edges.
    Shifts go along the diagonal, forth and back, and weigh as much together as the unmoved view.
    Source: shifts and weights after Jordan, "94% on CIFAR-10 in 3.29 Seconds", arXiv:2404.00498.
    """
    axes = (
        [i for i, allowed in enumerate(plan.augment.flip) if allowed] if plan.judge.mirror else []
    )
    mirrors = [m for r in range(len(axes) + 1) for m in itertools.combinations(axes, r)]
    shifts: list[tuple[tuple[int, ...], float]] = [((), 1.0)]
    if plan.judge.shift:
        there = (plan.judge.shift,) * plan.rank
        back = tuple(-s for s in there)
        shifts = [((), 0.5), (there, 0.25), (back, 0.25)]
    plane = plan.augment.plane
    whole = plan.data.fit != "ragged"
    flat = len(plane) == 2 and whole
    angles = _angles(plan.augment.turn if flat else 0.0, plan.judge.turns)
    sizes = _sizes(plan.augment.zoom if whole else 0.0, plan.judge.sizes)
    each = len(mirrors) * len(angles) * len(sizes)
    return tuple(
        View(m, s, w / each, a, plane if a else (), z)
        for z in sizes
        for a in angles
        for m in mirrors
        for s, w in shifts
    )


def check_views(plan: Plan, task: Task) -> None:
    """Raises: PlanError for moved or smaller views of answers that have places."""
    asked = {"shift": plan.judge.shift, "sizes": max(plan.judge.sizes, 1) - 1}
    for name, more in asked.items():
        if more and task.own is not None:
            raise PlanError(
                f"the task {plan.task!r} answers with places, which other views move",
                where=f"plan field judge.{name}",
                mend=f"--set judge.{name}={0 if name == 'shift' else 1}",
            )


def _angles(reach: float, count: int) -> list[float]:
    """``count`` angles, evenly over ``reach`` either way, from 0 on and round again.

    A mirrored sample is seen at the same ones, and so is one turned by a part of them: what a
    network keeps exactly, their mean keeps, too.
    """
    if not reach or count < 2:
        return [0.0]
    step = 2 * reach / count
    return [step * i if 2 * i <= count else step * (i - count) for i in range(count)]


def _sizes(reach: float, count: int) -> list[float]:
    """``count`` sizes from 1 down to the smallest that ``reach`` makes, each by the same factor."""
    if not reach or count < 2:
        return [1.0]
    return [(1 + reach) ** (-i / (count - 1)) for i in range(count)]


def look(x: Tensor, view: View) -> Tensor:
    """``x`` (B, C, *S) as ``view`` sees it, same shape; what moves in is mirrored at the edge,
    and the mean of each channel stands around what is made smaller."""
    if (view.size != 1 or view.turn) and not x.is_floating_point():
        x = x.float()
    if view.size != 1:
        scale = torch.full((len(x), x.ndim - 2), view.size, device=x.device)
        x = zoomed(x, scale, (1 - scale) * torch.tensor(x.shape[2:], device=x.device) / 2)
    if view.turn:
        one, other = view.plane
        x = turned(x, (one, other), view.turn, beyond="reflection")
    for axis, cells in enumerate(view.shift):
        if cells:
            size = x.shape[2 + axis]
            place = (torch.arange(size, device=x.device) + cells).abs()
            place = torch.where(place >= size, 2 * (size - 1) - place, place)
            x = x.index_select(2 + axis, place.clamp(0, size - 1))
    return x.flip([2 + axis for axis in view.mirror]) if view.mirror else x


def batch_size(plan: Plan) -> int:
    """Samples per batch, a power of two from 1 to 1024, for judging at full speed.

    So large that the overhead per call vanishes, so small that the largest activation stays near
    the processor's caches.
    """
    strided = [-(-s // t) for s, t in zip(plan.data.size, plan.net.stem_stride, strict=True)]
    each = 4 * max(prod(strided) * plan.net.stem_width, prod(plan.data.size) * plan.data.channels)
    room = HELD["cuda" if plan.fit.device.startswith("cuda") else "cpu"]
    return max(1, min(1024, 1 << (max(room // each, 1).bit_length() - 1)))


def logits(
    network: nn.Module,
    batches: Iterable[Batch],
    plan: Plan,
    *,
    views: Sequence[View] | None = None,
) -> NDArray[np.float32]:
    """Raw answers (N, K) in the order of ``batches``: the weighted mean over ``views``.

    ``views`` of None means those of the plan; `PLAIN` is one unmoved look. The network is left
    in the mode, training or not, in which it came.
    """
    found = [raw for raw, _ in _answered(network, batches, plan, views)]
    # On a GPU one copy at the end, so that no batch waits for the one before.
    answers = torch.cat(found) if found else torch.zeros(0, plan.outputs)
    return np.asarray(answers.cpu().numpy(), np.float32)


def briefs(
    network: nn.Module,
    batches: Iterable[Batch],
    task: Task,
    plan: Plan,
    *,
    views: Sequence[View] | None = None,
) -> tuple[NDArray[np.float32], NDArray[Any]]:
    """What is kept of raw answers and truth until they are judged (`tasks.briefly`).

    Batches carry their targets as stored. Memory holds one batch of raw answers at a time.
    """
    said, truth = [], []
    for raw, batch in _answered(network, batches, plan, views):
        assert batch.y is not None, "what is judged has targets"
        target = task.encode(batch.y, plan).to(raw.device)
        kept, known = briefly(task, raw, target, plan)
        said.append(kept.cpu().numpy())
        truth.append(known.cpu().numpy())
    if not said:
        return np.zeros(0, np.float32), np.zeros(0)
    return np.concatenate(said).astype(np.float32, copy=False), np.concatenate(truth)


def asker(network: nn.Module, plan: Plan) -> Ask:
    """Prepared samples ``(B, C, *S)`` -> raw answers, the mean over the planned views."""

    def ask(x: NDArray[Any]) -> NDArray[np.float32]:
        batch = Batch(batched(list(x)), None, torch.arange(len(x)))
        ((raw, _),) = _answered(network, [batch], plan, None)
        return np.asarray(raw.float().cpu().numpy())

    return ask


def on_own_grids(
    network: nn.Module, samples: Iterable[Sample], task: Task, plan: Plan, known: Calibration
) -> tuple[NDArray[np.float32], NDArray[Any]]:
    """What judging keeps of answers on the samples' own grids, and of their truth, row by row.

    Samples come with y as read. Memory holds one sample at a time.
    """
    assert task.own is not None, "asked only of tasks whose answers have places"
    ask, said, truth = asker(network, plan), [], []
    for sample in samples:
        kept, true = task.own.tally(task.own.answer(ask, sample, plan, known), sample.y, plan)
        said.append(kept)
        truth.append(true)
    if not said:
        return np.zeros(0, np.float32), np.zeros(0)
    return np.stack(said).astype(np.float32, copy=False), np.stack(truth)


def answering(plan: Plan) -> torch.autocast:
    """The precision in which a network of the plan answers.

    Half precision rounds a turned sample otherwise, often enough to change answers near a border:
    a network that turns along answers in float32. Shifted samples are rolled back before, and so
    are alike to the last bit.
    """
    enabled = plan.fit.precision == "bf16" and plan.net.symmetry == "none"
    return torch.autocast(torch.device(plan.fit.device).type, torch.bfloat16, enabled=enabled)


def _answered(
    network: nn.Module, batches: Iterable[Batch], plan: Plan, views: Sequence[View] | None
) -> Iterator[tuple[Tensor, Batch]]:
    """The raw answers of each batch, with the network in evaluation mode meanwhile."""
    views = planned_views(plan) if views is None else views
    device, half = torch.device(plan.fit.device), answering(plan)
    was_training = network.training
    network.eval()
    try:
        for batch in batches:
            with torch.inference_mode(), half:
                raw = _answer(network, batch, views, device)
            yield raw, batch
    finally:
        network.train(was_training)


def _answer(
    network: nn.Module, batch: Batch, views: Sequence[View], device: torch.device
) -> Tensor:
    if isinstance(network, Ensemble):  # each member looks at every view before they join
        each = [_answer(member, batch, views, device) for member in network.members]
        return network.join(torch.stack(each))
    x = batch.x.to(device, non_blocking=True)
    mask = None if batch.mask is None else batch.mask.to(device, non_blocking=True)
    total, ask = torch.zeros((), device=device), cast(Callable[..., Tensor], network)
    if mask is None and isinstance(network, Network):
        # Before a view moves it by cells, which would tear its ends apart elsewhere.
        x, ask = network.place(x), partial(network, placed=True)
    for view in views:
        seen = None if mask is None else look(mask, view)
        raw = ask(look(x, view), seen) if seen is not None else ask(look(x, view))
        if view.mirror and raw.ndim == x.ndim:  # an answer for every cell is turned back
            raw = raw.flip([2 + axis for axis in view.mirror])
        total = total + view.weight * raw.float()
    return total
