"""The tables behind the pictures of a classifier's report, as plain JSON values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..metrics.classes import Matrix, aurocs, f1, precisions, recalls

LEGIBLE = 25  # classes a confusion matrix can show
REDUCED = 20  # classes shown when there are more
WHOLE = 100  # classes up to which the whole matrix is kept in report.json


def per_class(
    classes: Sequence[str],
    matrix: Matrix,
    probabilities: NDArray[np.float64],
    labels: NDArray[np.int64],
) -> list[dict[str, Any]]:
    """One row per class: count, recall and precision with intervals, F1, AUROC or None."""
    areas, _ = aurocs(probabilities, labels)
    said, true = matrix.sum(0), matrix.sum(1)
    harmonic = f1(np.diag(matrix), said, true)
    found, kept = recalls(matrix), precisions(matrix)
    return [
        {
            "name": name,
            "count": int(true[i]),
            "said": int(said[i]),
            "recall": asdict(found[i]),
            "precision": asdict(kept[i]),
            "f1": float(harmonic[i]),
            "auroc": float(areas[i]) if isfinite(areas[i]) else None,
        }
        for i, name in enumerate(classes)
    ]


def confusion_table(classes: Sequence[str], matrix: Matrix) -> dict[str, Any]:
    """The matrix with its class names; ``shown`` lists the classes a page has room for."""
    shown = list(range(len(classes)))
    if len(classes) > LEGIBLE:
        shown = _most_confused(matrix)
    kept = list(range(len(classes))) if len(classes) <= WHOLE else shown
    return {
        "classes": [classes[i] for i in kept],
        "matrix": matrix[np.ix_(kept, kept)].tolist(),
        "counts": matrix.sum(1)[kept].tolist(),
        "shown": [kept.index(i) for i in shown],
        "of": len(classes),
    }


def _most_confused(matrix: Matrix) -> list[int]:
    """Classes of the commonest confusions, in order, so that these can be seen in the matrix."""
    both = np.triu(matrix + matrix.T, 1)
    chosen: dict[int, None] = {}
    for cell in np.argsort(-both, axis=None, kind="stable")[: REDUCED * REDUCED].tolist():
        pair = divmod(cell, len(matrix))
        if len(chosen.keys() | set(pair)) <= REDUCED:
            chosen.update(dict.fromkeys(pair))
    return sorted(chosen)


def top_confusions(classes: Sequence[str], matrix: Matrix, most: int = 20) -> list[dict[str, Any]]:
    """The commonest mistakes: true class, what was said, how often, share of the true class."""
    wrong = matrix.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    cells = [divmod(int(cell), len(classes)) for cell in order]
    return [
        {
            "true": classes[i],
            "said": classes[j],
            "count": int(wrong[i, j]),
            "share": float(wrong[i, j] / matrix[i].sum()),
        }
        for i, j in cells
        if wrong[i, j]
    ]
