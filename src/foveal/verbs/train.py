"""The whole road: look, plan, train, judge, report. A run is a folder that can be resumed."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from ..card import Card
from ..errors import RunError
from ..plan import Plan
from ..progress import SILENT, Progress
from ..record import read_json, write_json
from ..report import Report
from .folder import begin, new_folder
from .plan import Wish, draw, laid_out
from .source import Source, examine

if TYPE_CHECKING:
    from ..datasets.split import Split
    from ..datasets.survey import Survey
    from ..training.deadline import Deadline


def train(
    path: str | Path,
    *,
    task: str = "auto",
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

    budget: seconds for the whole command, from ``started`` (a `time.monotonic` value; now when
    None) to the report. out: the run folder; ``runs/<name>`` when None, numbered when taken.
    Raises: DataError, PlanError, RunError with how to mend; Interrupted after saving.
    """
    started = time.monotonic() if started is None else started
    source = Source(str(path), str(test) if test else None, bad_files)
    survey = examine(source, progress=progress)
    wish = Wish(task, budget, epochs, seed, symmetry, changes or {})
    return train_survey(survey, wish, source, out, started, progress)


def train_survey(
    survey: Survey,
    wish: Wish,
    source: Source | None,
    out: str | Path | None,
    started: float,
    progress: Progress = SILENT,
) -> Report:
    """The road from surveyed data on; ``source`` None when it cannot be read again."""
    from .prepare_run import measured, part, timed

    run = new_folder(out, survey.card.name)
    plan, survey, split = draw(survey, wish, progress=progress)
    if plan.budget is None:
        batches = part(plan, survey, split.train, plan.fit.batch, shuffle=True)
        plan, deadline = timed(plan, 1.0, len(batches), 0.0), None
    else:
        left = plan.budget - (time.monotonic() - started)
        plan, reserve = measured(plan, survey, split, left)
        deadline = _deadline(plan, started, 0.0, reserve)
    begin(run, survey.card, plan, source)
    return _carry_out(run, survey, plan, split, deadline, started, progress)


def resume(run: str | Path, *, progress: Progress = SILENT) -> Report:
    """Go on with a run that was killed or interrupted; a finished one gives its report.

    With a number of epochs the weights end the same to the last bit, on the same machine with
    as many threads. Raises: RunError when the folder is no run, or its data has changed.
    """
    from ..training import checkpoint
    from .prepare_run import measured

    started = time.monotonic()
    run = Path(run)
    if (run / "report.json").exists():
        progress.say(f"{run} is finished; this is its report")
        return Report.from_dict(read_json(run / "report.json"), str(run / "report.json"))
    plan = Plan.from_dict(read_json(run / "plan.json"), str(run / "plan.json"))
    if not (run / "source.json").exists():
        raise RunError(
            "this run was trained on arrays in memory, which are gone",
            where=str(run),
            mend="call fit again with the same arrays",
        )
    source = Source.from_dict(read_json(run / "source.json"), str(run / "source.json"))
    survey = examine(source, progress=progress)
    before = Card.from_dict(read_json(run / "card.json"), str(run / "card.json"))
    if before.digest != survey.card.digest:
        raise RunError(
            f"the data is not what this run began with ({before.count} samples then, "
            f"{survey.card.count} now)",
            where=source.path,
            mend="restore the data, or train anew with another --out",
        )
    survey, split = laid_out(survey, plan, progress=progress)
    deadline = None
    if plan.budget is not None:
        state = checkpoint.load(run / "checkpoint")
        spent = float(state.facts["seconds"]) if state else 0.0
        reserve = measured(plan, survey, split, plan.budget)[1]
        deadline = _deadline(plan, started, spent, reserve)
    return _carry_out(run, survey, plan, split, deadline, started, progress, resumed=True)


def _carry_out(
    run: Path,
    survey: Survey,
    plan: Plan,
    split: Split,
    deadline: Deadline | None,
    started: float,
    progress: Progress,
    resumed: bool = False,
) -> Report:
    import torch

    from ..datasets.augment import augment
    from ..training.loop import fit
    from ..training.stop import Stop
    from .finish import Finish, validation
    from .prepare_run import new_network, part, task_of

    torch.set_num_threads(plan.fit.threads)
    network = new_network(plan, survey, split)
    batches = part(plan, survey, split.train, plan.fit.batch, shuffle=True)
    with Stop() as stop:
        history = fit(
            network,
            task_of(plan),
            batches,
            augment,
            validation(plan, survey, split),
            plan,
            run,
            deadline=deadline,
            resume=resumed,
            stop=stop,
            progress=progress,
        )
    write_json(run / "plan.json", plan.to_dict())
    return Finish(run, survey, plan, split, started, progress).judge(network, history)


def _deadline(plan: Plan, started: float, spent: float, reserve: float) -> Deadline:
    """When training must end so that judging and the report still fit the budget."""
    from ..training.deadline import Deadline
    from .prepare_run import capped

    assert plan.budget is not None
    left = max(plan.budget - spent - (time.monotonic() - started), 2.0)
    return Deadline(left, reserve=reserve, most=plan.fit.steps if capped(plan) else None)
