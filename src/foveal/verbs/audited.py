"""A run that is audited as soon as it is trained, with what was found in its own report."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

from ..errors import PlanError
from ..progress import Progress
from ..record import write_json
from ..report import Report
from .audit import SHARE, audit
from .hold import writing
from .plan import Wish

LEAST = 1.0  # seconds, for the least number of samples


def allowing(wish: Wish) -> Wish:
    """The wish with a budget that leaves time for an audit: a tenth of what training takes.

    Raises: PlanError for folds, of which no sample is new to all networks.
    """
    if wish.folds:
        raise PlanError(
            "the networks of folds have together learned from every sample",
            where="--audit, --folds",
            mend="leave one of them out, or audit on other data: foveal audit RUN DATA",
        )
    budget = None if wish.budget is None else wish.budget / (1 + SHARE)
    return dataclasses.replace(wish, budget=budget)


def with_audit(report: Report, budget: float | None, started: float, progress: Progress) -> Report:
    """The report with the audit of its run, written with its page.

    budget: seconds of the whole command from ``started``, None for none. At most a tenth of the
    training time is taken.
    """
    from ..evaluation.audit.words import sentences
    from ..evaluation.page import write_page
    from .model import load

    run = Path(report.details["run"])
    seconds = SHARE * float(report.cost.get("seconds", 0.0))
    if budget is not None:
        seconds = min(seconds, budget - (time.monotonic() - started))
    try:
        found = audit(run, budget=max(seconds, LEAST), progress=progress)
    except PlanError as error:  # the run itself is whole
        progress.say(f"no audit: {error.what}")
        return report
    report = dataclasses.replace(
        report,
        invariance={**report.invariance, "audit": found.to_dict()},
        details={**report.details, "audit": sentences(found)},
    )
    model = load(run)
    with writing(run):
        write_page(report, model.card, model.plan, model.task, run / "report.html")
        write_json(run / "report.json", report.to_dict())
    return report
