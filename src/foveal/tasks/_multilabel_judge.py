"""How a choice of several classes is judged: rankings, thresholds, calibration class by class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..baselines import Baseline, Question
from ..baselines import models as simple
from ..drawing.words import Figure, listed, percent
from ..metrics import labels as scores_of
from ..metrics.calibration import calibration_error, fit_slopes, reliability
from ..plan import Plan
from ..report import Score
from . import Answers, Calibration, Judged
from ._worth import compared, worth
from ._worth import listed as baselines_listed

ENOUGH = 10  # positives from which a class chooses its own threshold
FEW = 10  # positives of a class under which its own figures say little
WORST = 24
FIGURES = {
    "map_macro": Figure("Mean average precision", "those that have a class rank above the rest"),
    "f1_macro": Figure("F1, mean of classes", "finding all and naming only those"),
}


def quick(raw: NDArray[np.float32], target: NDArray[Any], plan: Plan) -> dict[str, float]:
    """Mean average precision and mean cross-entropy."""
    truth, wide = target > 0, raw.astype(np.float64)
    lost = np.logaddexp(0, wide) - wide * truth
    return {
        "map_macro": scores_of.map_macro(truth, wide),
        "validation_loss": float(lost.mean()),
    }


def calibrate(raw: NDArray[np.float32], target: NDArray[Any], plan: Plan) -> dict[str, Any]:
    """Slope and shift of each class, and the probability from which on it is said.

    A class with few positives takes the threshold that is best for all classes together.
    """
    truth = target > 0
    slope, shift = fit_slopes(raw, truth)
    likely = _likely(raw, slope, shift)
    shared = scores_of.best_threshold(truth.ravel(), likely.ravel())
    own = [
        scores_of.best_threshold(truth[:, k], likely[:, k])
        if ENOUGH <= truth[:, k].sum() < len(truth)
        else shared
        for k in range(truth.shape[1])
    ]
    return {"slope": slope.tolist(), "shift": shift.tolist(), "threshold": own}


def judge(
    test: Answers, plan: Plan, calibration: Calibration, baselines: Sequence[Baseline]
) -> Judged:
    """Average precision and F1 of each class and of all, calibration, the worst answers."""
    count = len(plan.classes)
    slope = np.array(calibration.get("slope") or [1.0] * count)
    shift = np.array(calibration.get("shift") or [0.0] * count)
    floors = np.array(calibration.get("threshold") or [0.5] * count)
    truth, likely = test.target > 0, _likely(test.raw, slope, shift)
    said = likely > floors
    found = scores_of.judge(truth, likely, said, replicates=plan.judge.bootstrap, seed=plan.seed)
    before = _likely(test.raw, np.ones(count), np.zeros(count))
    known = {
        "ece": calibration_error(likely.ravel(), truth.ravel()),
        "ece_uncalibrated": calibration_error(before.ravel(), truth.ravel()),
        "slope": slope.tolist(),
        "shift": shift.tolist(),
        "threshold": floors.tolist(),
    }
    details: dict[str, Any] = {"baselines": baselines_listed(baselines), "gain": {}}
    details["per_label"] = _per_label(plan, truth, said, found)
    if found is None:
        verdict = [f"No test {test.noun} with any of the classes, so nothing can be said."]
        return Judged({}, known, details, verdict)
    scores = {"map_macro": found.map_macro, "f1_macro": found.f1_macro}
    details["reliability"] = reliability(likely.ravel(), truth.ravel())
    details["worst"] = _worst(truth, said, likely, plan, test)
    details["wrong"] = int((said != truth).any(1).sum())
    draws = {"replicates": plan.judge.bootstrap, "seed": plan.seed}
    details["gain"] = compared(
        baselines,
        FIGURES["map_macro"],
        lambda b: scores_of.more_precision(truth, likely, b.said, **draws),
    )
    verdict = _verdict(scores, details, known, test.noun)
    return Judged(scores, known, details, verdict, _doubts(details["per_label"], test.noun))


def baselines(question: Question, plan: Plan) -> tuple[Baseline, ...]:
    """Base rates, and one weighted sum per class on standardised vectors."""
    learned, truth = question.learned, question.truth
    if not len(learned) or not len(truth) or not (truth > 0).any():
        return ()
    rates = np.broadcast_to(learned.mean(0), truth.shape).astype(np.float64)
    rows = simple.chosen(question, question.width * (question.width + learned.shape[1]))
    known, asked = simple.standardised(question.known(rows), question.asked())
    sums = simple.ridge(known, learned[rows], asked)
    return (
        _baseline(
            "base_rates",
            "Base rates",
            "always answering the base rates",
            "says of every sample how frequent each class is in training",
            rates,
            truth,
            plan,
        ),
        _baseline(
            "ridge_regression",
            "Ridge regression",
            f"ridge regression on {question.words}",
            f"one weighted sum of {question.words} for each class{simple.used(rows, question)}",
            sums,
            truth,
            plan,
        ),
        *(
            _baseline(
                own.name,
                own.title,
                own.called,
                own.words,
                own.answer(np.asarray(learned, np.float64)),
                truth,
                plan,
            )
            for own in question.own
        ),
    )


def _baseline(
    name: str,
    title: str,
    called: str,
    words: str,
    said: NDArray[np.float64],
    truth: NDArray[Any],
    plan: Plan,
) -> Baseline:
    score = scores_of.precision_interval(
        truth > 0, said, replicates=plan.judge.bootstrap, seed=plan.seed
    )
    return Baseline(name, title, called, words, score, said)


def _likely(raw: NDArray[Any], slope: NDArray[Any], shift: NDArray[Any]) -> NDArray[np.float64]:
    wide = np.clip(raw.astype(np.float64) * slope + shift, -700, 700)
    return np.asarray(1 / (1 + np.exp(-wide)))


def _per_label(
    plan: Plan,
    truth: NDArray[np.bool_],
    said: NDArray[np.bool_],
    found: scores_of.Judgement | None,
) -> list[dict[str, Any]]:
    """One row per class: how many have it, were said to, and its figures with intervals."""
    rows = []
    for k, name in enumerate(plan.classes):
        pair = None if found is None else found.each[k]
        rows.append(
            {
                "name": name,
                "count": int(truth[:, k].sum()),
                "said": int(said[:, k].sum()),
                "right": int((said & truth)[:, k].sum()),
                "average_precision": pair and asdict(pair[0]),
                "f1": pair and asdict(pair[1]),
            }
        )
    return rows


def _worst(
    truth: NDArray[np.bool_],
    said: NDArray[np.bool_],
    likely: NDArray[np.float64],
    plan: Plan,
    test: Answers,
) -> list[dict[str, Any]]:
    """The answers whose surest mistake is surest: too much or too little of one class."""
    off = np.where(said != truth, np.abs(likely - truth), 0.0)
    order = np.argsort(-off.max(1), kind="stable")[:WORST]
    found = []
    for row in order[off[order].max(1) > 0].tolist():
        k = int(off[row].argmax())
        found.append(
            {
                "key": test.keys[row],
                "class": plan.classes[k],
                "probability": float(likely[row, k]),
                "there": bool(truth[row, k]),
                "true": [n for n, yes in zip(plan.classes, truth[row], strict=True) if yes],
                "picture": test.picture(row) if test.picture is not None else "",
            }
        )
    return found


def _verdict(
    scores: Mapping[str, Score],
    details: Mapping[str, Any],
    calibration: Calibration,
    noun: str,
) -> list[str]:
    """The ranking, the gain over the best baseline, the confidence, the weakest class."""
    score = scores["map_macro"]
    error = calibration["ece"]
    believed = (
        f"Its probabilities can be believed: off by {percent(error)} points on average."
        if error <= 0.03
        else f"Its probabilities are off by {percent(error)} points on average."
    )
    sentences = [
        f"The network ranks test {noun} with a mean average precision of {percent(score.value)} "
        f"(95 % interval {percent(score.low)} to {percent(score.high)}; 100 is best).",
        worth(details["gain"], FIGURES["map_macro"], "reaches"),
        believed,
        _weakest(details["per_label"], noun),
    ]
    return [s for s in sentences if s]


def _weakest(rows: Sequence[Mapping[str, Any]], noun: str) -> str:
    known = [r for r in rows if r["average_precision"] is not None]
    if len(known) < 2:
        return ""
    least = min(known, key=lambda r: r["average_precision"]["value"])
    figure = percent(least["average_precision"]["value"])
    return (
        f"Weakest class: {least['name']!r}, average precision {figure}; {least['right']} of "
        f"{least['count']} {noun} that have it are found."
    )


def _doubts(rows: Sequence[Mapping[str, Any]], noun: str) -> list[str]:
    none = [repr(r["name"]) for r in rows if r["count"] == 0]
    few = [repr(r["name"]) for r in rows if 0 < r["count"] < FEW]
    found = []
    if none:
        found.append(f"no test {noun} with {listed(none)}: nothing is known about them")
    if few:
        found.append(f"fewer than {FEW} test {noun} with {listed(few)}: their figures say little")
    return found
