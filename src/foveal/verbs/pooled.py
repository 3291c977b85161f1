"""Folds that have been trained become one model, with one report."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..baselines import Baseline
from ..datasets.folds import of_all
from ..datasets.split import Split
from ..drawing.words import noun
from ..evaluation.folds import fold_table
from ..evaluation.summary import summarise
from ..layers.memory import kernels_channels_last
from ..networks.ensemble import Ensemble
from ..networks.weights import load_weights, save_weights
from ..plan import Plan
from ..progress import Progress
from ..record import read_json
from ..report import Report, Score
from ..tasks import Answers, Calibration
from .costs import peak_memory_mb
from .finish import Finish
from .first_weights import empty_network
from .folds import fold_folder
from .hold import writing
from .kept import Kept, load_answers
from .leaks import leaks
from .optimism import optimism
from .prepare_run import task_of
from .sources import alike, groups_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..datasets.survey import Survey

APART = "test part"
OUT = "out of fold"
FITTED = (
    "what makes answers honest was fitted on all answers out of fold, which the pooled figures are "
    "about too; each fold's own figures are free of that"
)


def pooled(
    run: Path, survey: Survey, plan: Plan, fold: NDArray[np.int64], progress: Progress
) -> Report:
    """Join the networks, calibrate on the answers out of fold, judge: written to the run folder.

    Scores are of the given test part, which the joined networks are asked about once; where the
    data brings none, of all answers out of fold, each by the network that never met the sample.
    """
    started, task = time.monotonic(), task_of(plan)
    folders = [fold_folder(run, number) for number in range(plan.folds)]
    reports, kept = [_report(f) for f in folders], [load_answers(f) for f in folders]
    known = survey.labels >= 0
    dealt = np.concatenate([np.flatnonzero((fold == k) & known) for k in range(plan.folds)])
    order = np.argsort(dealt, kind="stable")
    survey, rows, given = of_all(survey), dealt[order], np.flatnonzero((fold < 0) & known)
    raw = np.concatenate([each.raw for each in kept])[order]
    target = np.concatenate([each.target for each in kept])[order]
    calibration = task.judging.calibrate(raw, target, plan)
    network = _joined(plan, calibration, folders)
    with writing(run):
        save_weights(network, run / "weights.safetensors")
    finish = Finish(run, survey, plan, Split(rows, rows[:0], rows), started, progress)
    pair = partial(_pair, finish, network, fold[rows], calibration)
    test = Answers(
        raw,
        target,
        [survey.key(int(row)) for row in rows],
        finish.picture,
        noun(survey.card),
        pair=None if task.own is None else pair,
    )
    simple = _baselines(reports, kept, order)
    found = task.judging.judge(test, plan, calibration, simple)
    table = fold_table(reports, task.judging.rows, found.scores, found.details)
    if len(given):
        finish = dataclasses.replace(finish, split=Split(rows, rows[:0], given))
        progress.say("judging all folds together on the test part, for the first and only time")
        test, simple = finish.answers(network, calibration), finish.baselines()
    with writing(run):
        finish.keep(test)
    table |= {"judged": APART if len(given) else OUT}
    report = _summary(finish, test, calibration, simple, _cost(reports))
    # Folds keep copies together; a given test part may hold what was learned.
    report = dataclasses.replace(
        report,
        folds=table,
        leaks=leaks(finish, test, calibration) if len(given) else {},
        optimism={} if len(given) else optimism(finish, simple, _splits(rows, fold[rows], plan)),
    )
    return finish.written(report)


def _splits(rows: NDArray[np.int64], fold: NDArray[np.int64], plan: Plan) -> list[Split]:
    """What a simple model learns from and is asked about in each fold."""
    return [Split(rows[fold != k], rows[:0], rows[fold == k]) for k in range(plan.folds)]


def _joined(plan: Plan, calibration: Calibration, folders: Sequence[Path]) -> Ensemble:
    """The networks of all folds as one."""
    network = empty_network(plan, calibration)
    assert isinstance(network, Ensemble), "a plan with folds has several"
    for member, here in zip(network.members, folders, strict=True):
        load_weights(member, here / "weights.safetensors")
    if plan.fit.channels_last:
        kernels_channels_last(network)
    return network.to(plan.fit.device).eval()


def _summary(
    finish: Finish,
    test: Answers,
    calibration: Calibration,
    simple: Sequence[Baseline],
    cost: dict[str, Any],
) -> Report:
    """The report, save for its table of folds."""
    survey, split = finish.survey, finish.split
    out_of_fold = bool(np.array_equal(split.train, split.test))
    report = summarise(
        finish.task,
        survey.card,
        finish.plan,
        test,
        calibration=calibration,
        sizes={"train": len(split.train), "test": len(split.test)},
        baselines=simple,
        groups=groups_of(survey, split),
        doubts=[*alike(survey, split.test), *[FITTED] * (bool(calibration) and out_of_fold)],
    )
    seconds = cost["seconds"] + time.monotonic() - finish.started
    return dataclasses.replace(report, cost={**cost, "seconds": round(seconds, 2)})


def _report(here: Path) -> Report:
    return Report.from_dict(read_json(here / "report.json"), str(here / "report.json"))


def _pair(
    finish: Finish,
    network: Ensemble,
    fold: NDArray[np.int64],
    known: Calibration,
    at: int,
) -> tuple[str, str]:
    """Truth and answer of the sample at a position, by the network that never met it."""
    return finish.pair(network.members[int(fold[at])], known, at)


def _baselines(
    reports: Sequence[Report], kept: Sequence[Kept], order: NDArray[np.int64]
) -> tuple[Baseline, ...]:
    """Simple models of all folds, each asked about the part that it did not learn from.

    Their scores are the folds' mean, weighed by samples.
    """
    found = []
    for each in reports[0].details.get("baselines", []):
        name, told = each["name"], [_named(report, each["name"]) for report in reports]
        if not all(told) or not all(name in k.said for k in kept):
            continue
        weights = np.array([len(k.raw) for k in kept], float)
        ends = [np.average([one[end] for one in told], weights=weights) for end in _ENDS]
        said = np.concatenate([k.said[name] for k in kept])[order]
        title, called, words = (str(each[key]) for key in ("title", "called", "words"))
        found.append(Baseline(name, title, called, words, Score(*map(float, ends)), said))
    return tuple(found)


_ENDS = ("value", "low", "high")


def _named(report: Report, name: str) -> dict[str, Any]:
    return next((b for b in report.details.get("baselines", []) if b["name"] == name), {})


def _cost(reports: Sequence[Report]) -> dict[str, Any]:
    """What all folds took together; rates are their mean."""
    costs = [report.cost for report in reports]
    found = dict(costs[0])
    for key in ("seconds", "training_seconds", "steps", "macs_per_sample"):
        found[key] = round(sum(cost[key] for cost in costs), 2)
    for key, digits in (("samples_per_second", 1), ("fraction_of_peak", 3)):
        found[key] = round(sum(cost[key] for cost in costs) / len(costs), digits)
    found["peak_memory_mb"] = max(peak_memory_mb(), *(cost["peak_memory_mb"] for cost in costs))
    return found
