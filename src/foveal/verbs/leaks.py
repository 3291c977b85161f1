"""Test samples that were learned from, themselves or as copies, and the score without them."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..tasks import Answers, Calibration

if TYPE_CHECKING:
    from ..datasets.split import Split
    from ..datasets.survey import Survey
    from .finish import Finish

SHOWN = 10


def leaked(survey: Survey, split: Split) -> NDArray[np.int64]:
    """For each test row ``(M,)`` a row learned from that is its copy, exact or changed; else -1."""
    copied = survey.copied
    learned = np.concatenate([split.train, split.validation])
    names, first = np.unique(copied[learned], return_index=True)
    if not len(names):
        return np.full(len(split.test), -1, np.int64)
    place = np.searchsorted(names, copied[split.test]).clip(0, len(names) - 1)
    met = names[place] == copied[split.test]
    return np.where(met, learned[first[place]], -1)


def leaks(finish: Finish, test: Answers, calibration: Calibration) -> dict[str, Any]:
    """`Report.leaks`; {} where no test sample was met in training."""
    source = leaked(finish.survey, finish.split)
    met = np.flatnonzero(source >= 0)
    if not len(met):
        return {}
    key = finish.survey.key
    found: dict[str, Any] = {
        "count": len(met),
        "of": len(source),
        "examples": [[test.keys[int(i)], key(int(source[i]))] for i in met[:SHOWN]],
    }
    clean = np.flatnonzero(source < 0)
    if len(clean):
        judge = finish.task.judging.judge
        scores = judge(of_rows(test, clean), finish.plan, calibration, ()).scores
        found["without"] = {name: dataclasses.asdict(score) for name, score in scores.items()}
    return found


def of_rows(test: Answers, rows: NDArray[np.intp]) -> Answers:
    """The answers for some rows of a part, without pictures."""
    return Answers(
        test.raw[rows],
        test.target[rows],
        [test.keys[int(row)] for row in rows],
        noun=test.noun,
        known=test.known,
    )
