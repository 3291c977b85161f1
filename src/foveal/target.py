"""What is to be learned: one class, any of several classes, or numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Target = Literal["label", "labels", "numbers"]


@dataclass(frozen=True, slots=True)
class Number:
    """A number to be predicted: its name, and its mean and spread over the training part."""

    name: str
    mean: float
    std: float
