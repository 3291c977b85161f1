"""One network's training in its folder, begun or gone on with, up to its report."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from ..plan import Plan
from ..progress import Progress
from ..record import read_json
from ..report import Report
from .folder import Begun, begin, begun, check_plan, how_begun
from .follow import call_followers
from .hold import writing
from .plan import laid_out

if TYPE_CHECKING:
    from ..datasets.split import Split
    from ..datasets.survey import Survey
    from ..training.deadline import Deadline
    from ..training.together import Together


def fitted(plan: Plan, survey: Survey, split: Split, started: float) -> tuple[Plan, float]:
    """The plan with its steps, and the seconds of its budget that judging will take."""
    from ..evaluation.predict import check_views
    from ..training.recall import check_recall
    from .first_weights import check_members
    from .prepare_run import measured, part, task_of, timed

    check_members(plan)
    check_recall(plan, task_of(plan), len(split.train))
    check_views(plan, task_of(plan))
    if plan.budget is None:
        batches = part(plan, survey, split.train, plan.fit.batch, shuffle=True)
        return timed(plan, 1.0, len(batches), 0.0), 0.0
    return measured(plan, survey, split, plan.budget - (time.monotonic() - started))


def set_out(
    run: Path,
    survey: Survey,
    plan: Plan,
    split: Split,
    reserve: float,
    started: float,
    progress: Progress,
    *,
    keep: bool = False,
    group: Together | None = None,
) -> Report:
    """Train a fitted plan into an empty folder, and judge. keep: also keep the test answers.
    group: the processes that train it."""
    begin(run, survey.card, plan)
    progress.say(f"training into {run}")
    return _carry_out(run, survey, plan, split, reserve, started, progress, keep=keep, group=group)


def go_on(
    run: Path,
    survey: Survey,
    started: float,
    progress: Progress,
    *,
    keep: bool = False,
    group: Together | None = None,
) -> Report:
    """Train what is left, and judge. Raises: RunError when the plan was edited meanwhile."""
    from ..training import checkpoint
    from .prepare_run import measured

    plan = Plan.from_dict(read_json(run / "plan.json"), str(run / "plan.json"))
    before = how_begun(run, plan)
    check_plan(run, plan, before.plan)
    survey, split = laid_out(survey, plan, progress=progress)
    state = checkpoint.load(run / "checkpoint")
    # As if the earlier sittings had come right before this one.
    trained = float(state.facts["seconds"]) if state else 0.0
    started -= before.before + trained
    reserve = 0.0 if plan.budget is None else measured(plan, survey, split, plan.budget)[1]
    return _carry_out(
        run, survey, plan, split, reserve, started, progress, trained, keep=keep, group=group
    )


def _carry_out(
    run: Path,
    survey: Survey,
    plan: Plan,
    split: Split,
    reserve: float,
    started: float,
    progress: Progress,
    trained: float | None = None,
    *,
    keep: bool,
    group: Together | None,
) -> Report:
    """Train and judge; ``trained`` seconds of it were done in earlier sittings, None if new."""
    import torch

    from ..datasets.augment import augment
    from ..training.loop import fit
    from ..training.stop import Stop
    from ..training.together import ALONE
    from .finish import Finish, validation
    from .first_weights import new_network
    from .prepare_run import part, task_of

    together = group or ALONE
    call_followers(together, run, plan, survey.card.digest)
    torch.set_num_threads(together.threads(plan.fit.threads))
    network = new_network(plan, survey, split)
    batches = part(plan, survey, split.train, plan.fit.batch, shuffle=True)
    begun(run, Begun(how_begun(run, plan).plan, time.monotonic() - started - (trained or 0.0)))
    deadline = None if plan.budget is None else _deadline(plan, started, reserve, together)
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
            together=together,
        )
    return Finish(run, survey, plan, split, started, progress).judge(network, history, keep=keep)


def _deadline(plan: Plan, started: float, reserve: float, together: Together) -> Deadline:
    """When training must end so that judging and the report still fit the budget."""
    from ..training.crowd import Crowd
    from ..training.deadline import Deadline
    from .prepare_run import capped

    assert plan.budget is not None
    left = max(plan.budget - (time.monotonic() - started), 2.0)
    free = plan.fit.device == "cpu" and not plan.by_user("fit.threads")
    return Deadline(
        left,
        reserve=reserve,
        most=plan.fit.steps if capped(plan) else None,
        crowd=Crowd(plan.fit.threads) if free and together.alone else None,
    )
