"""The same training with several seeds inside one run: how far chance alone moves the scores.

``RUN/repeat-1``, ``RUN/repeat-2``, ... are runs like any other that share plan, cache and parts;
only first weights, order and augmentation are drawn anew. The model of the run is the first one.
"""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ..plan import Plan
from ..progress import Progress
from ..record import read_json, write_bytes, write_json
from ..report import Report
from .folder import REPEATS, begin
from .folds import told_of, train_in
from .hold import held, writing
from .plan import Wish, draw, drawn, stored_rows
from .sitting import fitted

if TYPE_CHECKING:
    from ..datasets.survey import Survey

FOLDER = "repeat-"


def begin_repeats(
    run: Path, survey: Survey, wish: Wish, started: float, progress: Progress
) -> Report:
    """Plan once, then train with one seed after the other; each has the whole budget."""
    from ..datasets.folds import of_parts
    from ..networks.build import build

    plan, laid, split = draw(survey, wish, progress=progress)
    build(plan)  # an edited plan that cannot be built must not leave a run behind
    plan = fitted(plan, laid, split, started)[0]
    with writing(run):
        write_json(run / REPEATS, {"count": wish.repeats})
    begin(run, survey.card, plan)
    return _one_by_one(run, of_parts(laid, split), plan, wish.repeats, started, progress)


def go_on_with_repeats(run: Path, survey: Survey, plan: Plan, progress: Progress) -> Report:
    """Go on with the training that was interrupted, then with the others."""
    from ..datasets.folds import of_parts

    count = int(read_json(run / REPEATS)["count"])
    survey = stored_rows(survey, plan, progress=progress)
    survey = of_parts(survey, drawn(survey, plan))
    return _one_by_one(run, survey, plan, count, time.monotonic(), progress)


def _one_by_one(
    run: Path, survey: Survey, plan: Plan, count: int, started: float, progress: Progress
) -> Report:
    """Train what is left; ``started`` is when the first of these began."""
    for number in range(count):
        here, name = run / f"{FOLDER}{number + 1}", f"training {number + 1} of {count}"
        if not (here / "report.json").exists():
            progress.say(f"{name}, seed {plan.seed + number}")
            with writing(run):
                here.mkdir(exist_ok=True)
            own = dataclasses.replace(plan, seed=plan.seed + number)
            with told_of(run, name), held(here):
                train_in(here, survey, own, started, progress)
        started = time.monotonic()
    return _joined(run, survey, plan, count)


def _joined(run: Path, survey: Survey, plan: Plan, count: int) -> Report:
    """The first training as the run's own, with what became of all of them."""
    from ..evaluation.page import write_page
    from ..evaluation.repeats import repeat_table, sentence
    from .kept import join_tested
    from .prepare_run import task_of

    folders, task = [run / f"{FOLDER}{number + 1}" for number in range(count)], task_of(plan)
    reports = [Report.from_dict(read_json(f / "report.json"), str(f)) for f in folders]
    table, first = repeat_table(reports, task.judging.rows), reports[0]
    told = sentence(table, task.judging.main, task.judging.figures[task.judging.main])
    seconds = round(sum(report.cost["seconds"] for report in reports), 2)
    said = [*first.details["verdict"], *([told] if told else [])]
    report = dataclasses.replace(
        first,
        repeats=table,
        verdict=" ".join(said),
        cost={**first.cost, "seconds": seconds},
        details={**first.details, "verdict": said, "run": str(run)},
    )
    with writing(run):
        join_tested(folders, run)
        write_bytes(run / "weights.safetensors", (folders[0] / "weights.safetensors").read_bytes())
        write_page(report, survey.card, plan, task, run / "report.html")
        write_json(run / "report.json", report.to_dict())
    return report
