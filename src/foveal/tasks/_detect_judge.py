"""How found boxes are judged: average precision, per class, thresholds, best and worst samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..baselines import Baseline, Question
from ..baselines.cells import small
from ..drawing.words import Figure, count, of_hundred
from ..metrics import detection as scores_of
from ..metrics.boxes import overlap, suppress
from ..metrics.detection import Found
from ..metrics.odd_boxes import odd_boxes
from ..metrics.odd_masks import Odd
from ..plan import Plan
from ..report import Score
from . import Answers, Calibration, Judged
from ._detect_boxes import padded, said, true
from ._worth import best_of, gained, listed, worth

FEW = 50  # test samples under which every figure is loose
SHOWN = 6  # best, and as many worst, samples on the page
ALIKE = 2000  # training samples that the nearest are looked for among
PLACES = 2000  # training boxes of a class among which usual places are looked for
SAME = 0.5
FIGURES = {
    "ap50": Figure("AP50", "average precision where boxes overlap by half, mean over classes"),
    "ap": Figure("AP", "the same, mean over overlaps of 50 to 95 % (COCO)"),
}


def quick(raw: NDArray[np.float32], target: NDArray[Any], plan: Plan) -> dict[str, float]:
    """AP50 and AP of a part, of what ``brief`` kept of it."""
    ap50, ap = scores_of.quick(said(raw), true(target), len(plan.classes))
    return {"ap50": ap50, "ap": ap}


def calibrate(raw: NDArray[np.float32], target: NDArray[Any], plan: Plan) -> dict[str, Any]:
    """The score from which a box of each class is said."""
    ours, theirs = said(raw), true(target)
    least = {
        name: scores_of.threshold(scores_of.matched(ours, theirs, label))
        for label, name in enumerate(plan.classes)
    }
    return {"thresholds": least}


def judge(
    test: Answers, plan: Plan, calibration: Calibration, baselines: Sequence[Baseline]
) -> Judged:
    """Average precision with intervals, of all classes and of each; curves; samples to look at."""
    ours, theirs = said(test.raw), true(test.target)
    classes, seed = len(plan.classes), plan.seed
    details: dict[str, Any] = {"baselines": listed(baselines), "gain": {}, "classes": []}
    known = {"thresholds": dict(calibration.get("thresholds", {}))}
    found = scores_of.judge(ours, theirs, classes, replicates=plan.judge.bootstrap, seed=seed)
    if found is None:
        verdict = [f"No test {test.noun} with a box, so nothing can be said."]
        return Judged({}, known, details, verdict)
    scores = {"ap50": found.ap50, "ap": found.ap}
    details["classes"] = _classes(ours, theirs, found, plan, known["thresholds"])
    details["samples"] = _samples(ours, theirs, test, plan, known["thresholds"])
    if baselines:
        best = best_of(baselines, FIGURES["ap50"])
        gain = scores_of.gained(
            (ours, theirs), _both(best), classes, replicates=plan.judge.bootstrap, seed=seed
        )
        details["gain"] = gained(best, gain)
    verdict = _verdict(scores, details, test.noun)
    doubts = [f"only {count(len(theirs))} test {test.noun}: every figure is loose"]
    return Judged(scores, known, details, verdict, doubts * (len(theirs) < FEW))


def _classes(
    ours: Sequence[Found],
    theirs: Sequence[Found],
    found: scores_of.Scores,
    plan: Plan,
    least: Mapping[str, float],
) -> list[dict[str, Any]]:
    rows = []
    for label, (name, both) in enumerate(zip(plan.classes, found.classes, strict=True)):
        matches = scores_of.matched(ours, theirs, label)
        row: dict[str, Any] = {"name": name, "boxes": int(matches.true.sum())}
        if both is not None:
            drawn = scores_of.curve(matches)
            pairs = zip(scores_of.RECALLS[::2], drawn.precision[::2], strict=True)
            row |= {key: asdict(score) for key, score in zip(("ap50", "ap"), both, strict=True)}
            row["curve"] = [[round(float(r), 3), round(float(p), 4)] for r, p in pairs]
            row |= _at(matches, least.get(name, 0.5))
        rows.append(row)
    return rows


def _at(matches: scores_of.Matches, least: float) -> dict[str, float]:
    """Precision and recall of the answers from a score on."""
    told = matches.scores >= least
    right = int(matches.right[0][told].sum())
    total = max(int(matches.true.sum()), 1)
    return {
        "threshold": least,
        "precision": right / max(int(told.sum()), 1),
        "recall": right / total,
    }


def _samples(
    ours: Sequence[Found],
    theirs: Sequence[Found],
    test: Answers,
    plan: Plan,
    least: Mapping[str, float],
) -> list[dict[str, Any]]:
    """The best and the worst samples by how right and complete their boxes are."""
    floor = np.array([least.get(name, 0.5) for name in plan.classes])
    counts = [_counts(_from(a, floor), b) for a, b in zip(ours, theirs, strict=True)]
    balance = np.array([2 * c[0] / max(2 * c[0] + c[1] + c[2], 1) for c in counts])
    order = np.argsort(balance, kind="stable")
    half = min(SHOWN, (len(order) + 1) // 2)
    chosen = [("worst", int(i)) for i in order[:half]]
    chosen += [("best", int(i)) for i in order[::-1][: min(half, len(order) - half)]]
    found = []
    for kind, i in chosen:
        truth, answer = test.pair(i) if test.pair is not None else ("", "")
        right, wrong, missed = counts[i]
        row = {"key": test.keys[i], "kind": kind, "right": right, "wrong": wrong}
        found.append({**row, "missed": missed, "truth": truth, "said": answer})
    return found


def _from(found: Found, floor: NDArray[np.float64]) -> Found:
    kept = found.scores >= floor[found.labels]
    return Found(found.boxes[kept], found.labels[kept], found.scores[kept])


def _counts(ours: Found, theirs: Found) -> tuple[int, int, int]:
    """Boxes of one sample that are right, wrong and missed, at an overlap of a half."""
    right = sum(
        int(scores_of.matched([ours], [theirs], int(k)).right[0].sum())
        for k in np.unique(theirs.labels)
    )
    return right, len(ours.labels) - right, len(theirs.labels) - right


def odd(raw: NDArray[np.float32], target: NDArray[Any], plan: Plan) -> list[Odd]:
    """What speaks against each sample's boxes, of answers out of fold."""
    return odd_boxes(said(raw), true(target), plan.classes)


