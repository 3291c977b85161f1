"""Which task a data set asks for."""

from __future__ import annotations

from .. import find, tasks
from ..card import Card
from ..errors import PlanError
from ..tasks import Task

AUTO = "auto"


def task_for(card: Card, asked: str = AUTO) -> str:
    """The name of the task: the one ``asked`` for, else the first whose target fits the card.

    Raises: PlanError when no task fits.
    """
    if asked != AUTO:
        return asked
    for name in find.names(tasks):
        if task_named(name).fits(card):
            return name
    raise PlanError(
        f"no task learns targets of the kind {card.target!r}",
        where=card.path,
        mend=f"name one with --task: {', '.join(find.names(tasks))}",
    )


def task_named(name: str) -> Task:
    """The task in the file of that name. Raises: FovealError naming the nearest."""
    found: Task = find.load(tasks, name).TASK
    return found
