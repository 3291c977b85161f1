"""Networks of a plan: with their first weights, or without any until a file brings them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torch.nn.functional import one_hot

from ..errors import PlanError
from ..networks.build import Network, build
from ..networks.ensemble import Ensemble
from ..plan import Plan
from ..planner.task import task_named
from ..tasks import Calibration

if TYPE_CHECKING:
    from ..datasets.split import Split
    from ..datasets.survey import Survey

STEM_SAMPLES = 4000
PRIOR_SAMPLES = 64
STARTED = 1024  # samples that a task's own first weights are worked out from
STEM_CELLS = 2**24  # of all these samples: 64 MB for each channel
APART = 1_000_003  # between the seeds of networks that learn side by side


def new_network(plan: Plan, survey: Survey, split: Split) -> Network | Ensemble:
    """What the plan trains, with first weights: one network, or several that answer together."""
    seeds = [plan.seed + APART * number for number in range(plan.fit.members)]
    members = [_one(dataclasses.replace(plan, seed=seed), survey, split) for seed in seeds]
    return members[0] if len(members) == 1 else _joined(members, plan, {})


def _one(plan: Plan, survey: Survey, split: Split) -> Network:
    """A network with first weights: whitening and base rates come from training rows alone."""
    task = task_named(plan.task)
    # Targets on the grid are as large as their samples: a few tell the base rates.
    known = split.train if survey.truths is None else split.train[:PRIOR_SAMPLES]
    targets = task.encode(survey.targets(known), plan)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(plan.seed)
        head = task.head(plan, plan.net.features, targets)
    network = build(plan, head)
    rng = np.random.default_rng(plan.seed)
    most = min(STEM_SAMPLES, max(1, STEM_CELLS // prod(plan.data.size)))
    rows = np.sort(rng.permutation(split.train)[:most])
    network.fit_stem(survey.store.gather(rows))
    if plan.net.votes and task.target != "numbers":
        member = targets if targets.ndim > 1 else one_hot(targets, plan.outputs)
        network.start_votes(survey.store.gather(split.train), member)
    if task.start is not None:
        order = rng.permutation(len(split.train))[: min(most, STARTED)]
        task.start(network, survey.store.gather(split.train[order]), targets[order], plan)
    return network


def empty_network(plan: Plan, calibration: Calibration) -> Network | Ensemble:
    """What a plan trains or has trained, still without its weights."""
    if plan.folds:
        alone = dataclasses.replace(plan, folds=0)
        return _joined([empty_network(alone, {}) for _ in range(plan.folds)], plan, calibration)
    # Those that learned side by side are calibrated behind their mean, not before it.
    head = task_named(plan.task).head
    members = [build(plan, head(plan, plan.net.features, None)) for _ in range(plan.fit.members)]
    return members[0] if len(members) == 1 else _joined(members, plan, {})


def check_members(plan: Plan) -> None:
    """Raises: PlanError where so many networks cannot answer together."""
    task, count = task_named(plan.task), plan.fit.members
    if count == 1 or (count > 1 and task.joined is not None):
        return
    why = "there must be one at least" if count < 1 else task.alone
    raise PlanError(
        f"{count} networks of the task {plan.task!r} cannot answer together: {why}",
        where="plan field fit.members",
        mend="--set fit.members=1",
    )


def _joined(members: Sequence[nn.Module], plan: Plan, calibration: Calibration) -> Ensemble:
    joined = task_named(plan.task).joined
    assert joined is not None, "checked before there were several networks"
    return Ensemble(members, lambda raws: joined(raws, plan, calibration))