def baselines(question: Question, plan: Plan) -> tuple[Baseline, ...]:
    """Boxes at the usual places of each class, and those of the most alike training sample.

    What they said is kept with the truth it is held against, since both lie on the prepared grid.
    """
    learned, known = _read(question, "train", plan)
    theirs, asked = _read(question, "test", plan)
    if not learned or not theirs:
        return ()

    def answered(name: str, title: str, called: str, words: str, rows: list[Any]) -> Baseline:
        kept = padded(rows, 2 + 2 * plan.rank)
        found = scores_of.judge(said(kept), theirs, len(plan.classes), replicates=100)
        score = Score(0.0, 0.0, 1.0) if found is None else found.ap50
        truth = [np.column_stack([-f.scores, f.labels, f.boxes]) for f in theirs]
        both = padded(
            [np.concatenate(pair) for pair in zip(rows, truth, strict=True)], kept.shape[2]
        )
        return Baseline(name, title, called, words, score, both)

    usual = _usual(learned, plan)
    low, wide = known.mean(0), known.std(0) + 1e-6
    gaps = (((asked - low) / wide)[:, None] - ((known - low) / wide)[None]) ** 2
    alike = [learned[int(i)] for i in gaps.sum(-1).argmin(axis=1)]
    return (
        answered(
            "usual_places",
            "Usual places",
            "boxes at the usual places",
            "says boxes where those of each class lay most often in training",
            [usual] * len(theirs),
        ),
        answered(
            "nearest_neighbour",
            "Nearest neighbour",
            "the boxes of the nearest neighbour by small cells",
            "says the boxes of the training sample most alike in small cells",
            [np.column_stack([f.scores, f.labels, f.boxes]) for f in alike],
        ),
    )


def _read(question: Question, part: str, plan: Plan) -> tuple[list[Found], NDArray[np.float32]]:
    """True boxes of at most `ALIKE` samples of a part, and the samples as small cells."""
    boxes: list[Found] = []
    cells: list[NDArray[np.float32]] = []
    assert question.pairs is not None, "asked only where samples have boxes"
    most = ALIKE if part == "train" else None
    for x, y in question.pairs(part):
        boxes += true(y)
        cells.append(small(torch.from_numpy(x).__getitem__, np.arange(len(x))))
        if most is not None and len(boxes) >= most:
            break
    return boxes, np.concatenate(cells) if cells else np.zeros((0, 0), np.float32)


def _both(best: Baseline) -> tuple[list[Found], list[Found]]:
    """What a baseline said, and the truth that is kept with it under scores below 0."""
    rows = [one[np.isfinite(one[:, 0])] for one in best.said]
    return said([r[r[:, 0] >= 0] for r in rows]), true([r[r[:, 0] < 0][:, 1:] for r in rows])


def _usual(learned: Sequence[Found], plan: Plan) -> NDArray[np.float64]:
    """Places at which boxes of each class overlap most training boxes ``(n, 2 + 2 R)``."""
    rows = [np.zeros((0, 2 + 2 * plan.rank))]
    for label in range(len(plan.classes)):
        boxes = np.concatenate([f.boxes[f.labels == label] for f in learned])[:PLACES]
        if len(boxes):
            common = (overlap(boxes, boxes) >= SAME).sum(1) / len(learned)
            best = suppress(boxes, common, SAME)[: scores_of.MOST]
            column = np.full(len(best), float(label))
            rows.append(np.column_stack([common[best], column, boxes[best]]))
    found = np.concatenate(rows)
    return found[np.argsort(-found[:, 0], kind="stable")]


def _verdict(scores: Mapping[str, Score], details: Mapping[str, Any], noun: str) -> list[str]:
    known = [row for row in details["classes"] if "ap50" in row]
    weakest = min(known, key=lambda row: row["ap50"]["value"])
    sentences = [
        f"AP50 is {of_hundred(scores['ap50'])}; over stricter overlaps too (COCO AP) it is "
        f"{of_hundred(scores['ap'])}.",
        worth(details["gain"], FIGURES["ap50"], "reaches"),
    ]
    if len(known) > 1:
        value = Score(**weakest["ap50"])
        sentences.append(f"Weakest class: {weakest['name']!r}, AP50 {of_hundred(value)}.")
    return sentences
