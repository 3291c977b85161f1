"""From a path or arrays to a model, in one call."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import DataError
from ..progress import SILENT, Progress
from .model import Model, load
from .plan import Wish
from .source import Source, examine, examine_arrays
from .train import train_survey


def fit(
    data: Any,
    y: Sequence[Any] | None = None,
    *,
    x_test: Any = None,
    y_test: Sequence[Any] | None = None,
    task: str = "auto",
    target: Sequence[str] = (),
    group: str = "auto",
    budget: str | float | None = "5m",
    epochs: float | None = None,
    folds: int = 0,
    repeats: int = 0,
    out: str | Path | None = None,
    seed: int = 0,
    symmetry: str = "auto",
    changes: dict[str, str] | None = None,
    name: str = "arrays",
    progress: Progress = SILENT,
) -> Model:
    """Fit a network and judge it; the run folder stays in ``model.run``.

    Args:
        data: a path as `foveal train` takes it, or an array ``(N, *S)`` or ``(N, *S, C)``.
        y: for arrays: one class per sample ``(N,)``, as names or whole numbers; numbers to be
            told, ``(N,)`` or ``(N, K)``; or rows of 0 and 1 ``(N, K)``, any of K classes.
        x_test, y_test: a test part; held back from ``data`` when None.
        task: what to learn; "auto" reads it off the targets. target, group: as for `train`; for a
            path only.
        budget: time for everything, as "5m", "90s" or seconds; ignored when ``epochs`` is given.
        folds: as for `train`: so many networks answer as one model, each within the budget.
        repeats: as for `train`: so many trainings with other seeds, each within the budget.
        out: the run folder; a new temporary one when None.

    Raises: DataError, PlanError with how to mend.
    """
    from ..duration import seconds

    started = time.monotonic()
    limit = None if epochs is not None or budget is None else seconds(budget)
    wish = Wish(task, limit, epochs, seed, symmetry, changes or {}, folds, repeats)
    source = None
    if isinstance(data, str | Path):
        _alone(data, y, x_test, y_test)
        source = Source(str(data), target=tuple(target), group=group)
        survey = examine(source, task=task, progress=progress)
    else:
        survey = examine_arrays(
            data, y, x_test=x_test, y_test=y_test, name=name, task=task, progress=progress
        )
    folder = Path(tempfile.mkdtemp(prefix="foveal-")) if out is None else Path(out)
    train_survey(survey, wish, source, folder, started, progress)
    return load(folder)


def _alone(path: str | Path, *arrays: Any) -> None:
    """Raises: DataError when arrays were given beside a path that brings its own."""
    if any(array is not None for array in arrays):
        raise DataError(
            "y, x_test or y_test was given beside a path, which brings its own labels",
            where=str(path),
            mend="give the path alone (a test set in it lies under test/), or arrays alone",
        )
