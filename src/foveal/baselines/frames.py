"""What one frame of a clip tells: the simple models once more, on the middle frame alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from . import Baseline, Question, Rows, cells

if TYPE_CHECKING:
    from torch import Tensor


def question(
    gather: cells.Gather,
    time: int,
    train: tuple[Rows, NDArray[Any]],
    test: tuple[Rows, NDArray[Any]],
    *,
    seconds: float = 10.0,
    seed: int = 0,
) -> Question:
    """The question about small cells of the middle frame; time: position of that axis.

    The other arguments as in `cells.question`.
    """

    def middle(rows: Rows) -> Tensor:
        x = gather(rows)
        return x.select(2 + time, x.shape[2 + time] // 2)

    asked = cells.question(middle, train, test, seconds=seconds, seed=seed)
    return replace(asked, words="small cells of the middle frame")


def beside(clips: Sequence[Baseline], frame: Sequence[Baseline]) -> tuple[Baseline, ...]:
    """The answers from whole clips, then those from one frame under names of their own.

    Answers that look at no sample are the same for both and stand there once.
    """
    whole = {b.name: b for b in clips}
    own = [
        replace(b, name=f"one_frame_{b.name}", title=f"{b.title}, one frame")
        for b in frame
        if b.name not in whole or not _constant(b, whole[b.name])
    ]
    return (*clips, *own)


def _constant(one: Baseline, other: Baseline) -> bool:
    """Whether both give every sample the same answer."""
    return np.array_equal(one.said, other.said) and bool((one.said == one.said[:1]).all())
