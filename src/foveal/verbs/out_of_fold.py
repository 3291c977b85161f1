"""Answers to every sample by networks that did not learn from it, for a verb that keeps no run."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..plan import Plan
from ..progress import Progress
from ..record import read_json
from ..report import Report
from .folder import new_run
from .folds import fold_folder, train_folds
from .kept import load_answers
from .plan import Wish, check

if TYPE_CHECKING:
    from ..datasets.survey import Survey


@dataclass(frozen=True, slots=True, eq=False)
class OutOfFold:
    """rows: positions in the survey ``(N,)``. raw, target: as in `tasks.Answers`. done: what each
    network's own calibration makes of ``raw``, empty where answers lie on a sample's own grid."""

    rows: NDArray[np.int64]
    raw: NDArray[np.float32]
    target: NDArray[Any]
    done: NDArray[np.float64]
    plan: Plan


def out_of_fold(survey: Survey, wish: Wish, started: float, progress: Progress) -> OutOfFold:
    """Ask ``wish.folds`` networks, each about the samples that it did not learn from.

    ``wish.budget`` is for each. Raises: PlanError, RunError as training does; Interrupted when
    asked to stop, and nothing is left then.
    """
    from ..planner.task import task_named
    from ..tasks import finished
    from ..training.stop import Interrupted

    check(wish)
    rows, raws, targets, done = [], [], [], []
    with tempfile.TemporaryDirectory(prefix="foveal-labels-") as folder:
        try:
            with new_run(Path(folder) / "run", survey.card.name) as run:
                survey, plan, dealt = train_folds(run, survey, wish, started, progress)
        except Interrupted as stopped:
            reason = stopped.what.partition("stopped by ")[2].partition(";")[0] or "request"
            raise Interrupted(
                f"stopped by {reason} before all networks had answered; nothing is kept",
                where=survey.card.path,
                mend="ask again; a smaller --budget ends sooner",
            ) from None
        task = task_named(plan.task)
        for number in range(plan.folds):
            here = fold_folder(run, number)
            kept = load_answers(here)
            rows.append(np.flatnonzero((dealt == number) & (survey.labels >= 0)))
            raws.append(kept.raw)
            targets.append(kept.target)
            if task.own is None:
                report = read_json(here / "report.json")
                known = Report.from_dict(report, str(here / "report.json")).calibration
                done.append(finished(task, kept.raw, plan, known))
    said = np.concatenate(done) if done else np.zeros((0, 0))
    return OutOfFold(
        np.concatenate(rows), np.concatenate(raws), np.concatenate(targets), said, plan
    )
