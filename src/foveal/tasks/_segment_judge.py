"""How a class for every cell is judged: overlap by class, intervals over samples, baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..baselines import Baseline, Question
from ..baselines.per_cell import of_colours, of_places
from ..drawing.words import Figure, listed, of_hundred, percent
from ..metrics import cells as scores_of
from ..metrics.odd_masks import Odd, odd_masks
from ..plan import Plan
from ..report import Score
from . import Answers, Calibration, Judged
from ._worth import best_of, gained, worth
from ._worth import listed as baselines_listed

SHOWN = 6  # best and worst samples each
BACKGROUND = ("background", "bg", "none")
FIGURES = {
    "iou": Figure("Mean IoU", "overlap of said and true cells over both together, mean of classes"),
    "dice": Figure("Mean Dice", "twice the overlap over the sum of both, mean of samples, classes"),
    "accuracy": Figure("Cells named rightly", "of all cells whose class is known"),
}


def judged_classes(plan: Plan) -> NDArray[np.bool_]:
    """Which classes count for the means, ``(K,)``: all but a background."""
    names = [name.lower() for name in plan.classes]
    kept = np.array([name not in BACKGROUND for name in names])
    return kept if kept.any() else ~kept


def quick(raw: NDArray[np.float32], target: NDArray[Any], plan: Plan) -> dict[str, float]:
    """Mean IoU over all cells, mean Dice over samples, and the share of cells named rightly."""
    counts, judged = _counts(raw, plan), judged_classes(plan)
    if not counts.sum():
        return {"iou": 0.0, "dice": 0.0, "accuracy": 0.0}
    with np.errstate(invalid="ignore"):
        dice = scores_of.mean(scores_of.dices(counts), judged)
    total = counts.sum(0)
    return {
        "iou": float(scores_of.mean_iou(total, judged)),
        "dice": float(dice.mean()),
        "accuracy": float(np.trace(total) / total.sum()),
    }


def calibrate(raw: NDArray[np.float32], target: NDArray[Any], plan: Plan) -> dict[str, Any]:
    """Nothing: the most probable class is said."""
    return {}


def judge(
    test: Answers, plan: Plan, calibration: Calibration, baselines: Sequence[Baseline]
) -> Judged:
    """Overlap of each class and of all, what the network adds, the best and the worst samples."""
    counts, judged = _counts(test.raw, plan), judged_classes(plan)
    replicates, seed = plan.judge.bootstrap, plan.seed
    found = scores_of.judge(counts, judged, replicates=replicates, seed=seed)
    details: dict[str, Any] = {"baselines": baselines_listed(baselines), "gain": {}}
    details["per_class"] = _per_class(counts, found, judged, plan)
    if found is None:
        verdict = [f"No test {test.noun} with a known class, so nothing can be said."]
        return Judged({}, {}, details, verdict)
    scores = {"iou": found.iou, "dice": found.dice, "accuracy": found.accuracy}
    details["gallery"] = _gallery(counts, judged, test)
    if baselines:
        best = best_of(baselines, FIGURES["iou"])
        gain = scores_of.more(
            counts, best.said, judged, scores_of.mean_iou, replicates=replicates, seed=seed
        )
        details["gain"] = gained(best, gain)
    return Judged(scores, {}, details, _verdict(scores, details, test.noun), _doubts(details))


def odd(raw: NDArray[np.float32], target: NDArray[Any], plan: Plan) -> list[Odd]:
    """What speaks against each sample's mask, of counts out of fold."""
    return odd_masks(_counts(raw, plan), judged_classes(plan), plan.classes)


def baselines(question: Question, plan: Plan) -> tuple[Baseline, ...]:
    """The commonest class of each place, and a model that sees one cell at a time."""
    if question.pairs is None:
        return ()
    classes = len(plan.classes)
    found = []
    for simple in (of_places(question, classes), of_colours(question, classes)):
        if simple is None or not simple.said.sum():
            continue
        score = scores_of.judge(
            simple.said, judged_classes(plan), replicates=plan.judge.bootstrap, seed=plan.seed
        )
        assert score is not None, "counts that are not empty have a score"
        found.append(
            Baseline(simple.name, simple.title, simple.called, simple.words, score.iou, simple.said)
        )
    return tuple(found)


def _counts(raw: NDArray[Any], plan: Plan) -> NDArray[np.float64]:
    """Counts per sample ``(N, K, K)``; of nothing, none."""
    classes = len(plan.classes)
    if raw.shape[1:] != (classes, classes):
        raw = raw[:0].reshape(0, classes, classes)
    return raw.astype(np.float64)


def _per_class(
    counts: NDArray[np.float64],
    found: scores_of.Judgement | None,
    judged: NDArray[np.bool_],
    plan: Plan,
) -> list[dict[str, Any]]:
    """One row per class: cells, samples that have it, overlap with intervals."""
    true, total = counts.sum((0, 2)), max(counts.sum(), 1)
    rows = []
    for k, name in enumerate(plan.classes):
        iou = found.each_iou[k] if found else None
        dice = found.each_dice[k] if found else None
        rows.append(
            {
                "name": name,
                "judged": bool(judged[k]),
                "share": float(true[k] / total),
                "samples": int((counts[:, k].sum(1) > 0).sum()),
                "iou": iou and asdict(iou),
                "dice": dice and asdict(dice),
            }
        )
    return rows


def _gallery(
    counts: NDArray[np.float64], judged: NDArray[np.bool_], test: Answers
) -> list[dict[str, Any]]:
    """The worst and the best samples, by the mean IoU of each alone."""
    each = scores_of.mean_iou(counts, judged)
    known = np.flatnonzero(counts.sum((1, 2)) > 0)
    order = known[np.argsort(each[known], kind="stable")]
    half = min(SHOWN, (len(order) + 1) // 2)
    chosen = [("worst", int(i)) for i in order[:half]]
    chosen += [("best", int(i)) for i in order[::-1][: min(half, len(order) - half)]]
    found = []
    for kind, i in chosen:
        truth, said = test.pair(i) if test.pair is not None else ("", "")
        picture = test.picture(i) if test.picture is not None else ""
        row = {"key": test.keys[i], "kind": kind, "iou": float(each[i])}
        found.append({**row, "picture": picture, "truth": truth, "said": said})
    return found


def _verdict(scores: Mapping[str, Score], details: Mapping[str, Any], noun: str) -> list[str]:
    known = [r for r in details["per_class"] if r["iou"] is not None and r["judged"]]
    sentences = [
        f"The network's masks of test {noun} overlap the true ones with a mean IoU of "
        f"{of_hundred(scores['iou'])}; {percent(scores['accuracy'].value)} % of the cells are "
        "named rightly.",
        worth(details["gain"], FIGURES["iou"], "reaches"),
    ]
    if len(known) > 1:
        least = min(known, key=lambda r: r["iou"]["value"])
        sentences.append(
            f"Weakest class: {least['name']!r}, IoU {percent(least['iou']['value'])}, on "
            f"{percent(least['share'])} % of the cells."
        )
    return sentences


def _doubts(details: Mapping[str, Any]) -> list[str]:
    none = [repr(r["name"]) for r in details["per_class"] if r["judged"] and not r["samples"]]
    return [f"no test sample has {listed(none)}: nothing is known about it"] if none else []
