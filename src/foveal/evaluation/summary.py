"""Everything that was measured, put together as the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..card import Card
from ..plan import Plan
from ..report import Report, Score
from . import metrics
from .baselines import Baseline
from .calibration import calibration_error, noise_floor, reliability, softmax
from .intervals import paired
from .mistakes import mistakes
from .tables import confusion_table, curves, per_class, top_confusions
from .verdict import verdict
from .words import count, listed, noun

FEW = 20  # rows of a class under which its own figures say little
SHOWN = 200  # skipped files listed by name


@dataclass(frozen=True, slots=True)
class Answers:
    """What a network said of one part: ``logits`` (N, K), true ``labels`` (N,), ``keys`` N."""

    logits: NDArray[np.float32]
    labels: NDArray[np.int64]
    keys: Sequence[str]


def summarise(
    card: Card,
    plan: Plan,
    test: Answers,
    *,
    temperature: float,
    sizes: Mapping[str, int],
    baselines: Sequence[Baseline] = (),
    history: Sequence[Mapping[str, Any]] = (),
    cost: Mapping[str, Any] | None = None,
    groups: Mapping[str, Any] | None = None,
    doubts: Sequence[str] = (),
    picture: Callable[[int], str] | None = None,
) -> Report:
    """The report of a classifier, from its answers on the test part.

    Args:
        temperature: fitted on the validation part (`fit_temperature`), never on ``test``.
        sizes: samples in "train", "validation" and "test".
        baselines: simple answers to the same test rows, in the same order.
        history: the rows of history.jsonl; only its validations are drawn.
        doubts: sentences besides those of the card.
        picture: position in ``test`` -> a data URI, asked only for the mistakes shown.
    """
    probabilities = softmax(test.logits, temperature)
    scores = metrics.judge(
        probabilities, test.labels, replicates=plan.judge.bootstrap, seed=plan.seed
    )
    right = probabilities.argmax(1) == test.labels
    before = softmax(test.logits)
    calibration = {
        "ece": calibration_error(probabilities.max(1), right),
        "ece_uncalibrated": calibration_error(before.max(1), right),
        "temperature": temperature,
    }
    details = _details(card, plan, test, probabilities, picture)
    details["baselines"] = [
        {"name": b.name, "words": b.words, **asdict(b.score)} for b in baselines
    ]
    details["gain"] = _gain(right, test.labels, baselines, plan.seed)
    details["history"] = curves(history)
    details["verdict"] = verdict(scores, details["gain"], details, calibration)
    own = _own_doubts(details["per_class"], scores, details["noun"])
    return Report(
        task=plan.task,
        main="accuracy",
        data={
            **{part: int(sizes.get(part, 0)) for part in ("train", "validation", "test")},
            "skipped": dict(Counter(s.reason for s in card.skipped)),
            "groups": dict(groups or {}),
        },
        test=scores,
        baselines={b.name: b.score.value for b in baselines},
        verdict=" ".join(details["verdict"]),
        calibration=calibration,
        cost=dict(cost or {}),
        doubts=(*card.doubts, *doubts, *own),
        details=details,
    )


def _details(
    card: Card,
    plan: Plan,
    test: Answers,
    probabilities: NDArray[np.float64],
    picture: Callable[[int], str] | None,
) -> dict[str, Any]:
    """What the page draws of the answers themselves."""
    said, top = probabilities.argmax(1), probabilities.max(1)
    right = said == test.labels
    matrix = metrics.confusion(test.labels, said, len(plan.classes))
    return {
        "noun": noun(card),
        "per_class": per_class(plan.classes, matrix, probabilities, test.labels),
        "confusion": confusion_table(plan.classes, matrix),
        "confusions": top_confusions(plan.classes, matrix),
        "reliability": reliability(top, right),
        "ece_by_luck": noise_floor(top, seed=plan.seed),
        "mistakes": mistakes(probabilities, test.labels, test.keys, plan.classes, picture),
        "mistake_count": int((~right).sum()),
        "skipped": [asdict(s) for s in card.skipped[:SHOWN]],
    }


def _gain(
    right: NDArray[np.bool_], labels: NDArray[np.int64], baselines: Sequence[Baseline], seed: int
) -> dict[str, Any]:
    """How much is added over the best baseline; empty when there is none."""
    if not baselines or not len(right):
        return {}
    best = max(baselines, key=lambda b: b.score.value)
    return {"over": best.name, **asdict(paired(right, best.said == labels, seed=seed))}


def _own_doubts(
    rows: Sequence[Mapping[str, Any]], scores: Mapping[str, Score], name: str
) -> list[str]:
    found = []
    none = [repr(r["name"]) for r in rows if r["count"] == 0]
    few = [repr(r["name"]) for r in rows if 0 < r["count"] < FEW]
    if none:
        found.append(f"no test {name} of {listed(none)}: nothing is known about them")
    if few:
        found.append(f"fewer than {FEW} test {name} of {listed(few)}: their figures say little")
    accuracy = scores.get("accuracy")
    total = sum(int(r["count"]) for r in rows)
    if accuracy is not None and accuracy.high - accuracy.low > 0.1:
        wide = 100 * (accuracy.high - accuracy.low)
        found.append(f"only {count(total)} test {name}: the accuracy is known to {wide:.0f} points")
    return found
