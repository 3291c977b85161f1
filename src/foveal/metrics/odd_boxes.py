"""Boxes that networks which never met the sample miss, see beside the given, or call otherwise."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from .boxes import overlap
from .detection import Found
from .odd_masks import Odd

HALF = 0.5  # overlap from which two boxes are of one thing
SURE = 0.9  # chance from which a sample is suspect
Real = Callable[[NDArray[np.floating]], NDArray[np.float64]]


def odd_boxes(said: Sequence[Found], true: Sequence[Found], names: Sequence[str]) -> list[Odd]:
    """One per sample: the strongest of three doubts about its boxes, ``said`` out of fold.

    * a box is seen where none is given: the chance that a box said with this score is a given one,
      as all samples tell (isotonic regression);
    * another class is seen there: this chance, times that the given class is not right;
    * a given box is not seen: the share of its class's boxes that are seen, times the same.

    So a class that networks miss often, or see where nobody drew it, raises little doubt.
    """
    pairs = [_pairs(ours, theirs) for ours, theirs in zip(said, true, strict=True)]
    real = _chances(said, true, pairs)
    seen = _seen(said, true, pairs, len(names))
    found = []
    for ours, theirs, between in zip(said, true, pairs, strict=True):
        doubts = [
            Odd(0.0, False, "", "", ""),
            *_beside(ours, between, real, names),
            *_given(ours, theirs, between, real, seen, names),
        ]
        found.append(max(doubts, key=lambda doubt: doubt.score))
    return found


def _pairs(ours: Found, theirs: Found) -> NDArray[np.bool_]:
    """Which boxes said (rows) and given (columns) are of one thing, whatever their classes."""
    if not len(ours.boxes) or not len(theirs.boxes):
        return np.zeros((len(ours.boxes), len(theirs.boxes)), bool)
    return np.asarray(overlap(ours.boxes, theirs.boxes) >= HALF)


def _chances(
    said: Sequence[Found], true: Sequence[Found], pairs: Sequence[NDArray[np.bool_]]
) -> Real:
    """Score -> the chance that a box said with it is a given one of its class."""
    from sklearn.isotonic import IsotonicRegression

    right = [
        (between & (ours.labels[:, None] == theirs.labels[None])).any(1)
        for ours, theirs, between in zip(said, true, pairs, strict=True)
    ]
    hit = np.concatenate([np.zeros(0, bool), *right])
    scores = np.concatenate([np.zeros(0), *(ours.scores for ours in said)])
    if not hit.any():
        return lambda asked: np.zeros(len(asked))
    line = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(scores, hit)
    # Nothing is sure: so many boxes leave about this much room.
    most = 1 - 1 / (len(hit) + 2)
    return lambda asked: np.minimum(line.predict(asked), most) if len(asked) else np.zeros(0)


def _seen(
    said: Sequence[Found],
    true: Sequence[Found],
    pairs: Sequence[NDArray[np.bool_]],
    classes: int,
) -> NDArray[np.float64]:
    """Of each class, the share of given boxes that some box said lies on ``(K,)``."""
    hits, total = np.zeros(classes), np.zeros(classes)
    for theirs, between in zip(true, pairs, strict=True):
        np.add.at(total, theirs.labels, 1.0)
        np.add.at(hits, theirs.labels, between.any(0) * 1.0)
    return np.asarray(hits / (total + 1))


def _beside(ours: Found, between: NDArray[np.bool_], real: Real, names: Sequence[str]) -> list[Odd]:
    """The surest box that lies on no given one."""
    free = np.flatnonzero(~between.any(1))
    if not len(free):
        return []
    best = int(free[ours.scores[free].argmax()])
    chance = float(real(ours.scores[[best]])[0])
    name = names[int(ours.labels[best])]
    why = f"{name!r} is seen at {_place(ours.boxes[best])}, where no box is given"
    return [Odd(round(chance, 4), chance >= SURE, "", name, why)]


def _given(
    ours: Found,
    theirs: Found,
    between: NDArray[np.bool_],
    real: Real,
    seen: NDArray[np.float64],
    names: Sequence[str],
) -> list[Odd]:
    """Of each given box, what speaks against it."""
    chances, found = real(ours.scores), []
    for column, label in enumerate(theirs.labels.tolist()):
        on = between[:, column]
        same = on & (ours.labels == label)
        own = float(chances[same].max(initial=0.0))
        other = np.flatnonzero(on & ~same)
        place = _place(theirs.boxes[column])
        if len(other) and chances[other].max() > own:
            best = int(other[chances[other].argmax()])
            chance = float(chances[best]) * (1 - own)
            likely = names[int(ours.labels[best])]
            why = f"{names[label]!r} at {place} is seen as {likely!r}"
        else:
            chance, likely = float(seen[label]) * (1 - own), ""
            why = f"{names[label]!r} at {place} is not seen" + (" surely" if own else "")
        found.append(Odd(round(chance, 4), chance >= SURE, names[label], likely, why))
    return found


def _place(box: NDArray[np.floating]) -> str:
    """Where a box lies, axis by axis, in cells."""
    rank = len(box) // 2
    spans = [f"{box[a]:.0f} to {box[a + rank]:.0f}" for a in range(rank)]
    return "(" + ", ".join(spans) + ")"
