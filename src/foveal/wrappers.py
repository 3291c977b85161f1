"""Any model made steadier from outside: the mean over orientations, or one orientation for all.

    from foveal.layers.symmetry import symmetry_of
    from foveal.wrappers import averaged

    steady = averaged(net, symmetry_of(2, "full"))  # 8 views, 8 times as dear, exact

A model is any function from a batch ``(B, C, *S)``, an array or a tensor, to answers ``(B, K)``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .errors import PlanError
from .layers.symmetry import Symmetry

Answer = Callable[[Any], Any]
KEY = 20160224  # of the picture that no turn leaves alone


def averaged(answer: Answer, turns: Symmetry) -> Answer:
    """The mean answer over all ``turns`` of each sample: the same for each of them, up to the
    rounding of a sum.

    It costs as many times as much as there are turns. Answers for every cell are not turned back.
    """

    def mean(batch: Any) -> Any:
        x = _tensor(batch)
        total = sum(_array(answer(_like(turn.move(x), batch))) for turn in turns.turns)
        return _like(torch.from_numpy(np.asarray(total / len(turns))), batch)

    return mean


def canonical(answer: Answer, turns: Symmetry) -> Answer:
    """The answer to each sample in the one of its orientations that is most like a fixed picture.

    All ``turns`` of a sample are so brought to the same one, and it costs hardly more than one
    answer. Two orientations that are alike to the last digit make the choice jump; for samples
    that a turn leaves alone that changes nothing. Good for a model trained on such samples.

    Raises: PlanError, when asked, where a turn changes the sample's shape.
    Source: canonical poses, Kaba et al., arXiv:2211.06489; the fixed key in place of a learned
        one is ours.
    """

    def brought(batch: Any) -> Any:
        x = _tensor(batch)
        views = [turn.move(x) for turn in turns.turns]
        for view in views:
            if view.shape != x.shape:
                before, after = list(x.shape[2:]), list(view.shape[2:])
                raise PlanError(
                    f"a turn makes samples of {before} cells into {after}",
                    where="canonical",
                    mend="give equal axes, or turns that exchange none: symmetry_of(rank, 'flips')",
                )
        chance = torch.Generator().manual_seed(KEY)
        key = torch.randn(x.shape[1:], generator=chance, dtype=torch.float64)
        like = torch.stack([(view.double() * key).flatten(1).sum(1) for view in views])
        best = like.argmax(0)
        chosen = torch.stack([views[int(i)][row] for row, i in enumerate(best)])
        return answer(_like(chosen, batch))

    return brought


def _tensor(batch: Any) -> Tensor:
    return batch if isinstance(batch, Tensor) else torch.from_numpy(np.ascontiguousarray(batch))


def _array(said: Any) -> Any:
    return said.detach().cpu().numpy() if isinstance(said, Tensor) else np.asarray(said)


def _like(x: Tensor, batch: Any) -> Any:
    """``x`` as the caller's kind of array."""
    return x if isinstance(batch, Tensor) else np.ascontiguousarray(x.numpy())
