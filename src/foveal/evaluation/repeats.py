"""Scores of the same training with several seeds: each, their mean, and how far chance goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Any

from ..drawing.words import Figure
from ..metrics.intervals import student
from ..report import Report
from .folds import fold_table


def repeat_table(reports: Sequence[Report], rows: str) -> dict[str, Any]:
    """``Report.repeats``: as `fold_table`, with "band" of each score: two trainings that differ
    in their seed alone differ by less than this in 95 of 100 cases.

    Args:
        reports: of the trainings, in their order. rows: as in `fold_table`.
    """
    table = fold_table(reports, rows, {}, {})
    del table["pooled"], table["pooled_rows"]
    width = sqrt(2) * student(len(reports) - 1)
    table["band"] = {name: width * each["spread"] for name, each in table["mean"].items()}
    return table


def sentence(table: Mapping[str, Any], main: str, figure: Figure) -> str:
    """What the verdict says of it; "" where nothing was judged."""
    values = [one["scores"][main]["value"] for one in table["each"] if main in one["scores"]]
    if len(values) < 2:
        return ""
    low, high, mean = (
        figure.text(v) for v in (min(values), max(values), table["mean"][main]["mean"])
    )
    return (
        f"Trained {len(values)} times with other seeds it reached {low} to {high}, {mean} on "
        f"average; two trainings may differ by {figure.gap(table['band'][main])} by their seed "
        "alone (95 of 100 cases)."
    )
