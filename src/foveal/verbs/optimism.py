"""What a split at random would have claimed, beside splits that keep what belongs together."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..baselines import Baseline
from ..datasets.split import Split, together
from .plan import drawn
from .prepare_run import baseline_seconds

if TYPE_CHECKING:
    from ..datasets.survey import Survey
    from .finish import Finish

LEAST = 0.05  # of the samples that lie in groups: from there on it is worth a word
MOST = 5  # splits of either kind


def bound(survey: Survey) -> float:
    """The share of samples that belong together with another: a copy, or one of its group."""
    names = survey.copied
    if survey.groups is not None:
        names = together(names, survey.groups)
    _, member, sizes = np.unique(names, return_inverse=True, return_counts=True)
    return float((sizes[member] > 1).mean()) if len(names) else 0.0


def optimism(
    finish: Finish, honest: Sequence[Baseline], folds: Sequence[Split] = ()
) -> dict[str, Any]:
    """`Report.optimism`, told by the best simple model, which costs next to nothing.

    Both figures are means over as many splits, up to five, as fit half the time of baselines: of
    the run's own and others drawn like it, or of ``folds``. {} where few samples belong together,
    the data brings its own test part, or classes lie apart.
    """
    survey, task = finish.survey, finish.task
    kind = task.judging.figures[task.judging.main]
    told = [b for b in honest if b.name != "majority"]
    given = "test" in survey.listing.has_parts
    if given or not told or task.apart or survey.truths is not None or bound(survey) < LEAST:
        return {}
    best = (min if kind.lower else max)(told, key=lambda b: b.score.value)
    limit, started = baseline_seconds(finish.plan.budget or 600.0) / 2, time.monotonic()
    found: dict[str, list[float]] = {"honest": [], "random": []}
    for number in range(min(MOST, len(folds) or MOST)):
        seed = finish.plan.seed + number
        plan = dataclasses.replace(finish.plan, seed=seed)
        own = folds[number] if folds else drawn(survey, plan) if number else finish.split
        for name, split in (("honest", own), ("random", at_random(own, survey.labels, seed))):
            asked = dataclasses.replace(finish, split=split, plan=plan)
            simple = honest if split is finish.split else asked.baselines()
            found[name] += [b.score.value for b in simple if b.name == best.name]
        if (time.monotonic() - started) * (number + 2) / (number + 1) > limit:
            break
    if not found["honest"] or not found["random"]:
        return {}
    means = {name: round(float(np.mean(values)), 6) for name, values in found.items()}
    many = len(found["random"])
    return {**means, "of": best.name, "called": best.called, "splits": many, "main": kind.title}


def at_random(split: Split, labels: NDArray[np.int32], seed: int) -> Split:
    """Parts of the same sizes drawn from all rows, class by class, whatever belongs together."""
    parts = (split.train, split.validation, split.test)
    rows = np.concatenate(parts)
    rows = np.random.default_rng(seed).permutation(np.sort(rows))
    # Dealt out along the classes, so that each part holds its share of every class.
    rows = rows[np.argsort(labels[rows], kind="stable")]
    ends = np.cumsum([len(part) for part in parts])
    side = np.searchsorted(ends, _spread(len(rows)), side="right")
    return Split(*(np.sort(rows[side == i]) for i in range(3)))


def _spread(count: int) -> NDArray[np.int64]:
    """The numbers below ``count`` so ordered that any stretch holds a fair share of all sizes."""
    golden = (np.arange(count) * 0.6180339887498949) % 1
    return np.argsort(np.argsort(golden, kind="stable"), kind="stable").astype(np.int64)
