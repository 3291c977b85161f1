"""Answers that are no single class: one per cell, several per sample, or numbers.

Of each sample three figures are kept after a change: the share of its answers that stay, the share
that is right, and how far they moved. Answers per cell are compared with those for the sample as it
was, moved along: turned mask for turned sample.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from ...errors import DataError
from ...metrics.intervals import Z
from ...report import Score
from .asked import Asked
from .changes import Change, Move
from .found import Exact, Row
from .measure import LEAST, Measured
from .motions import Rows

Form = Literal["cells", "labels", "numbers"]
ALONG = {"position", "orientation", "angle"}  # families that move answers per cell along
NEAR = 0.1  # of the spread of a number: it stays where it moves by no more
Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Graded:
    """How such answers are compared.

    form: "cells" (probabilities ``(B, K, *S)``, truth ``(B, *S)``), "labels" (a probability of each
    class by itself ``(B, K)``) or "numbers" ``(B, K)``. spread: of each number; () for others.
    """

    form: Form
    spread: tuple[float, ...] = ()

    def compared(self, before: Values, after: Values, truth: NDArray[Any] | None) -> Values:
        """Shares of answers that stay and that are right, and how far they moved, ``(B, 3)``."""
        if self.form == "numbers":
            moved = np.abs(after - before) / np.array(self.spread)
            right = np.full(len(before), np.nan)
            return np.stack([_each(moved <= NEAR), right, _each(moved)], 1)
        if self.form == "labels":
            same, said = (before > 0.5) == (after > 0.5), after > 0.5
            known, moved = np.ones_like(said), np.abs(after - before)
            true = None if truth is None else truth > 0.5
        else:
            was, said = before.argmax(1), after.argmax(1)
            same, true = was == said, truth
            known = np.ones_like(same) if truth is None else truth < before.shape[1]
            moved = np.abs(np.take_along_axis(after - before, was[:, None], 1))
        right = np.full(len(before), np.nan)
        if true is not None:
            right = _each((said == true) & known) / np.maximum(_each(known), 1e-12)
        return np.stack([_each(same), right, _each(moved)], 1)


def measure_graded(
    asked: Asked,
    graded: Graded,
    changes: Sequence[Change],
    until: float | None,
    tick: Callable[[int], None],
) -> tuple[Measured, Score | None]:
    """Every change tried on as many samples as the time until ``until`` allows, and the share of
    right answers as they are.

    Crops and changes of size are left out where answers lie on cells: theirs are others.
    """
    if graded.form == "cells":
        changes = [c for c in changes if c.name != "crop" and c.family != "size"]
    kept: list[list[Values]] = [[] for _ in changes]
    plain: list[Values] = []
    done, size = 0, LEAST
    while done < len(asked.x):
        start = time.monotonic()
        rows = np.arange(done, min(done + size, len(asked.x)))
        before: dict[Move | None, Values] = {None: _said(asked, rows, None)}
        truth = None if asked.y is None else asked.y[rows]
        plain.append(graded.compared(before[None], before[None], truth))
        for change, found in zip(changes, kept, strict=True):
            found.append(_asked(asked, graded, change, rows, before, truth))
        done += len(rows)
        tick(len(rows))
        ahead = (time.monotonic() - start) * min(size, len(asked.x) - done) / len(rows)
        if until is not None and time.monotonic() + ahead > until:
            break
    whole = [np.concatenate(found) for found in kept]
    first = np.concatenate(plain)
    rows_ = [(change, _row(change, found)) for change, found in zip(changes, whole, strict=True)]
    measured = Measured(done, None, rows_, _exact(changes, whole), [], [])
    return measured, None if np.isnan(first[:, 1]).any() else _score(first[:, 1])


def _asked(
    asked: Asked,
    graded: Graded,
    change: Change,
    rows: Rows,
    before: dict[Move | None, Values],
    truth: NDArray[Any] | None,
) -> Values:
    if change.before not in before:
        before[change.before] = _said(asked, rows, change.before)
    was, after = before[change.before], _said(asked, rows, change.move)
    if graded.form == "cells" and change.family in ALONG:
        was = _moved(was, change.move, rows)
        if truth is not None:
            classes = was.shape[1]
            cells = np.moveaxis(np.eye(classes + 1)[np.minimum(truth, classes)], -1, 1)
            truth = _moved(cells, change.move, rows).argmax(1)
    return graded.compared(was, after, truth)


def _moved(values: Values, move: Move, rows: Rows) -> Values:
    return np.asarray(move(torch.from_numpy(np.ascontiguousarray(values)), rows).numpy())


def _said(asked: Asked, rows: Rows, move: Move | None) -> Values:
    """What is answered. Raises: DataError when that is not finite, or of other samples."""
    said = np.asarray(asked.answer(asked.changed(rows, move)), np.float64)
    if len(said) != len(rows) or said.ndim < 2 or not np.isfinite(said).all():
        raise DataError(
            f"the answer to {len(rows)} samples has the shape {list(said.shape)}, or is not finite",
            where="the model that is audited",
            mend="let it return one finite answer per sample, (B, K, ...)",
        )
    return said


def _each(values: NDArray[Any]) -> Values:
    return np.asarray(values.reshape(len(values), -1).mean(1), np.float64)


def _row(change: Change, found: Values) -> Row:
    same, right, moved = (_score(found[:, i]) for i in range(3))
    accuracy = None if np.isnan(found[:, 1]).all() else right
    return Row(change.name, change.strength, change.family, same, accuracy, moved, change.place)


def _score(values: Values) -> Score:
    mean, half = float(values.mean()), Z * float(values.std()) / len(values) ** 0.5
    return Score(mean, max(0.0, mean - half), max(mean, min(1.0, mean + half)))


def _exact(changes: Sequence[Change], whole: Sequence[Values]) -> dict[str, Exact]:
    found: dict[str, Exact] = {}
    for name in dict.fromkeys(change.exact for change in changes if change.exact):
        same = [w[:, 0] for c, w in zip(changes, whole, strict=True) if c.exact == name]
        changed = int((np.min(same, 0) < 1).sum())
        found[name] = Exact(len(same) + 1, changed, len(same[0]))
    return found
