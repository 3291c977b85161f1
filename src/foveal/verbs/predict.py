"""Answers for new samples: files, folders, zips, arrays; one by one, in constant memory."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError, FovealError, RunError
from ..progress import SILENT, Progress
from .hold import giving

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..grid import Axis, Sample
    from ..plan import Plan
    from ..tasks import Ask, Telling, Told
    from .model import Model

TOGETHER = 64  # samples per forward pass
MOST_WAITING = 1024  # answers held back until there are so many samples
Answer = dict[str, Any]
# Layouts whose items were single lines: a text file then holds several.
BY_LINE = ("lines of label and text", "table of texts")


def predict(
    run: str | Path,
    inputs: Sequence[str | Path],
    *,
    coverage: float | None = None,
    unknown: bool = False,
    progress: Progress = SILENT,
) -> Iterator[Answer]:
    """Answers of a trained run, in the order of the inputs.

    Each is ``{"input"}`` with what the run's task says (of a class: "label", "probability",
    "probabilities"), or ``{"input", "error"}`` for a file that cannot be read: nothing is left
    out in silence.
    Raises: RunError when ``run`` is not a finished run.
    """
    yield from stream(run, inputs, progress=progress)[0]


def stream(
    run: str | Path,
    inputs: Sequence[str | Path],
    *,
    folder: Path | None = None,
    coverage: float | None = None,
    unknown: bool = False,
    progress: Progress = SILENT,
) -> tuple[Iterator[Answer], Telling, Plan]:
    """The same, with what words them: for those who write them down.

    folder: takes a file for each answer that has places on its input (a mask), with the input's
    geometry; the answer names it as "file".
    Raises: RunError when ``run`` is not a finished run, or its answers are no files.
    """
    from .model import load

    model, telling = surely(load(run), coverage, unknown)
    if folder is not None and model.task.own is None:
        raise RunError(
            f"answers of the task {model.plan.task!r} are lines, not files",
            where=f"--out {folder}",
            mend="give --out FILE.jsonl or FILE.csv",
        )
    if folder is not None:
        with giving(folder):
            folder.mkdir(parents=True, exist_ok=True)
    found = answers(model, inputs, progress, folder)
    return (_plain(answer) for answer in found), telling, model.plan


def surely(model: Model, coverage: float | None, unknown: bool) -> tuple[Model, Telling]:
    """The model that answers as often right as is asked for, and what words its answers.

    Raises: RunError where that cannot be had.
    """
    telling = model.task.telling
    if coverage is None and not unknown:
        return model, telling
    if coverage is not None and not 0.5 <= coverage <= 0.999:
        raise RunError(
            f"a coverage of {coverage:g} cannot be asked for",
            where="--coverage",
            mend="give a share from 0.5 to 0.999, such as 0.9",
        )
    if telling.asked is None:
        raise RunError(
            f"answers of the task {model.plan.task!r} come without sets and unknowns",
            where="--coverage" if coverage is not None else "--unknown",
            mend="leave it out: that is for classes and numbers",
        )
    found = telling.asked(model.report.calibration, coverage, unknown)
    report = dataclasses.replace(model.report, calibration=dict(found.calibration))
    plain = telling.columns
    telling = dataclasses.replace(telling, columns=lambda plan: (*plain(plan), *found.columns))
    return dataclasses.replace(model, report=report), telling


def _plain(answer: Answer) -> Answer:
    """The answer without what is an array: strict JSON."""
    return {key: value for key, value in answer.items() if not isinstance(value, np.ndarray)}


def answers(
    model: Model, inputs: Any, progress: Progress = SILENT, folder: Path | None = None
) -> Iterator[Answer]:
    """The same for a model in memory; inputs may be an array ``(N, *S)`` or ``(N, *S, C)`` too.

    Answers that have places hold them as arrays ("mask")."""
    import torch

    from ..datasets.prepare import prepare

    torch.set_num_threads(model.plan.fit.threads)
    if model.task.own is not None:
        yield from _placed(model, inputs, progress, folder)
        return
    # What cannot be read waits in line as well: answers keep the order of the inputs, and a bad
    # file among good ones does not cut a batch short.
    waiting: list[tuple[str, Any]] = []
    ready = 0
    with progress.bar("predicting", None) as tick:
        for key, found in _samples(inputs, model.plan.reads, model.card.layout in BY_LINE):
            try:
                if isinstance(found, FovealError):
                    raise found
                waiting.append((key, prepare(found.x, model.plan.data, key=key, grid=found.grid)))
                ready += 1
            except FovealError as error:
                waiting.append((key, error.what))
            if ready == TOGETHER or len(waiting) == MOST_WAITING:
                yield from _in_order(model, waiting)
                waiting, ready = [], 0
            tick(1)
        yield from _in_order(model, waiting)


def _placed(model: Model, inputs: Any, progress: Progress, folder: Path | None) -> Iterator[Answer]:
    """Answers on each input's own grid, one at a time; written to ``folder`` where there is one."""
    from ..evaluation.predict import asker
    from ..record import write_bytes

    own, plan = model.task.own, model.plan
    assert own is not None, "asked only of tasks whose answers have places"
    ask, taken = asker(model.network, plan), set[str]()
    told: list[Told] = []
    with progress.bar("predicting", None) as tick:
        vast = own.asks is not None
        for key, found in _samples(inputs, plan.reads, by_line=False, vast=vast):
            tick(1)
            with giving(folder):
                try:
                    if isinstance(found, FovealError):
                        raise found
                    answer = {"input": key, **_asked(model, ask, found, progress)}
                    if folder is not None:
                        kept = [own.files(answer, found)]
                        kept += [] if own.picture is None else [own.picture(answer, found, plan)]
                        for ending, content in kept:
                            name = _free(_stem(key), ending, taken)
                            write_bytes(folder / name, content)
                            answer.setdefault("file", name)
                        told.append((key, found.x.shape[1:], _plain(answer)))
                except FovealError as error:
                    answer = {"input": key, "error": error.what}
            yield answer
    if folder is not None and own.whole is not None and told:
        whole = own.whole(told, plan)
        if whole is not None:
            write_bytes(folder / whole[0], whole[1])


