"""Where the rows of each part come from: copies, groups, and what that says of intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..drawing.words import noun

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..datasets.split import Split
    from ..datasets.survey import Survey


def groups_of(survey: Survey, split: Split) -> dict[str, Any]:
    """What a report says of copies and groups."""
    found: dict[str, Any] = {
        "exact_duplicates": survey.card.duplicate_count,
        "rule": "copies, exact or changed, stay on one side of a split that Foveal draws",
        "copies": survey.card.copies,
        "copied": survey.card.copied,
    }
    if survey.groups is not None:
        parts = ("train", "validation", "test")
        found["groups"] = {name: _sources(survey, getattr(split, name)) for name in parts}
    return found


def alike(survey: Survey, tested: NDArray[np.int64]) -> list[str]:
    """That intervals take test samples for independent, where groups say they are not."""
    if survey.groups is None:
        return []
    sources = _sources(survey, tested)
    if sources == len(tested):
        return []
    many = "1 group" if sources == 1 else f"{sources} groups"
    return [
        f"the {len(tested)} test {noun(survey.card)} come from {many} "
        f"({survey.card.why.get('groups', 'told by the data')}); those of one group are "
        "alike, so the true intervals are wider than the ones given"
    ]


def _sources(survey: Survey, rows: NDArray[np.int64]) -> int:
    """How many groups ``rows`` come from; a row of none is one by itself."""
    assert survey.groups is not None, "only a set with groups is asked"
    here = survey.groups[rows]
    return len(np.unique(here[here >= 0])) + int((here < 0).sum())
