"""Figures as people say them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, isfinite, log10

from ..card import Card
from ..plan import Plan
from ..report import Score

NOUNS = {
    ("y", "x"): "pictures",
    ("z", "y", "x"): "volumes",
    ("time",): "recordings",
    ("text",): "texts",
    ("time", "y", "x"): "clips",
}


@dataclass(frozen=True, slots=True)
class Figure:
    """How a score is called and read.

    title, meaning: for a person. share: it lies between 0 and 1 and is shown in per cent.
    lower: less is better.
    """

    title: str
    meaning: str
    share: bool = True
    lower: bool = False

    def text(self, value: float) -> str:
        """The value as it stands on a page."""
        return percent(value) if self.share else plain(value)

    def gap(self, value: float) -> str:
        """A difference of two such values, without its sign."""
        return f"{abs(100 * value):.1f} points" if self.share else plain(abs(value))


def noun(card: Card) -> str:
    """What one calls the samples: "pictures", "volumes", "recordings" or "samples"."""
    return NOUNS.get(tuple(axis.name for axis in card.axes), "samples")


def learned(plan: Plan) -> str:
    """What a plan's network answers with: "3 classes", "steering" or "4 numbers"."""
    if plan.classes:
        return f"{len(plan.classes)} classes" if len(plan.classes) > 1 else "1 class"
    if len(plan.numbers) == 1:
        return plan.numbers[0].name
    return f"{len(plan.numbers)} numbers"


def plain(value: float) -> str:
    """Three digits that tell something: "0.0123", "1.23", "1,234"."""
    if not isfinite(value):
        return str(value)
    size = floor(log10(abs(value))) if value else 0
    return f"{value:,.{max(0, 2 - size)}f}" if size > -6 else f"{value:.2e}"


def percent(share: float, digits: int = 1) -> str:
    """``0.912`` as "91.2". Never rounds up to 100 or down to 0 what is neither."""
    text = f"{100 * share:.{digits}f}"
    least = 10.0**-digits
    if share < 1 and float(text) >= 100:
        return f"{100 - least:.{digits}f}"
    if share > 0 and float(text) <= 0:
        return f"{least:.{digits}f}"
    return text


def of_hundred(score: Score) -> str:
    """ "91.2 of 100 (95 % interval 90.4 to 91.9)"."""
    low, high = percent(score.low), percent(score.high)
    return f"{percent(score.value)} of 100 (95 % interval {low} to {high})"


def count(number: float) -> str:
    """``60000`` as "60,000"."""
    return f"{number:,.0f}"


def duration(seconds: float) -> str:
    """ "42 s", "3 min 5 s" or "2 h 10 min"."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def listed(items: Sequence[str], most: int = 6) -> str:
    """ "a, b and c"; beyond ``most`` items "a, b and 7 more"."""
    shown = list(items[:most]) if len(items) <= most else list(items[: most - 1])
    if len(shown) < len(items):
        shown.append(f"{len(items) - len(shown)} more")
    return shown[0] if len(shown) == 1 else ", ".join(shown[:-1]) + f" and {shown[-1]}"
