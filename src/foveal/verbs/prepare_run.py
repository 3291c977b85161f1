"""From a plan to batches of a part, and to the number of steps that the time holds."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from importlib import import_module
from math import ceil, prod
from typing import TYPE_CHECKING, Any

import numpy as np

from ..baselines import Question
from ..datasets.batches import Batches
from ..duration import spoken
from ..errors import PlanError
from ..grid import time_of
from ..plan import Plan, replace_part
from ..planner.task import task_named
from ..tasks import Task
from .first_weights import new_network
from .pace import paced
from .patience import latest

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from ..datasets.split import Split
    from ..datasets.survey import Survey
    from ..datasets.truth_store import TruthStore

LEAST_STEPS = 10  # or a pass, where that is less: fewer are no training
MOST_MEMBERS = 5  # more add little
LAST = 2.5  # seconds for intervals, leaks and the page


def task_of(plan: Plan) -> Task:
    """The task that the plan names."""
    return task_named(plan.task)


def part(plan: Plan, survey: Survey, rows: NDArray[np.int64], batch: int, shuffle: bool) -> Batches:
    """Batches of some rows with their targets."""
    if survey.truths is not None:
        targets: Tensor | TruthStore = survey.truths
    else:
        targets = task_of(plan).encode(survey.targets(rows), plan)
    return Batches(
        survey.store,
        rows,
        targets,
        batch=batch,
        seed=plan.seed,
        device=plan.fit.device,
        shuffle=shuffle,
    )


def pairs_question(plan: Plan, survey: Survey, split: Split) -> Question:
    """What simple models are asked where targets lie on the grid: samples and targets, batch by
    batch."""
    from ..evaluation.predict import batch_size

    rows = {"train": split.train, "test": split.test}

    def pairs(name: str) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
        for batch in part(plan, survey, rows[name], batch_size(plan), shuffle=False).epoch(0):
            assert batch.y is not None, "such parts have targets"
            yield batch.x.cpu().numpy(), batch.y.cpu().numpy()

    nothing = np.zeros(0)
    return Question(
        known=lambda rows: np.zeros((len(rows), 0), np.float32),
        asked=lambda: np.zeros((0, 0), np.float32),
        width=0,
        words="single cells",
        learned=nothing,
        truth=nothing,
        seconds=baseline_seconds(plan.budget or 600.0),
        seed=plan.seed,
        pairs=pairs,
    )


def measured(plan: Plan, survey: Survey, split: Split, seconds: float) -> tuple[Plan, float]:
    """The plan with the steps that fit ``seconds`` from now on, and those of them that judging will
    take. Measuring takes some of them."""
    began = time.monotonic()
    if plan.classes and survey.truths is None:
        # Simple models will be asked. To import them takes a second alone and three beside others,
        # which the reserve would have to hold.
        import_module("sklearn.linear_model")
    network = new_network(plan, survey, split)
    batches = part(plan, survey, split.train, plan.fit.batch, shuffle=True)
    plan, step, forward, slow = paced(network, plan, batches)
    seconds -= time.monotonic() - began
    judged = fewer_views(plan, forward / batches.size, split, seconds)
    reserve = judging_seconds(judged, forward / batches.size, split, slow)
    check_room(plan.budget, seconds, min(LEAST_STEPS, len(batches)) * step, reserve)
    found = timed(judged, step, len(batches), seconds - reserve)
    asked = judging_seconds(judged, 0.0, split, slow)  # what does not grow with the members
    members, why = worth_members(found, step * found.fit.steps + reserve - asked, seconds - asked)
    if members > plan.fit.members:
        found = replace_part(found, "fit", members=members)
        reserve = asked + (reserve - asked) * members
    return dataclasses.replace(found, why={**found.why, "fit.members": why}), reserve


def worth_members(plan: Plan, seconds: float, left: float) -> tuple[int, str]:
    """Networks that learn side by side where one, in ``seconds``, would not use the time left.

    Source: the mean of networks from other first weights errs less and is better calibrated,
        Lakshminarayanan, Pritzel and Blundell, arXiv:1612.01474.
    """
    why = plan.why.get("fit.members", "")
    if plan.by_user("fit.members"):
        return plan.fit.members, why
    if plan.budget is None or plan.folds or task_of(plan).joined is None or not capped(plan):
        return plan.fit.members, "one network can use all of the time"
    members = max(1, min(MOST_MEMBERS, int(left / max(seconds, 1e-9))))
    if members == 1:
        return 1, "one network takes more than half of the time"
    return members, (
        f"one network learns all it can in {seconds:.0f} of {left:.0f} s; "
        f"{members} from other first weights err less together"
    )


def check_room(budget: float | None, left: float, training: float, judging: float) -> None:
    """Raises: PlanError where the command would end over 5 s and 5 % late, before it begins.

    Args (seconds): left of the budget; what the least training takes, and judging.
    """
    if budget is None or training + judging <= left + latest(budget) - budget:
        return
    needed = ceil(1.1 * (budget - left + training + judging))
    raise PlanError(
        f"a budget of {spoken(budget)} cannot hold this: {spoken(max(budget - left, 0.0))} went by "
        f"before training, the fewest steps take {spoken(training)} and judging {spoken(judging)}",
        where="--budget",
        mend=f"give --budget {needed}s or more, or a smaller network (--set net.widths=...)",
    )


def timed(plan: Plan, step: float, per_epoch: int, seconds: float) -> Plan:
    """The plan with the steps that ``seconds`` of training hold, at ``step`` seconds each."""
    from ..planner.fitting import MOST_EPOCHS

    if plan.by_user("fit.steps"):
        return plan
    if plan.by_user("fit.epochs") or plan.budget is None:
        steps = max(1, round(plan.fit.epochs * per_epoch))
        why = f"{plan.fit.epochs:g} epochs of {per_epoch} batches"
        return _with(plan, plan.fit.epochs, steps, plan.why["fit.epochs"], why)
    # A planner that knows where more passes stop to pay has said so.
    worth = plan.fit.epochs if "never worth" in plan.why.get("fit.epochs", "") else MOST_EPOCHS
    most, seconds = round(worth * per_epoch), max(seconds, 0.0)
    share = prod(plan.fit.coarse_size) / prod(plan.data.size)
    step *= 1 - plan.fit.coarse * (1 - share)  # the smaller samples of the first steps
    steps = int(max(1, min(most, seconds / step)))
    why = f"{plan.fit.batch} samples take {step * 1000:.0f} ms; {seconds:.0f} s hold {steps} steps"
    if steps >= most:
        why += f" (more than {worth:g} epochs were never worth their time)"
    return _with(plan, round(steps / per_epoch, 3), steps, why, why)


def _with(plan: Plan, epochs: float, steps: int, why_epochs: str, why_steps: str) -> Plan:
    why = {**plan.why, "fit.epochs": why_epochs, "fit.steps": why_steps}
    return dataclasses.replace(replace_part(plan, "fit", epochs=epochs, steps=steps), why=why)


def capped(plan: Plan) -> bool:
    """Whether the steps are limited by something else than the time."""
    return "never worth" in plan.why["fit.steps"] or plan.by_user("fit.steps")


def fewer_views(plan: Plan, forward: float, split: Split, budget: float) -> Plan:
    """The plan with as many views as cost at most a fourteenth of the budget, or as its user set.

    forward: seconds of one sample's forward pass.
    """
    from ..evaluation.predict import planned_views

    once = forward * (len(split.validation) + len(split.test))
    less = {"sizes": 1, "turns": 1, "shift": 0, "mirror": False}
    if not plan.augment.zoom:
        del less["sizes"]
    if not plan.augment.turn:
        del less["turns"]
    reason = f"more views of {len(split.test)} test samples would cost too much of the time"
    for name, value in less.items():
        if once * len(planned_views(plan)) <= budget / 14:
            break
        if getattr(plan.judge, name) != value and not plan.by_user(f"judge.{name}"):
            plan = replace_part(plan, "judge", **{name: value})
            plan = dataclasses.replace(plan, why={**plan.why, f"judge.{name}": reason})
    return plan


def judging_seconds(plan: Plan, forward: float, split: Split, slow: float = 1.0) -> float:
    """Seconds from the last training step to the end of the command.

    slow: so many times longer than on an idle machine all takes that was not measured.
    """
    from ..evaluation.predict import planned_views
    from ..evaluation.video_baselines import MOST

    assert plan.budget is not None
    views = forward * (len(split.validation) + len(split.test)) * len(planned_views(plan))
    if time_of(plan.axes) is not None:  # asked twice more, without motion
        views += 2 * forward * min(len(split.test), MOST) * len(planned_views(plan))
    simple = baseline_seconds(plan.budget, text=plan.data.text is not None)
    simple *= 1.0 if plan.data.text is not None else 1.5  # the tiny network has half as much again
    return views + slow * (simple + LAST + 0.006 * plan.budget)


def baseline_seconds(budget: float, *, text: bool = False) -> float:
    """What the simple baselines may take: a fiftieth of the time, at most ten seconds.

    Of texts, where they are strong rivals and have every pair of words to count, a tenth, at most
    twenty seconds.
    """
    return min(20.0, 0.1 * budget) if text else min(10.0, 0.02 * budget)
