"""The whole road: look, plan, train, judge, report. A run is a folder that can be resumed."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..card import Card
from ..errors import RunError
from ..plan import Plan
from ..progress import SILENT, Progress
from ..record import read_json
from ..report import Report
from .audited import allowing, with_audit
from .folder import REPEATS, check_plan, how_begun, new_run, note, noted, source_of
from .folds import begin_folds, go_on_with_folds, whole_run
from .follow import check_together, follow
from .hold import held, stoppable
from .patience import Patience
from .plan import Wish, check, draw
from .repeats import begin_repeats, go_on_with_repeats
from .sitting import fitted, go_on, set_out
from .source import Source, examine

if TYPE_CHECKING:
    from ..datasets.survey import Survey
    from ..training.together import Together


def train(
    path: str | Path,
    *,
    task: str = "auto",
    target: Sequence[str] = (),
    group: str = "auto",
    test: str | Path | None = None,
    budget: float | None = None,
    epochs: float | None = None,
    folds: int = 0,
    repeats: int = 0,
    out: str | Path | None = None,
    seed: int = 0,
    symmetry: str = "auto",
    changes: dict[str, str] | None = None,
    bad_files: str = "skip",
    exclude: str | Path | None = None,
    relabel: str | Path | None = None,
    audit: bool = False,
    started: float | None = None,
    progress: Progress = SILENT,
) -> Report:
    """Train on a data set, judge once on its test part, and leave a run folder.

    task: the name of a task; "auto" reads it off the targets. target: columns of a table to be
    learned. group: "auto" keeps what belongs together on one side of a split, "none" does not; a
    column of a table, or a pattern of names with one bracketed part, says what belongs together.
    budget: seconds for the whole command, from ``started`` (a `time.monotonic` value; now when
    None) to the report. folds: so many networks, each judged on the part that it did not learn
    from and kept together as one model; the budget is then for each. 0 for one network. repeats:
    the same training so many times with other seeds, which tells how far chance alone moves the
    scores; the budget is for each, and the first one is the run's model.
    exclude, relabel: tables of samples to leave out and of corrected labels, as `labels` writes
    them; the test part stays the one that it was.
    out: the run folder; ``runs/<name>`` when None, numbered when taken. audit: also ask the
    network about changed test samples, in a tenth of its training time within the budget.
    Raises: DataError, PlanError, RunError with how to mend; Interrupted after saving.
    """
    started = time.monotonic() if started is None else started
    source = Source(str(path), str(test) if test else None, bad_files, tuple(target), group)
    tables = [str(file) if file else None for file in (exclude, relabel)]
    source = dataclasses.replace(source, exclude=tables[0], relabel=tables[1])
    wish = Wish(task, budget, epochs, seed, symmetry, changes or {}, folds, repeats)
    check(wish)
    if audit:
        wish = allowing(wish)

    def lead(group: Together) -> Report:
        check_together(group, wish)
        with new_run(out, Path(path).absolute().stem) as run:
            note(run, source, wish)
            patience = None if budget is None else Patience(progress, budget, started)
            survey = examine(source, task=task, progress=patience or progress)
            if patience is not None:
                patience.check("training")
            report = _begin(run, survey, wish, started, progress, group)
        return with_audit(report, budget, started, progress) if audit else report

    return _in_step(lead)


def train_survey(
    survey: Survey,
    wish: Wish,
    source: Source | None,
    out: str | Path | None,
    started: float,
    progress: Progress = SILENT,
) -> Report:
    """The road from surveyed data on; ``source`` None when it cannot be read again."""
    check(wish)
    with new_run(out, survey.card.name) as run:
        if source is not None:
            note(run, source, wish)
        return _begin(run, survey, wish, started, progress)


def resume(run: str | Path, *, started: float | None = None, progress: Progress = SILENT) -> Report:
    """Go on with a run that was killed or interrupted; a finished one gives its report.

    With a number of epochs the weights end the same to the last bit, on the same machine with
    as many threads. A budget goes on where it was: ``started`` is as for `train`.

    Raises: RunError when the folder is no run, another process works in it, or its data or its
        plan has changed.
    """
    started = time.monotonic() if started is None else started
    return _in_step(lambda group: _resume(whole_run(Path(run)), started, progress, group))


def _in_step(lead: Callable[[Together], Report]) -> Report:
    """What ``lead`` gives; where `torchrun` started several processes, the first one leads."""
    from ..training.together import together

    with together() as group:
        if not group.leads:
            return follow(group)
        report = lead(group)
        group.told({"report": report.to_dict()})
        return report


def _resume(run: Path, started: float, progress: Progress, group: Together) -> Report:
    if not (run / "plan.json").exists():
        noted(run)  # before anything is written: this may be any folder
    elif (report := _finished(run, progress)) is not None:
        return report
    with held(run), stoppable(run):
        if not (run / "plan.json").exists():
            source, wish = noted(run)
            survey = examine(source, task=wish.task, progress=progress)
            return _begin(run, survey, wish, started, progress, group)
        # What had it until now may just have finished it.
        return _finished(run, progress) or _go_on(run, started, progress, group)


def _finished(run: Path, progress: Progress) -> Report | None:
    path = run / "report.json"
    if not path.exists():
        return None
    progress.say(f"{run} is finished; this is its report")
    return Report.from_dict(read_json(path), str(path))


def _begin(
    run: Path,
    survey: Survey,
    wish: Wish,
    started: float,
    progress: Progress,
    group: Together | None = None,
) -> Report:
    """Plan, train and judge."""
    from ..networks.build import build

    if wish.folds:
        return begin_folds(run, survey, wish, started, progress)
    if wish.repeats:
        return begin_repeats(run, survey, wish, started, progress)
    plan, survey, split = draw(survey, wish, progress=progress)
    build(plan)  # an edited plan that cannot be built must not leave a run behind
    plan, reserve = fitted(plan, survey, split, started)
    return set_out(run, survey, plan, split, reserve, started, progress, group=group)


def _go_on(run: Path, started: float, progress: Progress, group: Together) -> Report:
    """Train what is left and judge."""
    plan = Plan.from_dict(read_json(run / "plan.json"), str(run / "plan.json"))
    check_plan(run, plan, how_begun(run, plan).plan)
    source = source_of(run)
    survey = examine(source, task=plan.task, progress=progress)
    card = Card.from_dict(read_json(run / "card.json"), str(run / "card.json"))
    if card.digest != survey.card.digest:
        raise RunError(
            f"the data is not what this run began with ({card.count} samples then, "
            f"{survey.card.count} now)",
            where=source.path,
            mend="restore the data, or train anew with another --out",
        )
    if plan.folds:
        return go_on_with_folds(run, survey, plan, progress)
    if (run / REPEATS).exists():
        return go_on_with_repeats(run, survey, plan, progress)
    return go_on(run, survey, started, progress, group=group)
