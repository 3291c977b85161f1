"""What a training does when a step goes wrong, in words and on disk."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from ..errors import RunError
from ..grid import Batch
from ..record import write_bytes

BAD_BATCH = "bad_batch.safetensors"
LEAST = 2  # samples that pass through the network at a time, at least: one has no variance


def hopeless(run: Path, batch: Batch, step: int) -> RunError:
    """The error of a loss that stays non-finite, with the batch saved for a person to look at."""
    parts = {"x": batch.x, "y": batch.y, "index": batch.index}
    found = {n: t.contiguous() for n, t in parts.items() if t is not None}
    write_bytes(run / BAD_BATCH, safetensors.torch.save(found))
    return RunError(
        f"loss or gradient was not finite at step {step}, again and again",
        where=f"samples saved in {run / BAD_BATCH}",
        mend="look for odd values in them, or train with a lower rate (--set fit.lr=...)",
    )


@torch.no_grad()
def sound(tensors: Iterable[Tensor]) -> bool:
    """Whether every number in them is finite."""
    found = [t.isfinite().all() for t in tensors if t.is_floating_point()]
    return not found or bool(torch.stack(found).all())


def spoiled(run: Path, step: int) -> RunError:
    """The error of weights that are not finite when the training is over."""
    return RunError(
        f"the weights were not finite at step {step}, and are not saved",
        where=str(run),
        mend=f"foveal train --resume {run} goes on from the last sound checkpoint; where that "
        "happens again, train with a lower rate (--set fit.lr=...)",
    )


def halved(parts: int, samples: int) -> int:
    """In how many parts a batch passes through the network from now on, after memory ran out.

    Raises: RunError where even parts of two samples do not fit.
    """
    if samples < 2 * parts * LEAST:
        raise RunError(
            f"memory ran out with {-(-samples // parts)} samples in the network at a time",
            where="training",
            mend="give a smaller network or size (--set net.widths=... or data.size=...), or "
            "close what else uses the memory",
        )
    return 2 * parts


def unfit(folder: Path, error: Exception) -> RunError:
    """The checkpoint is of another network."""
    return RunError(
        f"the checkpoint does not fit this network ({str(error).splitlines()[0][:80]})",
        where=str(folder),
        mend="resume with the plan.json the run was started with",
    )
