"""Does motion matter? The trained network, asked without it: frames in random order, one frame."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ..drawing.words import Figure
from ..grid import Batch
from ..report import Score

DOUBT = "the order of the frames adds nothing that shows: a network for pictures may do as well"
MOST = 1000  # test clips asked again: enough to see a difference of a few points

Change = Callable[[Tensor], Tensor]  # (B, C, *S) -> the same shape


@dataclass(frozen=True, slots=True)
class Motion:
    """The task's main score on the same clips: as filmed, in random order, one frame repeated."""

    whole: Score
    shuffled: Score
    still: Score

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON, for ``report.invariance``."""
        return asdict(self)


def shuffled(time: int, seed: int = 0) -> Change:
    """A change that brings the frames of each clip into a random order of its own."""
    generator = torch.Generator().manual_seed(seed)

    def change(x: Tensor) -> Tensor:
        frames = x.movedim(2 + time, 1)
        order = torch.rand(frames.shape[:2], generator=generator).argsort(1).to(x.device)
        rows = torch.arange(len(x), device=x.device)[:, None]
        return frames[rows, order].movedim(1, 2 + time)

    return change


def still(time: int) -> Change:
    """A change that shows the middle frame all along."""

    def change(x: Tensor) -> Tensor:
        axis = 2 + time
        frame = x.narrow(axis, x.shape[axis] // 2, 1)
        return frame.expand(*x.shape).contiguous()

    return change


def changed(batches: Iterable[Batch], change: Change) -> Iterator[Batch]:
    """``batches`` with their samples changed."""
    return (replace(batch, x=change(batch.x)) for batch in batches)


def motion(ask: Callable[[Change | None], Score], time: int, seed: int = 0) -> Motion:
    """What the network reaches with and without motion.

    Args:
        ask: the main score on some test clips, each changed beforehand (None: as filmed).
        time: position of the axis of time. seed: fixes the random orders.
    """
    return Motion(ask(None), ask(shuffled(time, seed)), ask(still(time)))


def matters(found: Motion, figure: Figure) -> bool:
    """Whether random order costs more than luck explains (about 95 %).

    The intervals are taken as if from different clips, which errs towards "no".
    """
    lost = found.whole.value - found.shuffled.value
    sure = sum(((s.high - s.low) / 2) ** 2 for s in (found.whole, found.shuffled)) ** 0.5
    return bool((-lost if figure.lower else lost) > sure)


def sentence(found: Motion, figure: Figure) -> str:
    """One sentence for the verdict."""
    whole, order, one = (figure.text(s.value) for s in (found.whole, found.shuffled, found.still))
    name = figure.title.lower() if figure.title[1:2].islower() else figure.title
    told = f"{name} is {order} with the frames in random order and {one} with one frame repeated"
    if matters(found, figure):
        return f"Motion matters: {told}, against {whole} as filmed."
    return f"Motion does not matter as far as this test can show: {told}, {whole} as filmed."
