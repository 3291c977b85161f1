"""Which rows each of several runs is judged on: all but the test part, in equal shares."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..card import PARTS
from ..errors import PlanError
from .aims import Aims
from .split import Split, drawn_groups
from .survey import Survey

TEST = PARTS.index("test")
AWAY = len(PARTS)  # the part of rows that a fold neither learns from nor is judged on


def folds(survey: Survey, count: int, seed: int, *, apart: bool = False) -> NDArray[np.int64]:
    """The fold, 0 to ``count - 1``, of each row of the store ``(N,)``; -1 for a given test part.

    Drawn as `split` draws parts: by class in equal shares, whole groups at a time, from values
    and seed alone. A given validation part is dealt out with the training part.

    Raises: PlanError where there are fewer groups than folds.
    """
    pool = np.flatnonzero(survey.parts != TEST)
    found: NDArray[np.int64] = np.full(len(survey.parts), -1, np.int64)
    found[pool] = dealt(
        survey.strata[pool],
        survey.copied[pool],
        None if survey.groups is None else survey.groups[pool],
        count,
        seed,
        apart=apart,
    )
    known = found[(survey.labels >= 0) & (found >= 0)]
    empty = np.flatnonzero(np.bincount(known, minlength=count)[:count] == 0)
    if len(empty):
        raise PlanError(
            f"{count} folds were asked for, but {len(empty)} of them would hold no sample: the "
            f"{len(known)} samples with a known target are too few, or come from too few groups",
            where="--folds",
            mend=f"give at most --folds {count - len(empty)}"
            if count - len(empty) > 1
            else "train without --folds",
        )
    return found


def dealt(
    labels: NDArray[np.int32],
    hashes: NDArray[np.uint64],
    groups: NDArray[np.int64] | None,
    count: int,
    seed: int,
    *,
    apart: bool = False,
) -> NDArray[np.int64]:
    """The fold of each row ``(N,)``, whole groups dealt out class by class, the largest first.

    Each goes where its class has the fewest rows so far; among equals, where all classes have.
    """
    drawn, member = drawn_groups(labels, hashes, groups, seed, apart=apart)
    fold = np.zeros(len(drawn.label), np.int64)
    held = np.zeros(count, np.int64)
    for label in np.unique(drawn.label):
        here = np.flatnonzero(drawn.label == label)
        here = here[np.argsort(-drawn.count[here], kind="stable")]
        own = np.zeros(count, np.int64)
        for group in here.tolist():
            least = int(np.lexsort((held, own))[0])
            fold[group] = least
            own[least] += drawn.count[group]
            held[least] += drawn.count[group]
    return fold[member]


def of_fold(survey: Survey, fold: NDArray[np.int64], number: int) -> Survey:
    """The survey as one run sees it: what lies in fold ``number`` is its test part, the other
    folds are to be learned from, and a given test part is not there.

    Counts and moments of targets on its card are of these parts.
    """
    parts = np.where(fold == number, TEST, np.where(fold < 0, AWAY, 0)).astype(np.int8)
    return _with_parts(survey, parts)


def of_all(survey: Survey) -> Survey:
    """The survey with a given validation part among what is learned from."""
    return _with_parts(survey, np.where(survey.parts == TEST, TEST, 0).astype(np.int8))


def of_parts(survey: Survey, drawn: Split) -> Survey:
    """The survey with parts that are given, as ``drawn``: whatever the seed, they stay so."""
    parts = np.full(len(survey.parts), AWAY, np.int8)
    for part, rows in enumerate((drawn.train, drawn.validation, drawn.test)):
        parts[rows] = part
    return _with_parts(survey, parts)


def _with_parts(survey: Survey, parts: NDArray[np.int8]) -> Survey:
    listing = survey.listing
    whole = np.full(len(listing), AWAY, np.int8)
    whole[survey.usable] = parts
    present = tuple(name for i, name in enumerate(PARTS) if (parts == i).any())
    aims = Aims(listing, survey.usable, survey.facts)
    counts = {name: aims.counts(parts == PARTS.index(name)) for name in present}
    card = replace(
        survey.card,
        parts={name: int((parts == PARTS.index(name)).sum()) for name in present},
        counts={name: tuple(count.tolist()) for name, count in counts.items()},
        numbers=aims.numbers(parts),
    )
    return replace(survey, card=card, listing=replace(listing, parts=whole, has_parts=present))
