"""What an audit asks, and about what: a run with its test part, or any function with samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError, PlanError, RunError
from ..grid import Axis, data_of
from ..progress import Progress

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..evaluation.audit.graded import Graded
    from .model import Model

SEED = 0


@dataclass(frozen=True, slots=True)
class Subject:
    """What is audited. low, high: of the values, per channel; None to take them from samples.
    graded: how answers are compared that are no single class; None where they are one."""

    answer: Callable[[NDArray[Any]], Any]
    x: NDArray[Any]
    y: NDArray[np.int64] | None
    keys: Sequence[str]
    classes: tuple[str, ...]
    axes: tuple[Axis, ...]
    low: tuple[float, ...] | None = None
    high: tuple[float, ...] | None = None
    batch: int = 64
    noun: str = "samples"
    graded: Graded | None = None


def of_run(model: Model, data: Any, most: int, progress: Progress) -> Subject:
    """A run, which answers as `predict` does, and samples of its own test part or of ``data``.

    Raises: PlanError for a run whose answers cannot be compared, or whose samples have no fixed
        grid.
    """
    from ..drawing.words import noun
    from ..evaluation.predict import asker, batch_size
    from ..tasks import finished

    plan, task = model.plan, model.task
    graded = None if task.chooses else _graded(model)
    known_task = task.chooses or graded is not None
    if not known_task or plan.data.text is not None or plan.data.fit == "ragged":
        what = f"on {data_of(plan.axes)}s of any length" if known_task else f"of {plan.task}"
        raise PlanError(
            f"a run {what} cannot be audited yet",
            where=str(model.run),
            mend="audit a run that tells classes, masks or numbers of pictures, volumes, clips or "
            "even signals",
        )
    if graded is not None and data is not None:
        raise PlanError(
            f"a run of {plan.task} is audited on its own test part alone, so far",
            where="foveal audit RUN DATA",
            mend=f"leave the data out: foveal audit {model.run}",
        )
    x, y, keys = _own(model, most, progress) if data is None else _other(model, data, most)
    ask, known = asker(model.network, plan), model.report.calibration
    return Subject(
        answer=lambda batch: finished(task, ask(batch), plan, known),
        x=x,
        y=y,
        keys=keys,
        classes=plan.classes,
        axes=plan.axes,
        low=plan.data.low,
        high=plan.data.high,
        batch=batch_size(plan),
        noun=noun(model.card),
        graded=graded,
    )


def _graded(model: Model) -> Graded | None:
    """How answers are compared that are no single class; None where they cannot be yet."""
    from ..evaluation.audit.graded import Graded

    target, plan = model.task.target, model.plan
    if model.task.start is not None or target not in {"mask", "labels", "numbers"}:
        return None
    if target == "mask":
        return Graded("cells")
    if target == "labels":
        return Graded("labels")
    return Graded("numbers", tuple(max(n.std, 1e-12) for n in plan.numbers))


def _own(model: Model, most: int, progress: Progress) -> Any:
    """Samples of the test part that the run kept for itself, as they were judged."""
    from .folder import source_of
    from .plan import laid_out
    from .source import examine

    if not (model.run / "source.json").exists():
        raise RunError(
            "this run was trained on arrays in memory, which are gone",
            where=str(model.run),
            mend=f"give data to audit it on: foveal audit {model.run} DATA",
        )
    if model.plan.folds:
        raise RunError(
            "of a cross-validated run every sample was learned by some of its networks",
            where=str(model.run),
            mend=f"give other data to audit it on: foveal audit {model.run} DATA",
        )
    source = source_of(model.run)
    survey = examine(source, task=model.plan.task, progress=progress)
    if survey.card.digest != model.card.digest:
        raise RunError(
            "the data is not what this run was trained on",
            where=source.path,
            mend=f"restore it, or name other data: foveal audit {model.run} DATA",
        )
    survey, split = laid_out(survey, model.plan, progress=progress)
    rows = split.test[_chosen(len(split.test), most, source.path)]
    y = model.task.encode(survey.targets(rows), model.plan).numpy()
    return survey.store.gather(rows).numpy(), y, [survey.key(int(row)) for row in rows]


def _other(model: Model, data: Any, most: int) -> Any:
    """Samples of other data: its test part, or all of it."""
    from .evaluate import Reader, as_known, judged, listed

    listing, targets = as_known(model, listed(data, None, model))
    positions = np.flatnonzero(judged(listing) & (listing.labels >= 0))
    positions = positions[_chosen(len(positions), most, listing.path)]
    reader = Reader(model, listing, positions)
    parts = [batch.x.numpy() for batch in reader.batches(lambda count: None)]
    reader.check()
    kept = np.array(reader.kept, np.int64)
    y = model.task.encode(targets[kept], model.plan).numpy()
    return np.concatenate(parts), y, [listing.keys[int(i)] for i in kept]


def _chosen(count: int, most: int, where: str) -> NDArray[np.int64]:
    """At most ``most`` of so many, drawn by chance, always the same, in order of the draw.

    Raises: DataError when there are none.
    """
    if not count:
        raise DataError(
            "no labelled test samples to audit on",
            where=where,
            mend="name data with known answers: foveal audit RUN DATA",
        )
    return np.random.default_rng(SEED).permutation(count)[:most]


def of_function(
    model: Any,
    samples: Any,
    labels: Sequence[int] | None,
    classes: Sequence[str],
    axes: tuple[Axis, ...] | None,
    most: int,
) -> Subject:
    """Any function with its samples. Raises: DataError when they do not fit each other."""
    from ..drawing.words import NOUNS

    if not callable(model):
        raise _unfit(
            f"{type(model).__name__!r} is neither a run nor a function",
            "give a run folder, a Model, or a function from batches to probabilities",
        )
    x = np.asarray(samples)
    if x.dtype.kind not in "iuf" or not x.size:
        raise _unfit(
            f"samples of the kind {x.dtype} and shape {list(x.shape)} are no numbers on a grid",
            "give an array (N, C, *S)",
        )
    axes = _axes(x.shape) if axes is None else axes
    if len(x.shape) != len(axes) + 2:
        names = ", ".join(axis.name for axis in axes)
        raise _unfit(
            f"samples of shape {list(x.shape)} do not have the axes {names} behind batch and "
            "channels",
            "give (N, C, *S); one channel is an axis of one",
        )
    if data_of(axes) == "text":
        raise _unfit("texts cannot be moved, turned or scaled", "give axes of space or time")
    y = None if labels is None else np.asarray(labels)
    if y is not None and (y.shape != x.shape[:1] or y.dtype.kind not in "iu"):
        raise _unfit(
            f"labels of shape {list(y.shape)} and kind {y.dtype} do not fit {len(x)} samples",
            "give one position of a class per sample, as whole numbers",
        )
    rows = _chosen(len(x), most, "samples")
    return Subject(
        answer=model,
        x=x[rows],
        y=None if y is None else y[rows].astype(np.int64),
        keys=[f"sample {row}" for row in rows.tolist()],
        classes=tuple(map(str, classes)),
        axes=axes,
        noun=NOUNS.get(tuple(axis.name for axis in axes), "samples"),
    )


def _axes(shape: tuple[int, ...]) -> tuple[Axis, ...]:
    """What the grid axes of ``(N, C, *S)`` most likely mean."""
    from ..readers.array import axes_of

    if len(shape) < 3:
        raise _unfit(f"samples of shape {list(shape)} have no grid", "give (N, C, *S)")
    grid = shape[2:]
    # One channel in front tells a volume from a picture with colours.
    return axes_of(grid if len(grid) == 1 else (1, *grid), "samples")[0]


def _unfit(what: str, mend: str) -> DataError:
    return DataError(what, where="audit", mend=mend)
