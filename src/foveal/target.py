"""What is to be learned: one class, any of several classes, numbers, a class per cell, or boxes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Target = Literal["label", "labels", "numbers", "mask", "boxes"]
VOID = 255  # in a mask: a cell of no known class, excluded from loss and scores


@dataclass(frozen=True, slots=True)
class Number:
    """A number to be predicted: its name, and its mean and spread over the training part."""

    name: str
    mean: float
    std: float
