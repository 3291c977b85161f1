"""Answers on a part, kept so that those of several runs can be judged together or compared."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from ..errors import RunError
from ..record import write_bytes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..baselines import Baseline
    from ..tasks import Answers

FILE = "answers.safetensors"
TESTED = "tested.safetensors"


@dataclasses.dataclass(frozen=True, slots=True)
class Kept:
    """raw, target: as in `Answers`. said: what each baseline answered, by its name."""

    raw: NDArray[np.float32]
    target: NDArray[Any]
    said: dict[str, NDArray[Any]]


def save_answers(run: Path, test: Answers, baselines: Sequence[Baseline]) -> None:
    """Write them beside the weights, atomically."""
    told = {f"said.{each.name}": np.ascontiguousarray(each.said) for each in baselines}
    told |= {"raw": np.ascontiguousarray(test.raw), "target": np.ascontiguousarray(test.target)}
    write_bytes(run / FILE, save(told))


def load_answers(run: Path) -> Kept:
    """What `save_answers` wrote. Raises: RunError when it is gone or damaged."""
    try:
        found = load((run / FILE).read_bytes())
        said = {k.removeprefix("said."): v for k, v in found.items() if k.startswith("said.")}
        return Kept(found["raw"], found["target"], said)
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        raise RunError(
            f"the answers of a finished fold are gone or damaged ({str(error)[:80]})",
            where=str(run / FILE),
            mend=f"remove the folder {run} and resume: that fold is then trained again",
        ) from error


@dataclasses.dataclass(frozen=True, slots=True)
class PerSample:
    """Of each test sample a hash of its values, and what it adds to the main score ``(N,)``."""

    rows: NDArray[np.uint64]
    each: NDArray[np.float64]


def save_tested(run: Path, tested: PerSample) -> None:
    """Write it beside the report, so that `foveal compare` can go sample by sample."""
    write_bytes(run / TESTED, save({"rows": tested.rows, "each": tested.each}))


def load_tested(run: Path) -> PerSample | None:
    """What `save_tested` wrote; None where the task's score is no mean over samples, or the run
    was made before there was such a file. Raises: RunError when it is damaged."""
    if not (run / TESTED).exists():
        return None
    try:
        found = load((run / TESTED).read_bytes())
        rows, each = found["rows"], found["each"]
        if rows.shape != each.shape or rows.ndim != 1 or not np.isfinite(each).all():
            raise ValueError("rows and figures do not fit")
        return PerSample(rows.astype(np.uint64), each.astype(np.float64))
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        raise RunError(
            f"what was noted of test samples is damaged ({str(error)[:80]})",
            where=str(run / TESTED),
            mend="remove this file: the runs are then compared without it",
        ) from error


def join_tested(folders: Sequence[Path], run: Path) -> None:
    """The mean over several trainings that were judged on the same samples, kept with ``run``."""
    found = [load_tested(folder) for folder in folders]
    known = [each for each in found if each is not None]
    if len(known) == len(folders) and all(np.array_equal(k.rows, known[0].rows) for k in known):
        save_tested(run, PerSample(known[0].rows, np.mean([k.each for k in known], axis=0)))
