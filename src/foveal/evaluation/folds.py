"""Scores of several folds as one table: each, their mean and spread, and all answers pooled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from math import sqrt
from typing import Any

from ..report import Report, Score

Figures = dict[str, float]


def fold_table(
    reports: Sequence[Report], rows: str, pooled: Mapping[str, Score], details: Mapping[str, Any]
) -> dict[str, Any]:
    """``Report.folds`` but for what was judged: plain JSON.

    Args:
        reports: of the folds, in their order.
        rows: key of ``Report.details`` with a row per class or number (``Judging.rows``).
        pooled, details: scores and rows of all answers out of fold together.
    """
    each = [
        {
            "fold": number,
            **{part: report.data.get(part, 0) for part in ("train", "validation", "test")},
            "seconds": report.cost.get("seconds", 0.0),
            "scores": {name: asdict(score) for name, score in report.test.items()},
            "rows": figures_of(report.details.get(rows, [])),
        }
        for number, report in enumerate(reports, 1)
    ]
    return {
        "count": len(reports),
        "each": each,
        "mean": spread_of([{k: v["value"] for k, v in one["scores"].items()} for one in each]),
        "mean_rows": {
            name: spread_of([one["rows"].get(name, {}) for one in each])
            for name in dict.fromkeys(name for one in each for name in one["rows"])
        },
        "pooled": {name: asdict(score) for name, score in pooled.items()},
        "pooled_rows": figures_of(details.get(rows, [])),
    }


def figures_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, Figures]:
    """The figures in each row by its name; what is no figure between rows is left out."""
    found: dict[str, Figures] = {}
    for row in rows:
        values = {k: v["value"] for k, v in row.items() if isinstance(v, Mapping) and "value" in v}
        plain = {k: v for k, v in row.items() if isinstance(v, float)}
        found[str(row["name"])] = {k: float(v) for k, v in (plain | values).items()}
    return found


def spread_of(each: Sequence[Mapping[str, float]]) -> dict[str, Figures]:
    """Of each figure its mean, its spread (standard deviation, n - 1) and in how many folds it is.

    A figure that some folds lack (a class with no sample there) is the mean of the others.
    """
    found: dict[str, Figures] = {}
    for name in dict.fromkeys(name for one in each for name in one):
        values = [one[name] for one in each if name in one]
        mean = sum(values) / len(values)
        squares = sum((v - mean) ** 2 for v in values)
        spread = sqrt(squares / (len(values) - 1)) if len(values) > 1 else 0.0
        found[name] = {"mean": mean, "spread": spread, "folds": len(values)}
    return found