def _asked(model: Model, ask: Ask, sample: Sample, progress: Progress) -> Answer:
    """The answer on the sample's own grid; with a bar where it is asked window by window."""
    own, plan, known = model.task.own, model.plan, model.report.calibration
    assert own is not None, "asked only of tasks whose answers have places"
    many = 1 if own.asks is None else own.asks(sample, plan)
    if many == 1:
        return own.answer(ask, sample, plan, known)
    with progress.bar(f"windows of {_stem(sample.key)}", many) as tick:

        def counted(x: NDArray[Any]) -> NDArray[np.float32]:
            raw = ask(x)
            tick(len(x))
            return raw

        return own.answer(counted, sample, plan, known)


def _stem(key: str) -> str:
    """A file name without its ending, of letters that every system takes."""
    name = key.replace("\\", "/").rpartition("/")[2]
    low = name.lower()
    end = next((e for e in (".nii.gz", ".nii") if low.endswith(e)), "." + low.rpartition(".")[2])
    stem = name[: -len(end)] if low.endswith(end) and len(name) > len(end) else name
    return re.sub(r"[^\w.-]+", "_", stem).strip(".") or "input"


def _free(stem: str, ending: str, taken: set[str]) -> str:
    """The name, or with a number where another input of this call has it."""
    name, number = stem + ending, 1
    while name in taken:
        number += 1
        name = f"{stem}_{number}{ending}"
    taken.add(name)
    return name


def _samples(
    inputs: Any, axes: tuple[Axis, ...], by_line: bool, vast: bool = False
) -> Iterable[tuple[str, Sample | FovealError]]:
    from ..datasets.inputs import inputs as from_paths

    if isinstance(inputs, np.ndarray) or hasattr(inputs, "__array__"):
        return _array_samples(np.asarray(inputs), axes)
    paths = [inputs] if isinstance(inputs, str | Path) else inputs
    return from_paths(paths, axes, by_line=by_line, vast=vast)


def _array_samples(
    x: NDArray[Any], axes: tuple[Axis, ...]
) -> Iterator[tuple[str, Sample | FovealError]]:
    from ..readers.array import as_sample

    if x.ndim not in (len(axes) + 1, len(axes) + 2) or x.dtype.kind not in "biuf":
        raise DataError(
            f"an array of shape {x.shape} of {x.dtype} is no stack of samples",
            where="predict",
            mend=f"give numbers (N, {', '.join(axis.name for axis in axes)}), or a channel more",
        )
    for position, row in enumerate(x):
        try:
            yield str(position), as_sample(row, str(position), axes)
        except DataError as error:
            yield str(position), error


def _in_order(model: Model, waiting: list[tuple[str, Any]]) -> Iterator[Answer]:
    """Answers for what is an array, the reason for what is none."""
    good = _said(model, [(key, x) for key, x in waiting if not isinstance(x, str)])
    for key, found in waiting:
        yield {"input": key, "error": found} if isinstance(found, str) else next(good)


def _said(model: Model, waiting: list[tuple[str, Any]]) -> Iterator[Answer]:
    if not waiting:
        return
    import torch

    from ..datasets.cache import batched
    from ..evaluation.predict import logits
    from ..grid import Batch
    from ..tasks import finished

    plan, calibration = model.plan, model.report.calibration
    x = batched([values for _, values in waiting])
    batch = Batch(x, None, torch.arange(len(x)))
    done = finished(model.task, logits(model.network, [batch], plan), plan, calibration)
    found = model.task.telling.answers(done, plan, calibration)
    for (key, _), answer in zip(waiting, found, strict=True):
        yield {"input": key, **answer}
