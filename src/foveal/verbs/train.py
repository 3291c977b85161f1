"""The whole road: look, plan, train, judge, report. A run is a folder that can be resumed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..card import Card
from ..errors import RunError
from ..plan import Plan
from ..progress import SILENT, Progress
from ..record import read_json
from ..report import Report
from .folder import (
    Begun,
    begin,
    begun,
    check_plan,
    how_begun,
    new_run,
    note,
    noted,
    source_of,
)
from .hold import held, stoppable, writing
from .plan import Wish, check, draw, laid_out
from .source import Source, examine

if TYPE_CHECKING:
    from ..datasets.split import Split
    from ..datasets.survey import Survey
    from ..training.deadline import Deadline


def train(
    path: str | Path,
    *,
    task: str = "auto",
    target: Sequence[str] = (),
    group: str = "auto",
    test: str | Path | None = None,
    budget: float | None = None,
    epochs: float | None = None,
    out: str | Path | None = None,
    seed: int = 0,
    symmetry: str = "auto",
    changes: dict[str, str] | None = None,
    bad_files: str = "skip",
    started: float | None = None,
    progress: Progress = SILENT,
) -> Report:
    """Train on a data set, judge once on its test part, and leave a run folder.

    task: the name of a task; "auto" reads it off the targets. target: columns of a table to be
    learned. group: "auto" keeps what belongs together on one side of a split, "none" does not.
    budget: seconds for the whole command, from ``started`` (a `time.monotonic` value; now when
    None) to the report. out: the run folder; ``runs/<name>`` when None, numbered when taken.
    Raises: DataError, PlanError, RunError with how to mend; Interrupted after saving.
    """
    started = time.monotonic() if started is None else started
    source = Source(str(path), str(test) if test else None, bad_files, tuple(target), group)
    wish = Wish(task, budget, epochs, seed, symmetry, changes or {})
    check(wish)
    with new_run(out, Path(path).absolute().stem) as run:
        note(run, source, wish)
        return _begin(run, examine(source, task=task, progress=progress), wish, started, progress)


def train_survey(
    survey: Survey,
    wish: Wish,
    source: Source | None,
    out: str | Path | None,
    started: float,
    progress: Progress = SILENT,
) -> Report:
    """The road from surveyed data on; ``source`` None when it cannot be read again."""
    check(wish)
    with new_run(out, survey.card.name) as run:
        if source is not None:
            note(run, source, wish)
        return _begin(run, survey, wish, started, progress)


def resume(run: str | Path, *, started: float | None = None, progress: Progress = SILENT) -> Report:
    """Go on with a run that was killed or interrupted; a finished one gives its report.

    With a number of epochs the weights end the same to the last bit, on the same machine with
    as many threads. A budget goes on where it was: ``started`` is as for `train`.

    Raises: RunError when the folder is no run, another process works in it, or its data or its
        plan has changed.
    """
    started = time.monotonic() if started is None else started
    run = Path(run)
    if not (run / "plan.json").exists():
        noted(run)  # before anything is written: this may be any folder
    elif (report := _finished(run, progress)) is not None:
        return report
    with held(run), stoppable(run):
        if not (run / "plan.json").exists():
            source, wish = noted(run)
            survey = examine(source, task=wish.task, progress=progress)
            return _begin(run, survey, wish, started, progress)
        # What had it until now may just have finished it.
        return _finished(run, progress) or _go_on(run, started, progress)


def _finished(run: Path, progress: Progress) -> Report | None:
    path = run / "report.json"
    if not path.exists():
        return None
    progress.say(f"{run} is finished; this is its report")
    return Report.from_dict(read_json(path), str(path))


def _begin(run: Path, survey: Survey, wish: Wish, started: float, progress: Progress) -> Report:
    """Plan, train and judge."""
    from ..networks.build import build
    from .prepare_run import measured, part, timed

    plan, survey, split = draw(survey, wish, progress=progress)
    build(plan)  # an edited plan that cannot be built must not leave a run behind
    reserve = 0.0
    if plan.budget is None:
        batches = part(plan, survey, split.train, plan.fit.batch, shuffle=True)
        plan = timed(plan, 1.0, len(batches), 0.0)
    else:
        left = plan.budget - (time.monotonic() - started)
        plan, reserve = measured(plan, survey, split, left)
    begin(run, survey.card, plan)
    progress.say(f"training into {run}")
    return _carry_out(run, survey, plan, split, reserve, started, progress)


def _go_on(run: Path, started: float, progress: Progress) -> Report:
    """Train what is left and judge."""
    from ..training import checkpoint
    from .prepare_run import measured

    plan = Plan.from_dict(read_json(run / "plan.json"), str(run / "plan.json"))
    before = how_begun(run, plan)
    check_plan(run, plan, before.plan)
    source = source_of(run)
    survey = examine(source, task=plan.task, progress=progress)
    card = Card.from_dict(read_json(run / "card.json"), str(run / "card.json"))
    if card.digest != survey.card.digest:
        raise RunError(
            f"the data is not what this run began with ({card.count} samples then, "
            f"{survey.card.count} now)",
            where=source.path,
            mend="restore the data, or train anew with another --out",
        )
    survey, split = laid_out(survey, plan, progress=progress)
    state = checkpoint.load(run / "checkpoint")
    # As if the earlier sittings had come right before this one.
    trained = float(state.facts["seconds"]) if state else 0.0
    started -= before.before + trained
    reserve = 0.0 if plan.budget is None else measured(plan, survey, split, plan.budget)[1]
    return _carry_out(run, survey, plan, split, reserve, started, progress, trained)


def _carry_out(
    run: Path,
    survey: Survey,
    plan: Plan,
    split: Split,
    reserve: float,
    started: float,
    progress: Progress,
    trained: float | None = None,
) -> Report:
    """Train and judge; ``trained`` seconds of it were done in earlier sittings, None if new."""
    import torch

    from ..datasets.augment import augment
    from ..training.loop import fit
    from ..training.stop import Stop
    from .finish import Finish, validation
    from .prepare_run import new_network, part, task_of

    torch.set_num_threads(plan.fit.threads)
    network = new_network(plan, survey, split)
    batches = part(plan, survey, split.train, plan.fit.batch, shuffle=True)
    begun(run, Begun(how_begun(run, plan).plan, time.monotonic() - started - (trained or 0.0)))
    deadline = None if plan.budget is None else _deadline(plan, started, reserve)
    with Stop() as stop, writing(run):
        history = fit(
            network,
            task_of(plan),
            batches,
            augment,
            validation(plan, survey, split),
            plan,
            run,
            deadline=deadline,
            resume=trained is not None,
            stop=stop,
            progress=progress,
        )
    return Finish(run, survey, plan, split, started, progress).judge(network, history)


def _deadline(plan: Plan, started: float, reserve: float) -> Deadline:
    """When training must end so that judging and the report still fit the budget."""
    from ..training.deadline import Deadline
    from .prepare_run import capped

    assert plan.budget is not None
    left = max(plan.budget - (time.monotonic() - started), 2.0)
    return Deadline(left, reserve=reserve, most=plan.fit.steps if capped(plan) else None)
