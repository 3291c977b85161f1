"""How a classifier is judged: quick scores, temperature, everything on the test part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..baselines import Baseline, Question
from ..baselines import models as simple
from ..drawing.words import Figure, count, listed, of_hundred, percent
from ..metrics import classes as scores_of
from ..metrics.calibration import (
    calibration_error,
    fit_temperature,
    noise_floor,
    reliability,
    softmax,
)
from ..metrics.intervals import paired, wilson
from ..plan import Plan
from ..report import Score
from . import Answers, Calibration, Judged
from . import _classify_sets as sets
from ._classify_tables import confusion_table, per_class, top_confusions
from ._mistakes import mistakes
from ._worth import compared, worth
from ._worth import listed as baselines_listed

FEW = 20  # rows of a class under which its own figures say little
ENOUGH = 5  # rows a class needs before it is called the weakest
FIGURES = {
    "accuracy": Figure("Accuracy", "share named rightly"),
    "balanced_accuracy": Figure("Balanced accuracy", "every class counts the same"),
    "f1_macro": Figure("F1, mean of classes", "finding all and naming only those"),
    "auroc": Figure("AUROC", "ranks right above wrong; 50 is chance"),
    "log_loss": Figure("Log loss", "surprise at the truth; lower is better", False, True),
    "ece": Figure("Calibration error", "confidence against truth; lower is better", True, True),
}


def quick(raw: NDArray[np.float32], target: NDArray[Any], plan: Plan) -> dict[str, float]:
    """Accuracy and log loss."""
    shifted = raw - raw.max(1, keepdims=True)
    lost = np.log(np.exp(shifted).sum(1)) - shifted[np.arange(len(raw)), target]
    right = raw.argmax(1) == target
    return {"accuracy": float(right.mean()), "log_loss": float(lost.mean())}


def calibrate(raw: NDArray[np.float32], target: NDArray[Any], plan: Plan) -> dict[str, Any]:
    """The temperature by which raw answers are divided, limits for sets, a floor for unknowns."""
    temperature = fit_temperature(raw, target)
    return {"temperature": temperature, **sets.fit(softmax(raw, temperature), target)}


def judge(
    test: Answers, plan: Plan, calibration: Calibration, baselines: Sequence[Baseline]
) -> Judged:
    """Every score with its interval, tables, mistakes, the gain over baselines, the verdict."""
    temperature = calibration.get("temperature", 1.0)
    probabilities = softmax(test.raw, temperature)
    scores = scores_of.judge(
        probabilities, test.target, replicates=plan.judge.bootstrap, seed=plan.seed
    )
    right = probabilities.argmax(1) == test.target
    before = softmax(test.raw)
    known = {
        "ece": calibration_error(probabilities.max(1), right),
        "ece_uncalibrated": calibration_error(before.max(1), right),
        "temperature": temperature,
        **{key: calibration[key] for key in sets.FITTED if key in calibration},
    }
    details = _details(plan, test, probabilities)
    details |= sets.judge(probabilities, test.target, plan.classes, calibration)
    details["baselines"] = baselines_listed(baselines)
    details["gain"] = _gain(right, test.target, baselines, plan.seed)
    verdict = _verdict(scores, details, known, test.noun)
    doubts = _doubts(details["per_class"], scores, test.noun) + sets.doubts(details)
    return Judged(scores, known, details, verdict, doubts)


def _details(plan: Plan, test: Answers, probabilities: NDArray[np.float64]) -> dict[str, Any]:
    """What the page draws of the answers themselves."""
    said, top = probabilities.argmax(1), probabilities.max(1)
    right = said == test.target
    matrix = scores_of.confusion(test.target, said, len(plan.classes))
    return {
        "per_class": per_class(plan.classes, matrix, probabilities, test.target),
        "confusion": confusion_table(plan.classes, matrix),
        "confusions": top_confusions(plan.classes, matrix),
        "reliability": reliability(top, right),
        "ece_by_luck": noise_floor(top, seed=plan.seed),
        "mistakes": mistakes(probabilities, test.target, test.keys, plan.classes, test.picture),
        "mistake_count": int((~right).sum()),
    }


def _gain(
    right: NDArray[np.bool_], labels: NDArray[np.int64], baselines: Sequence[Baseline], seed: int
) -> dict[str, Any]:
    """How much is added over the best baseline; empty when there is none."""
    if not len(right):
        return {}
    return compared(
        baselines, FIGURES["accuracy"], lambda b: paired(right, b.said == labels, seed=seed)
    )


def _verdict(
    scores: Mapping[str, Score],
    details: Mapping[str, Any],
    calibration: Calibration,
    noun: str,
) -> list[str]:
    """The score, what it adds over the best baseline, its confidence, its weakness."""
    if "accuracy" not in scores:
        return [f"No test {noun} with a known answer, so nothing can be said."]
    sentences = [
        f"The network names {of_hundred(scores['accuracy'])} test {noun} rightly.",
        worth(details["gain"], FIGURES["accuracy"], "names"),
        _believable(details, calibration),
        _weakest(details),
    ]
    return [s for s in sentences if s]


def _believable(details: Mapping[str, Any], calibration: Calibration) -> str:
    error, luck = calibration["ece"], details["ece_by_luck"]
    off = f"off by {percent(error)} points on average"
    if error > 0.02:
        off += f" (luck alone would show {percent(luck)})"
    if error <= max(0.02, 1.5 * luck):
        return f"Its stated confidence can be believed: {off}."
    if error <= 0.05:
        return f"Its stated confidence is roughly right: {off}."
    over = sum(r["count"] * (r["confidence"] - r["right"]) for r in details["reliability"])
    way = "too sure" if over > 0 else "not sure enough"
    return (
        "Do not take its stated confidence at face value: on average it is "
        f"{percent(error)} points {way}."
    )


def _weakest(details: Mapping[str, Any]) -> str:
    rows = [r for r in details["per_class"] if r["count"] >= ENOUGH]
    if len(rows) < 2:
        return ""
    least = min(rows, key=lambda r: r["recall"]["value"])
    recall = least["recall"]
    if recall["value"] >= 1:
        return "No class was missed even once."
    score = Score(recall["value"], recall["low"], recall["high"])
    return f"Weakest class: {least['name']!r}, of which {of_hundred(score)} are found."


def _doubts(rows: Sequence[Mapping[str, Any]], scores: Mapping[str, Score], noun: str) -> list[str]:
    found = []
    none = [repr(r["name"]) for r in rows if r["count"] == 0]
    few = [repr(r["name"]) for r in rows if 0 < r["count"] < FEW]
    if none:
        found.append(f"no test {noun} of {listed(none)}: nothing is known about them")
    if few:
        found.append(f"fewer than {FEW} test {noun} of {listed(few)}: their figures say little")
    accuracy = scores.get("accuracy")
    total = sum(int(r["count"]) for r in rows)
    if accuracy is not None and accuracy.high - accuracy.low > 0.1:
        wide = 100 * (accuracy.high - accuracy.low)
        found.append(f"only {count(total)} test {noun}: the accuracy is known to {wide:.0f} points")
    return found


def baselines(question: Question, plan: Plan) -> tuple[Baseline, ...]:
    """Majority class, nearest centroid and a linear model on standardised vectors."""
    labels, truth = question.learned, question.truth
    if not len(labels) or not len(truth):
        return ()
    classes = int(max(labels.max(), truth.max())) + 1
    found = [
        _baseline(
            "majority",
            "Always the commonest class",
            "always answering the commonest class",
            "always says the class that is commonest in training",
            np.full(len(truth), int(np.bincount(labels).argmax())),
            truth,
        )
    ]
    if len(np.unique(labels)) < 2:
        return tuple(found)
    rows = simple.chosen(question, simple.logistic_cost(question.width, classes))
    known, asked = simple.standardised(question.known(rows), question.asked())
    labels, used = labels[rows], simple.used(rows, question)
    found.append(
        _baseline(
            "nearest_centroid",
            "Nearest class mean",
            f"the nearest class mean of {question.words}",
            f"says the class whose average is nearest{used}",
            simple.nearest_centre(known, labels, asked),
            truth,
        )
    )
    if len(np.unique(labels)) > 1:
        found.append(_linear(known, labels, asked, classes, used, question))
    signs = 2.0 * np.eye(classes)[question.learned] - 1
    for own in question.own:
        said = own.answer(signs).argmax(1)
        found.append(_baseline(own.name, own.title, own.called, own.words, said, truth))
    return tuple(found)


def _linear(
    known: NDArray[np.float32],
    labels: NDArray[np.int64],
    asked: NDArray[np.float32],
    classes: int,
    used: str,
    question: Question,
) -> Baseline:
    ridge = classes > simple.MANY
    kind = "ridge" if ridge else "logistic"
    said = simple.separating(known, labels, asked, ridge=ridge, seconds=question.seconds)
    return _baseline(
        f"{kind}_regression",
        f"{kind.capitalize()} regression",
        f"{kind} regression on {question.words}",
        f"one weighted sum of {question.words} for each class{used}",
        said,
        question.truth,
    )


def _baseline(
    name: str,
    title: str,
    called: str,
    words: str,
    said: NDArray[np.int64],
    truth: NDArray[np.int64],
) -> Baseline:
    score = wilson(int((said == truth).sum()), len(truth))
    return Baseline(name, title, called, words, score, said)
