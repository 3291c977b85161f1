"""Cross-validation: a run for each fold inside one run, and the model that they make together.

``RUN/fold-1``, ``RUN/fold-2``, ... are runs like any other, with the folds' own parts as test
parts. They share one plan, drawn on what the first fold learns from, and one cache of the data.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import PlanError
from ..plan import Plan, replace_part
from ..progress import Progress
from ..record import read_json
from ..report import Report
from .folder import REPEATS, begin
from .hold import held, writing
from .plan import Wish, draw, drawn, stored_rows
from .sitting import fitted, go_on, set_out

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..datasets.survey import Survey
    from ..tasks import Task

FOLDER = "fold-"


def fold_folder(run: Path, number: int) -> Path:
    """The folder of a fold, 0 for the first."""
    return run / f"{FOLDER}{number + 1}"


def whole_run(run: Path) -> Path:
    """The run that a fold or a repeat belongs to; any other run is itself."""
    whole = run.absolute().parent
    if run.name.startswith("repeat-") and (whole / REPEATS).exists():
        return run.parent
    if not run.name.startswith(FOLDER) or not (whole / "plan.json").exists():
        return run
    return run.parent if read_json(whole / "plan.json").get("folds") else run


def begin_folds(
    run: Path, survey: Survey, wish: Wish, started: float, progress: Progress
) -> Report:
    """Deal out the rows, plan once, then train fold after fold and join them.

    Raises: PlanError where answers of the task cannot be joined, or a fold would be empty.
    """
    from ..planner.task import task_for, task_named

    name = task_for(survey.card, wish.task)
    _check(name, task_named(name))
    return _joined(run, *train_folds(run, survey, wish, started, progress), progress)


def train_folds(
    run: Path, survey: Survey, wish: Wish, started: float, progress: Progress
) -> tuple[Survey, Plan, NDArray[np.int64]]:
    """Deal out the rows, plan once, then train fold after fold, each judged by itself.

    Returns the survey with its rows as planned, the plan, and each row's fold.
    Raises: PlanError where a fold would be empty.
    """
    from ..datasets.folds import of_fold
    from ..networks.build import build
    from ..planner.task import task_for, task_named

    task = task_named(task_for(survey.card, wish.task))
    fold = _dealt(survey, wish.folds, wish.seed, task)
    for number in range(wish.folds):
        task.check(of_fold(survey, fold, number).card)
    plan, laid, split = draw(of_fold(survey, fold, 0), wish, progress=progress)
    build(plan)  # an edited plan that cannot be built must not leave a run behind
    # As many views of each sample, and networks, in every fold as the time of the first allows.
    first = fitted(plan, laid, split, started)[0]
    plan = replace_part(plan, "fit", members=first.fit.members)
    plan = dataclasses.replace(plan, judge=first.judge, folds=wish.folds)
    begin(run, survey.card, plan)
    survey = dataclasses.replace(survey, store=laid.store, truths=laid.truths)
    _one_by_one(run, survey, plan, fold, started, progress)
    return survey, plan, fold


def go_on_with_folds(run: Path, survey: Survey, plan: Plan, progress: Progress) -> Report:
    """Go on with the fold that was interrupted, then train the others and join them all."""
    from ..planner.task import task_named

    fold = _dealt(survey, plan.folds, plan.seed, task_named(plan.task))
    survey = stored_rows(survey, plan, progress=progress)
    _one_by_one(run, survey, plan, fold, time.monotonic(), progress)
    return _joined(run, survey, plan, fold, progress)


def _check(name: str, task: Task) -> None:
    if task.joined is None:
        raise PlanError(
            f"the task {name!r} cannot be cross-validated into one model: {task.alone}",
            where="--folds",
            mend="train without --folds, or once for each seed with --seed",
        )


def _dealt(survey: Survey, count: int, seed: int, task: Task) -> NDArray[np.int64]:
    from ..datasets.folds import folds

    return folds(survey, count, seed, apart=bool(task.apart))


def _one_by_one(
    run: Path,
    survey: Survey,
    plan: Plan,
    fold: NDArray[np.int64],
    started: float,
    progress: Progress,
) -> None:
    """Train what is left of the folds; ``started`` is when the first of these began."""
    from ..datasets.folds import of_fold

    for number in range(plan.folds):
        here = fold_folder(run, number)
        if not (here / "report.json").exists():
            progress.say(f"fold {number + 1} of {plan.folds}")
            with writing(run):
                here.mkdir(exist_ok=True)
            own = dataclasses.replace(plan, seed=plan.seed + number, folds=0)
            with told_of(run, f"fold {number + 1} of {plan.folds}"), held(here):
                train_in(here, of_fold(survey, fold, number), own, started, progress)
        started = time.monotonic()


def _joined(
    run: Path, survey: Survey, plan: Plan, fold: NDArray[np.int64], progress: Progress
) -> Report:
    from .pooled import pooled

    return pooled(run, survey, plan, fold, progress)


def train_in(here: Path, survey: Survey, plan: Plan, started: float, progress: Progress) -> None:
    """Train what is left of one network in its folder, and judge it."""
    if (here / "plan.json").exists():
        go_on(here, survey, started, progress, keep=True)
        return
    split = drawn(survey, plan)
    timed, reserve = fitted(plan, survey, split, started)
    timed = replace_part(timed, "fit", members=plan.fit.members)
    timed = dataclasses.replace(timed, judge=plan.judge)
    set_out(here, survey, timed, split, reserve, started, progress, keep=True)


@contextmanager
def told_of(run: Path, which: str) -> Iterator[None]:
    """A polite stop names the whole run, with which one goes on."""
    from ..training.stop import Interrupted

    try:
        yield
    except Interrupted as stopped:
        raise Interrupted(
            f"{which}: {stopped.what}", where=str(run), mend=f"foveal train --resume {run}"
        ) from None
