"""Which labels are probably wrong: a table to fix them by, from models that never met them."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..errors import PlanError
from ..plan import Plan
from ..progress import SILENT, Progress
from ..record import write_bytes
from .out_of_fold import OutOfFold, out_of_fold
from .plan import Wish, check
from .source import Source, examine

if TYPE_CHECKING:
    from ..datasets.survey import Survey
    from ..tasks import Task

FOLDS = 4
BUDGET = 300.0
COLUMNS = ("sample", "given", "likely", "score", "suspect", "why", "label")
ODD = ("given", "likely", "score", "suspect", "why")


@dataclass(frozen=True, slots=True)
class Doubt:
    """One sample with its label.

    likely: the class that models take it for which did not learn from it. score: the chance that
    the label is wrong, 0 to 1. suspect: rather wrong than right. why: in words.

    Of masks and boxes: given and likely are the classes of what speaks most against them ("" where
    nothing is given, or nothing seen); score and suspect as metrics/odd_masks.py and
    metrics/odd_boxes.py tell them.
    """

    sample: str
    given: str
    likely: str
    score: float
    suspect: bool
    why: str = ""


def labels(
    path: str | Path,
    *,
    task: str = "auto",
    target: Sequence[str] = (),
    group: str = "auto",
    budget: float = BUDGET,
    folds: int = FOLDS,
    out: str | Path | None = None,
    seed: int = 0,
    changes: dict[str, str] | None = None,
    bad_files: str = "skip",
    started: float | None = None,
    progress: Progress = SILENT,
) -> list[Doubt]:
    """Every sample to learn from, the most doubtful label first.

    ``folds`` quick networks share the ``budget`` (seconds); each says what it takes the samples
    for that it did not learn from. Of texts a linear model of words and letters is asked besides,
    which learned from all others. A test part that the data brings is not looked at. ``out``: a
    csv file for `train`'s exclude and relabel; its column "label" is for you to fill in.

    Raises: DataError for unusable data; PlanError where samples have neither one class each, nor
        masks, nor boxes; Interrupted when asked to stop, which leaves nothing.
    """
    started = time.monotonic() if started is None else started
    source = Source(str(path), None, bad_files, tuple(target), group)
    wish = Wish(task, budget / folds, None, seed, "auto", changes or {}, folds)
    check(wish)
    survey = examine(source, task=task, progress=progress)
    found = doubts_of(survey, wish, started, progress)
    if out is not None:
        write_bytes(Path(out), _csv(found))
        progress.say(f"{len(found):,} labels written to {out}")
    return found


def doubts_of(survey: Survey, wish: Wish, started: float, progress: Progress) -> list[Doubt]:
    """The same for surveyed data."""
    from ..planner.task import task_for, task_named

    name = task_for(survey.card, wish.task)
    task = task_named(name)
    chosen = task.chooses and not task.apart
    if not chosen and task.judging.odd is None:
        raise PlanError(
            f"labels of the task {name!r} cannot be ranked: its samples have no single class, no "
            "mask and no boxes",
            where="--task",
            mend="give data with one class per sample, masks or boxes",
        )
    asked = out_of_fold(survey, wish, started, progress)
    return _of_classes(survey, asked, progress) if chosen else _of_places(survey, asked, task)


def _of_classes(survey: Survey, asked: OutOfFold, progress: Progress) -> list[Doubt]:
    """Doubts about one class per sample; copies under two classes first."""
    from ..metrics.doubtful import doubtful

    rows = asked.rows
    given = survey.labels[rows].astype(np.int64)
    parts: list[NDArray[np.floating]] = [np.log(np.maximum(asked.done, 1e-9))]
    if asked.plan.data.text is not None:
        parts.append(_by_words(survey, rows, asked.plan))
    found, classes = doubtful(parts, given), survey.listing.classes
    torn = conflicts(survey, rows)
    progress.say(f"about {found.rate:.1%} of the labels are wrong, as far as models can tell")
    order = found.order
    # Copies with another label come before all else: one of the two is wrong for sure.
    order = order[np.argsort([rows[i] not in torn for i in order.tolist()], kind="stable")]
    return [
        Doubt(
            survey.key(int(rows[i])),
            classes[int(given[i])],
            classes[int(found.likely[i])],
            round(float(found.score[i]), 4),
            bool(found.suspect[i]),
            torn.get(int(rows[i]), ""),
        )
        for i in order.tolist()
    ]


def _of_places(survey: Survey, asked: OutOfFold, task: Task) -> list[Doubt]:
    """Doubts about masks or boxes."""
    assert task.judging.odd is not None, "asked only where the task knows"
    odd = task.judging.odd(asked.raw, asked.target, asked.plan)
    found = [
        Doubt(survey.key(int(row)), *(getattr(each, name) for name in ODD))
        for row, each in zip(asked.rows, odd, strict=True)
    ]
    return sorted(found, key=lambda doubt: (not doubt.suspect, -doubt.score))


def _by_words(survey: Survey, rows: NDArray[np.int64], plan: Plan) -> NDArray[np.float32]:
    """What words and letters of other texts say of each ``(N, K)``."""
    from ..baselines.text_left_out import left_out
    from ..datasets.split import together
    from ..datasets.tokens import text_of

    assert plan.data.text is not None, "only texts have words"
    names, groups = survey.copied, survey.groups
    names = (names if groups is None else together(names, groups))[rows]
    texts = [text_of(survey.listing.read(int(survey.usable[row])).x) for row in rows]
    given, classes = survey.labels[rows].astype(np.int64), len(survey.listing.classes)
    return left_out(texts, given, names, classes, unit=plan.data.text.unit, seed=plan.seed)


def conflicts(survey: Survey, rows: NDArray[np.int64]) -> dict[int, str]:
    """Rows of which a copy, exact or changed, has another label, and words that name one."""
    copied, given = survey.copied[rows], survey.labels[rows]
    order = np.argsort(copied, kind="stable")
    found: dict[int, str] = {}
    for same in np.split(order, np.flatnonzero(np.diff(copied[order])) + 1):
        for i in same.tolist():
            others = same[given[same] != given[i]]
            if len(others):
                other = int(rows[others[0]])
                label = survey.listing.classes[int(survey.labels[other])]
                found[int(rows[i])] = f"its copy {survey.key(other)} is given {label}"
    return found


def _csv(found: list[Doubt]) -> bytes:
    out = io.StringIO(newline="")
    table = csv.writer(out)
    table.writerow(COLUMNS)
    for d in found:
        suspect = "yes" if d.suspect else "no"
        table.writerow([d.sample, d.given, d.likely, f"{d.score:.4f}", suspect, d.why, ""])
    return out.getvalue().encode("utf-8", "surrogatepass")
