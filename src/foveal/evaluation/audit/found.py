"""What an audit found: rows of changes, what is exact, which classes merge, the remedy."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ...report import Score


@dataclass(frozen=True, slots=True)
class Row:
    """One change at one strength, over all samples.

    consistency: share with the same answer as before, 1 is best. accuracy: share answered
    rightly after it; None without labels. change: mean distance between the probabilities of the
    former answer before and after, 0 is best.
    """

    name: str
    strength: float
    family: str
    consistency: Score
    accuracy: Score | None
    change: Score
    place: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Exact:
    """elements: changes tried that should leave every answer alone, with the one that does
    nothing. changed: samples whose answer one of them changed, ``of`` so many. averaged: accuracy
    of the mean answer over all of them; None without labels."""

    elements: int
    changed: int
    of: int
    averaged: Score | None = None


@dataclass(frozen=True, slots=True)
class Merge:
    """``count`` of ``of`` samples that were answered with ``one`` are answered with ``other``."""

    name: str
    strength: float
    one: str
    other: str
    count: int
    of: int


@dataclass(frozen=True, slots=True)
class Example:
    """A sample whose answer a change turned over, drawn before and after (data URIs)."""

    key: str
    name: str
    strength: float
    before: str
    after: str
    said: tuple[str, str]
    sure: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Remedy:
    """What would help, in one sentence, and what that costs; ``text`` is both."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Audit:
    """Everything that was measured. accuracy: of the samples as they are; None without labels.

    map: changes of place alone. seconds: what it took.
    """

    samples: int
    accuracy: Score | None
    rows: tuple[Row, ...]
    map: tuple[Row, ...]
    exact: dict[str, Exact]
    merges: tuple[Merge, ...]
    examples: tuple[Example, ...]
    remedy: Remedy
    seconds: float = 0.0
    noun: str = "samples"

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON: samples, transforms, exact, merges, remedy."""
        return {
            "samples": self.samples,
            "transforms": [
                {
                    "name": row.name,
                    "strength": row.strength,
                    "consistency": asdict(row.consistency),
                    "accuracy": None if row.accuracy is None else asdict(row.accuracy),
                    "change": row.change.value,
                }
                for row in self.rows
            ],
            "exact": {
                name: {"elements": e.elements, "changed": e.changed, "of": e.of}
                for name, e in self.exact.items()
            },
            "merges": [
                {
                    "classes": [m.one, m.other],
                    "transform": m.name,
                    "strength": m.strength,
                    "share": m.count / m.of,
                    "count": m.count,
                    "of": m.of,
                }
                for m in self.merges
            ],
            "remedy": self.remedy.text,
        }
