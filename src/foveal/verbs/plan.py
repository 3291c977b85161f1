"""The network and the training that the data, the machine and the time ask for."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import PlanError
from ..plan import Plan
from ..progress import SILENT, Progress
from .evidence import evidence
from .source import Source, examine

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from ..datasets.split import Split
    from ..datasets.survey import Survey

DEFAULT_BUDGET = 600.0


@dataclasses.dataclass(frozen=True, slots=True)
class Wish:
    """What the user asked for: time, symmetry, edits. ``budget`` None means ``epochs`` decides;
    with ``folds`` or ``repeats`` both are for each of them, 0 for one network alone."""

    task: str = "auto"
    budget: float | None = None
    epochs: float | None = None
    seed: int = 0
    symmetry: str = "auto"
    changes: dict[str, str] = dataclasses.field(default_factory=dict)
    folds: int = 0
    repeats: int = 0


def plan(
    path: str | Path,
    *,
    task: str = "auto",
    target: Sequence[str] = (),
    group: str = "auto",
    test: str | Path | None = None,
    budget: float | None = None,
    epochs: float | None = None,
    seed: int = 0,
    symmetry: str = "auto",
    changes: dict[str, str] | None = None,
    bad_files: str = "skip",
    progress: Progress = SILENT,
) -> Plan:
    """The complete plan for a data set, each number with its reason; nothing is trained.

    budget: seconds for the whole command (600 when neither it nor ``epochs`` is given).
    changes: edits such as ``{"net.widths": "[16, 32, 64]"}``.
    Raises: DataError for unusable data, PlanError for an impossible wish.
    """
    wish = Wish(task, budget, epochs, seed, symmetry, changes or {})
    check(wish)
    source = Source(str(path), str(test) if test else None, bad_files, tuple(target), group)
    survey = examine(source, task=task, progress=progress)
    made, survey, split = draw(survey, wish, progress=progress)
    from .sitting import fitted

    return fitted(made, survey, split, time.monotonic())[0]


def draw(survey: Survey, wish: Wish, *, progress: Progress = SILENT) -> tuple[Plan, Survey, Split]:
    """A plan for surveyed data, the survey with its rows as planned, and the split."""
    from ..planner.machine import measure
    from ..planner.make import make_plan
    from ..planner.task import task_for

    budget = DEFAULT_BUDGET if wish.budget is None and wish.epochs is None else wish.budget
    asked: dict[str, Any] = {
        "task": task_for(survey.card, wish.task),
        "budget": budget,
        "epochs": wish.epochs,
        "seed": wish.seed,
        "symmetry": wish.symmetry,
        "changes": wish.changes,
    }
    progress.say("measuring this machine")
    machine = measure()
    plan = make_plan(survey.card, machine, **asked)
    split = drawn(survey, plan)
    asked["found"] = _observed(survey, split, plan)
    if asked["found"] is not None:
        plan = make_plan(survey.card, machine, **asked)
    rows = stored_rows(survey, plan, progress=progress)
    if wish.symmetry != "none":  # a wish is kept, and what the data says stands beside it
        seen = evidence(rows, split, plan)
        plan = make_plan(rows.card, machine, evidence=seen.mirrors, turns=seen.turns, **asked)
    return plan, rows, split


def laid_out(survey: Survey, plan: Plan, *, progress: Progress = SILENT) -> tuple[Survey, Split]:
    """The survey with its rows as the plan wants them, and the rows of each part."""
    return stored_rows(survey, plan, progress=progress), drawn(survey, plan)


def stored_rows(survey: Survey, plan: Plan, *, progress: Progress = SILENT) -> Survey:
    """The survey with its rows as the plan wants them."""
    from ..datasets.survey import stored

    return stored(survey, plan.data, progress=progress)


def drawn(survey: Survey, plan: Plan) -> Split:
    """The labelled rows of each part."""
    from ..datasets.split import Split, split
    from ..planner.task import task_named

    found = split(
        survey.strata,
        survey.parts,
        survey.copied,
        groups=survey.groups,
        validation=plan.data.validation,
        test=plan.data.test,
        seed=plan.seed,
        apart=bool(task_named(plan.task).apart),
    )
    labelled = survey.labels >= 0
    return Split(*(r[labelled[r]] for r in (found.train, found.validation, found.test)))


def _observed(survey: Survey, split: Split, plan: Plan) -> Any:
    """What this kind of data must learn from its training rows before it can be planned."""
    from ..planner.kinds import Rows, observed

    def gather(rows: NDArray[Any]) -> NDArray[Any]:
        values: NDArray[Any] = survey.store.gather(rows).numpy()
        return values

    rows = Rows(gather, split.train, survey.labels[split.train], plan.seed)
    return observed(survey.card, rows)


def check(wish: Wish) -> None:
    """Raises: PlanError for an impossible wish, before anything is read."""
    if wish.task.endswith(".py"):
        raise PlanError(
            f"the task {wish.task!r} is a file; a run cannot use one yet",
            where="--task",
            mend="give the name of a task that comes with Foveal, such as classify",
        )
    if wish.task != "auto":
        from ..planner.task import task_named

        task_named(wish.task)
    if wish.budget is not None and wish.epochs is not None:
        raise PlanError(
            "both a budget and a number of epochs were given",
            where="--budget, --epochs",
            mend="give one: a budget in time, or the passes over the data",
        )
    for name, value in (("--budget", wish.budget), ("--epochs", wish.epochs)):
        if value is not None and not 0 < value < 1e9:
            raise PlanError(
                f"{value:g} is not a time or a count", where=name, mend="give more than 0"
            )
    if wish.folds and wish.folds < 2:
        raise PlanError(
            f"{wish.folds} folds leave nothing to learn from or nothing to judge by",
            where="--folds",
            mend="give 2 or more (5 is usual), or leave it out",
        )
    if wish.repeats and (wish.repeats < 2 or wish.folds):
        raise PlanError(
            "folds and repeats were both asked for"
            if wish.folds
            else f"{wish.repeats} training says nothing of chance",
            where="--repeats",
            mend="give one of both: --folds K to judge on all data, --repeats K for other seeds"
            if wish.folds
            else "give 2 or more (3 is usual), or leave it out",
        )
