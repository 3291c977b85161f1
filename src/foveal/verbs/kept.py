"""Answers on a part, kept so that those of several runs can be judged together."""

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
