"""The report: what a run reached, how sure that is, and what it cost."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .record import from_plain, to_plain


@dataclass(frozen=True, slots=True)
class Score:
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Report:
    """`report.json`, as DESIGN section 4 lays it down.

    data: {"train": n, "validation": n, "test": n, "skipped": {reason: n}, "groups": {...}}.
    test: scores on the test part, which is used once. details: what the page draws (confusion,
    per class, reliability, history, mistakes); plain JSON. calibration: what was fitted on the
    validation part and makes answers honest (a temperature, thresholds, half widths), and how well
    that held. cost: seconds, samples_per_second, peak_memory_mb, macs_per_sample,
    fraction_of_peak, device, threads, precision.
    folds: of a cross-validation (evaluation/folds.py), "judged" among it: "out of fold" where
    ``test`` is of all answers that folds gave for their own parts, "test part" where it is of a
    part that the data brought. repeats: of trainings with other seeds (evaluation/repeats.py).
    leaks: of a given test part of which samples were learned from, themselves or as copies:
    "count", "examples" (pairs of keys, tested and learned), "without": scores of the others.
    optimism: where samples belong together: "honest" and "random", what a simple model, "of",
    scores on splits that keep them together and on splits drawn at random; "splits" of each.
    """

    task: str
    main: str
    data: dict[str, Any]
    test: dict[str, Score]
    baselines: dict[str, float]
    verdict: str
    calibration: dict[str, Any]
    cost: dict[str, Any]
    invariance: dict[str, Any] = field(default_factory=dict)
    doubts: tuple[str, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)
    folds: dict[str, Any] = field(default_factory=dict)
    repeats: dict[str, Any] = field(default_factory=dict)
    leaks: dict[str, Any] = field(default_factory=dict)
    optimism: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, object]:
        return to_plain(self)

    @staticmethod
    def from_dict(values: dict[str, object], where: str = "report.json") -> Report:
        return from_plain(Report, values, where)
