"""The rungs below the planned network: which simple models are asked about the test part."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from ..baselines import Baseline, cells, frames, rocket, tiny_cnn
from ..baselines.text import of_texts
from ..grid import time_of
from .prepare_run import baseline_seconds, pairs_question

if TYPE_CHECKING:
    from .finish import Finish


def ladder(finish: Finish) -> tuple[Baseline, ...]:
    """What they say, the simplest first; () where the task has none for such samples."""
    plan, survey, task = finish.plan, finish.survey, finish.task
    train, test = finish.split.train, finish.split.test
    budget, text, seed = plan.budget or 600.0, plan.data.text, plan.seed
    if text is not None:
        if task.target != "label":
            return ()
        known, asked = ((finish.texts(rows), finish.targets(rows)) for rows in (train, test))
        limit = baseline_seconds(budget, text=True)
        return of_texts(*known, *asked, unit=text.unit, seconds=limit, seed=seed)
    simple = task.judging.baselines
    if survey.truths is not None:
        return simple(pairs_question(plan, survey, finish.split), plan)
    rows = (train, finish.targets(train)), (test, finish.targets(test))
    gather, along, seconds = survey.store.gather, time_of(plan.axes), baseline_seconds(budget)
    tiny = tiny_cnn.own(gather, train, test, seconds=seconds / 2, seed=seed)
    own = () if task.apart else (tiny,)
    if along is not None:
        clips = cells.question(gather, *rows, seconds=seconds / 2, seed=seed)
        frame = frames.question(gather, along, *rows, seconds=seconds / 2, seed=seed)
        return frames.beside(simple(dataclasses.replace(clips, own=own), plan), simple(frame, plan))
    question = cells.question(gather, *rows, seconds=seconds, seed=seed)
    if plan.sees == "signal":
        own = (rocket.own(gather, train, test, seconds=seconds, seed=seed), *own)
    return simple(dataclasses.replace(question, own=own), plan)
