"""What a process does that helps another one to train: it reads the same data and makes the same
steps, and writes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DataError, PlanError
from ..plan import Plan
from ..report import Report
from .plan import Wish, laid_out
from .source import Source, examine

if TYPE_CHECKING:
    from ..training.together import Together


def check_together(group: Together, wish: Wish) -> None:
    """Raises: PlanError for what several processes cannot do."""
    if not group.alone and (wish.folds or wish.repeats):
        raise PlanError(
            f"{group.count} processes train one network, but several were asked for",
            where="--folds" if wish.folds else "--repeats",
            mend="start it without torchrun, or leave it out",
        )


def call_followers(group: Together, run: Path, plan: Plan, digest: str) -> None:
    """Tell the other processes what is trained."""
    if group.alone:
        return
    from .folder import source_of

    source = source_of(run).to_dict()
    group.told({"run": str(run), "plan": plan.to_dict(), "source": source, "digest": digest})


def follow(group: Together) -> Report:
    """Help the first process to train, and give its report.

    Raises: DataError when the data here is not what the first process reads.
    """
    told = group.told({})
    if "plan" in told:
        _train(group, told)
        told = group.told({})
    return Report.from_dict(told["report"])


def _train(group: Together, told: dict[str, Any]) -> None:
    import torch

    from ..datasets.augment import augment
    from ..training.loop import fit
    from ..training.stop import Stop
    from .first_weights import new_network
    from .prepare_run import part, task_of

    plan = Plan.from_dict(told["plan"])
    source = Source.from_dict(told["source"])
    survey = examine(source, task=plan.task)
    if survey.card.digest != told["digest"]:
        raise DataError(
            f"process {group.rank} finds other data than process 0",
            where=source.path,
            mend="give every machine the same files under the same path",
        )
    survey, split = laid_out(survey, plan)
    torch.set_num_threads(group.threads(plan.fit.threads))
    network = new_network(plan, survey, split)
    batches = part(plan, survey, split.train, plan.fit.batch, shuffle=True)
    with Stop() as stop:
        fit(
            network,
            task_of(plan),
            batches,
            augment,
            lambda asked: {},
            plan,
            Path(told["run"]),
            stop=stop,
            together=group,
        )
