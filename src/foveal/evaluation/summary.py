"""Everything that was measured, put together as the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ..baselines import Baseline
from ..card import Card
from ..plan import Plan
from ..report import Report
from ..tasks import Answers, Calibration, Task
from .curves import curves

SHOWN = 200  # skipped files listed by name


def summarise(
    task: Task,
    card: Card,
    plan: Plan,
    test: Answers,
    *,
    calibration: Calibration,
    sizes: Mapping[str, int],
    baselines: Sequence[Baseline] = (),
    history: Sequence[Mapping[str, Any]] = (),
    cost: Mapping[str, Any] | None = None,
    groups: Mapping[str, Any] | None = None,
    doubts: Sequence[str] = (),
) -> Report:
    """The report of a network, from its answers on the test part.

    Args:
        calibration: fitted on the validation part (``task.judging.calibrate``), never on ``test``.
        sizes: samples in "train", "validation" and "test".
        baselines: simple answers to the same test rows, in the same order.
        history: the rows of history.jsonl; only its validations are drawn.
        doubts: sentences besides those of the card.
    """
    found = task.judging.judge(test, plan, calibration, baselines)
    details = {
        **found.details,
        "noun": test.noun,
        "skipped": [asdict(s) for s in card.skipped[:SHOWN]],
        "history": curves(history, task.judging.best),
        "verdict": found.verdict,
    }
    return Report(
        task=plan.task,
        main=task.judging.main,
        data={
            **{part: int(sizes.get(part, 0)) for part in ("train", "validation", "test")},
            "skipped": dict(Counter(s.reason for s in card.skipped)),
            "groups": dict(groups or {}),
        },
        test=found.scores,
        baselines={b.name: b.score.value for b in baselines},
        verdict=" ".join(found.verdict),
        calibration=found.calibration,
        cost=dict(cost or {}),
        doubts=(*card.doubts, *doubts, *found.doubts),
        details=details,
    )
