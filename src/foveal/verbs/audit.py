"""How a model answers when its samples are moved, turned, scaled and spoiled: any model."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError
from ..grid import Axis
from ..progress import SILENT, Progress
from ..record import write_json
from .hold import writing
from .subject import Subject, of_function, of_run

if TYPE_CHECKING:
    from ..evaluation.audit.asked import Asked
    from ..evaluation.audit.changes import Change
    from ..evaluation.audit.found import Audit, Example
    from ..evaluation.audit.measure import Measured

MOST = 1000  # samples: enough for intervals of three points
SHARE = 0.1  # of a run's training time, where no budget is given


def audit(
    model: Any,
    samples: Any = None,
    labels: Sequence[int] | None = None,
    *,
    classes: Sequence[str] = (),
    axes: tuple[Axis, ...] | None = None,
    budget: float | None = None,
    most: int = MOST,
    out: str | Path | None = None,
    progress: Progress = SILENT,
) -> Audit:
    """Ask a model again after every change of its samples, and say what helps.

    Args:
        model: a run folder, a `Model`, an ONNX file, a PyTorch module, or any function from a
            batch ``(B, C, *S)`` as an array to probabilities ``(B, K)`` (array or tensor).
        samples: for a function, an array ``(N, C, *S)`` in the dtype that it takes; for a run,
            a path to data with known answers, or None for the run's own test part.
        labels: for a function, the position of each true class ``(N,)``, or None.
        classes: their names. axes: what the grid axes mean; pictures, volumes, or signals along
            time by their number when None.
        budget: seconds; None for a tenth of a run's training, or no bound for a function.
        most: samples at most, drawn by chance, always the same.
        out: folder for ``audit.json`` and ``audit.html``; of a run given by its path that
            folder, nothing is written otherwise.

    Raises: DataError, PlanError, RunError with how to mend.
    """
    from .model import Model, load
    from .outside import of_outside

    title = getattr(model, "__name__", type(model).__name__)
    if isinstance(model, str | Path) and Path(model).suffix == ".onnx":
        title = Path(model).name
    elif isinstance(model, str | Path):
        out = model if out is None else out
        model = load(model)
    if isinstance(model, Model):
        if labels is not None or classes or axes is not None:
            raise DataError(
                "labels, classes and axes were given for a run, which knows its own",
                where="audit",
                mend="leave them out; they are for functions",
            )
        subject = of_run(model, samples, most, progress)
        title = model.card.name or str(model.run)
        if budget is None:
            budget = SHARE * float(model.report.cost.get("seconds", 0.0) or 60.0)
    else:
        if isinstance(model, str | Path) or callable(model):
            model = of_outside(model, progress)
        subject = of_function(model, samples, labels, classes, axes, most)
    found = _audited(subject, budget, progress)
    if out is not None:
        _write(found, title, Path(out), progress)
    return found


def _write(found: Audit, title: str, folder: Path, progress: Progress) -> None:
    from ..evaluation.audit.page import write_page

    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "audit.json", found.to_dict())
        write_page(found, title, folder / "audit.html")
    progress.say(f"audit written to {folder / 'audit.html'}")


def _audited(subject: Subject, budget: float | None, progress: Progress) -> Audit:
    from ..evaluation.audit.asked import Asked
    from ..evaluation.audit.changes import Kind, changes
    from ..evaluation.audit.measure import ENOUGH, affordable, measure

    began = time.monotonic()
    low, high = _range(subject)
    kind = Kind(subject.axes, tuple(subject.x.shape[2:]), low, high)
    asked = Asked(subject.answer, subject.x, subject.y, subject.batch)
    if subject.graded is not None:
        return _compared(subject, asked, changes(kind), budget, began, progress)
    classes = _classes(subject, asked)
    tried, until = changes(kind), None
    if budget is not None:
        until = began + budget
        if affordable(asked, tried, budget) < min(ENOUGH, len(subject.x)):
            tried = changes(kind, few=True)
    with progress.bar("asking again", len(subject.x)) as tick:
        found = measure(asked, tried, classes, until, tick)
    return _told(subject, asked, found, classes, began)


def _compared(
    subject: Subject,
    asked: Asked,
    tried: list[Change],
    budget: float | None,
    began: float,
    progress: Progress,
) -> Audit:
    """Of answers that are no single class."""
    from ..evaluation.audit.found import Audit
    from ..evaluation.audit.graded import measure_graded
    from ..evaluation.audit.remedy import remedy

    assert subject.graded is not None, "asked only of such answers"
    until = None if budget is None else began + budget
    with progress.bar("asking again", len(subject.x)) as tick:
        found, right = measure_graded(asked, subject.graded, tried, until, tick)
    rows = tuple(row for change, row in found.rows if change.listed)
    places = tuple(row for change, row in found.rows if change.place)
    return Audit(
        *(found.count, right, rows, places, found.exact, (), ()),
        remedy=remedy(rows, found.exact, right),
        seconds=time.monotonic() - began,
        noun=subject.noun,
    )


def _told(
    subject: Subject, asked: Asked, found: Measured, classes: Sequence[str], began: float
) -> Audit:
    from ..evaluation.audit.found import Audit
    from ..evaluation.audit.remedy import remedy
    from ..metrics.intervals import wilson

    rows = tuple(row for change, row in found.rows if change.listed)
    right = None if found.right is None else wilson(found.right, found.count)
    return Audit(
        samples=found.count,
        accuracy=right,
        rows=rows,
        map=tuple(row for change, row in found.rows if change.place),
        exact=found.exact,
        merges=tuple(found.merges),
        examples=_examples(subject, asked, found, classes),
        remedy=remedy(rows, found.exact, right),
        seconds=time.monotonic() - began,
        noun=subject.noun,
    )


def _examples(
    subject: Subject, asked: Asked, found: Measured, classes: Sequence[str]
) -> tuple[Example, ...]:
    from ..drawing.pictures import picture
    from ..evaluation.audit.asked import checked
    from ..evaluation.audit.found import Example

    low, high = (tuple(v.tolist()) for v in _range(subject))
    shown = []
    for _, at, change in found.worst:
        rows = np.array([at])
        seen = [asked.changed(rows, move) for move in (change.before, change.move)]
        said = [checked(asked.answer(x), 1)[0] for x in seen]
        before, after = (picture(x[0], low=low, high=high) for x in seen)
        names = [classes[int(p.argmax())] for p in said]
        sure = [float(p.max()) for p in said]
        shown.append(
            Example(
                *(subject.keys[at], change.name, change.strength, before, after),
                said=(names[0], names[1]),
                sure=(sure[0], sure[1]),
            )
        )
    return tuple(shown)


def _classes(subject: Subject, asked: Asked) -> tuple[str, ...]:
    """Names of the classes; their numbers where there are none.

    Raises: DataError when they are not as many as the model's answers.
    """
    from ..evaluation.audit.measure import PILOT

    outputs = asked.said(np.arange(min(PILOT, len(asked.x))), None).shape[1]
    if subject.classes and len(subject.classes) != outputs:
        raise DataError(
            f"{len(subject.classes)} classes for a model with {outputs} answers",
            where="classes",
            mend="give one name per answer, in their order",
        )
    return subject.classes or tuple(str(i) for i in range(outputs))


def _range(subject: Subject) -> Any:
    import torch

    if subject.low is not None and subject.high is not None:
        return torch.tensor(subject.low), torch.tensor(subject.high)
    rows = subject.x.reshape(*subject.x.shape[:2], -1)
    return tuple(
        torch.tensor(way(rows, axis=(0, 2)), dtype=torch.float32) for way in (np.min, np.max)
    )
