"""The course of a training as columns that a page can draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

SERIES = {
    "epoch": ("epoch", "epochs"),
    "step": ("step", "steps"),
    "seconds": ("seconds", "time"),
    "loss": ("loss", "train_loss", "training_loss"),
    "validation_loss": ("validation_loss", "val_loss", "log_loss"),
    "rate": ("rate", "lr", "learning_rate"),
}


def curves(
    history: Sequence[Mapping[str, Any]], best: str = "accuracy"
) -> dict[str, list[float | None]]:
    """Training's figures as columns of one length; None where a row has none.

    best: the score that chose the weights; it becomes the column "score".
    """
    history = [row for row in history if row.get("kind", "validation") == "validation"]
    columns: dict[str, list[float | None]] = {}
    for name, known in (*SERIES.items(), ("score", ("score", best))):
        values = [_number(row, known) for row in history]
        if any(v is not None for v in values):
            columns[name] = values
    return columns


def _number(row: Mapping[str, Any], known: Sequence[str]) -> float | None:
    for name in known:
        value = row.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value):
            return float(value)
    return None
