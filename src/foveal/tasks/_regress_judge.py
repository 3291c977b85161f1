"""How predicted numbers are judged: errors, variance explained, intervals that hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..baselines import Baseline, Question
from ..baselines import models as simple
from ..drawing.words import Figure, count, percent, plain
from ..errors import RunError
from ..metrics import conformal
from ..metrics import numbers as scores_of
from ..metrics.intervals import wilson
from ..plan import Plan
from ..report import Score
from . import Answers, Asked, Calibration, Judged
from ._numbers import centre, spread
from ._worth import compared, listed, worth

COVERAGE = 0.9
FEW = 50  # test rows under which every figure is loose
POINTS = 800  # of one scatter chart
WORST = 24
FIGURES = {
    "mae": Figure("Mean error", "how far off, on average; lower is better", False, True),
    "rmse": Figure("RMSE", "the same, but large errors weigh more", False, True),
    "r2": Figure("R²", "share of the variation explained; 0 is the mean"),
}


def quick(raw: NDArray[np.float32], target: NDArray[Any], plan: Plan) -> dict[str, float]:
    """R2, mean error and mean Huber loss."""
    gap = np.abs(raw.astype(np.float64) - target)
    huber = np.where(gap < 1, 0.5 * gap**2, gap - 0.5)
    return {
        "r2": scores_of.r2(target.astype(np.float64), raw.astype(np.float64)),
        "mae": float((gap * (spread(plan) / _scale(plan))).mean()),
        "validation_loss": float(huber.mean()),
    }


def calibrate(raw: NDArray[np.float32], target: NDArray[Any], plan: Plan) -> dict[str, Any]:
    """Half widths of the intervals that hold the truth in 90 of 100 cases, by number; and for
    every other share that `predict` may be asked for."""
    errors = (raw.astype(np.float64) - target) * spread(plan)
    widths = scores_of.half_widths(errors, COVERAGE)
    return {"coverage": COVERAGE, "half_width": widths, "widths": conformal.fit_widths(errors)}


def asked(calibration: Calibration, coverage: float | None, unknown: bool) -> Asked:
    """Half widths for another coverage. Raises: RunError where they cannot be had."""
    if unknown:
        raise RunError(
            "what is unknown cannot be told of numbers",
            where="--unknown",
            mend="leave it out; a wide interval (--coverage 0.95) says how little is known",
        )
    widths: Sequence[float | None] = [None]
    if coverage is not None and "widths" in calibration:
        widths = conformal.by_level(calibration["widths"], coverage)
    if coverage is None or None not in widths:
        return Asked(calibration if coverage is None else {**calibration, "half_width": widths})
    raise RunError(
        f"intervals that hold the truth in {100 * coverage:g} of 100 cases cannot be given",
        where="--coverage",
        mend=f"train again with at least {scores_of.needed(coverage)} samples in the validation "
        "part, or ask for less",
    )


def judge(
    test: Answers, plan: Plan, calibration: Calibration, baselines: Sequence[Baseline]
) -> Judged:
    """Errors with intervals, of all numbers and of each; what intervals held; the worst answers."""
    true, said = (_own_units(values, plan) for values in (test.target, test.raw))
    found = scores_of.judge(
        true, said, _scale(plan), replicates=plan.judge.bootstrap, seed=plan.seed
    )
    widths = calibration.get("half_width") or [None] * len(plan.numbers)
    known = {"coverage": COVERAGE, "half_width": widths, "covered": _covered(true - said, widths)}
    known |= {"widths": calibration["widths"]} if "widths" in calibration else {}
    details: dict[str, Any] = {"baselines": listed(baselines), "gain": {}, "numbers": []}
    if found is None:
        verdict = [f"No test {test.noun} with a known number, so nothing can be said."]
        return Judged({}, known, details, verdict)
    together, each = found
    scores = {k: s for k in FIGURES if (s := getattr(together, k)) is not None}
    details["numbers"] = [
        {"name": n.name, **{k: s and asdict(s) for k in FIGURES for s in [getattr(one, k)]}}
        for n, one in zip(plan.numbers, each, strict=True)
    ]
    details["scatter"] = _scatter(true, said, plan)
    details["worst"] = _worst(true, said, plan, test)
    ours, draws = error_of(test.raw, test.target, plan), plan.judge.bootstrap
    details["gain"] = compared(
        baselines,
        FIGURES["mae"],
        lambda b: scores_of.less_error(
            ours, error_of(b.said, test.target, plan), replicates=draws, seed=plan.seed
        ),
    )
    verdict = _verdict(scores, details, known, plan, test.noun)
    return Judged(scores, known, details, verdict, _doubts(len(true), widths, test.noun))


def baselines(question: Question, plan: Plan) -> tuple[Baseline, ...]:
    """Mean, median, ridge regression and nearest neighbours on standardised vectors."""
    learned, truth = question.learned, question.truth
    if not len(learned) or not len(truth):
        return ()

    def answered(name: str, title: str, called: str, words: str, said: NDArray[Any]) -> Baseline:
        errors = error_of(said, truth, plan)
        score = scores_of.less_error(np.zeros(len(errors)), errors, seed=plan.seed)
        return Baseline(name, title, called, words, score, said)

    constant = {"mean": learned.mean(0), "median": np.median(learned, 0)}
    found = [
        answered(
            name,
            f"Always the {name}",
            f"always saying the {name}",
            f"always says the {name} of training",
            np.broadcast_to(value, truth.shape),
        )
        for name, value in constant.items()
    ]
    rows = simple.chosen(question, question.width * (question.width + len(truth)) + 1.0)
    known, asked = simple.standardised(question.known(rows), question.asked())
    learned, used = learned[rows], simple.used(rows, question)
    found.append(
        answered(
            "ridge_regression",
            "Ridge regression",
            f"ridge regression on {question.words}",
            f"one weighted sum of {question.words} for each number{used}",
            simple.ridge(known, learned, asked),
        )
    )
    found.append(
        answered(
            "nearest_neighbours",
            "Nearest neighbours",
            f"the nearest neighbours by {question.words}",
            f"the mean of the {simple.NEIGHBOURS} training samples most alike in "
            f"{question.words}{used}",
            simple.neighbours(known, learned, asked),
        )
    )
    for own in question.own:
        said = own.answer(np.asarray(question.learned, np.float64))
        found.append(answered(own.name, own.title, own.called, own.words, said))
    return tuple(found)


def error_of(said: NDArray[Any], target: NDArray[Any], plan: Plan) -> NDArray[np.float64]:
    """Absolute error of each row (N,) from standardised numbers, as the main figure has it."""
    gap = np.abs(said.astype(np.float64) - target) * (spread(plan) / _scale(plan))
    return np.asarray(gap.mean(1))


def _scale(plan: Plan) -> NDArray[np.float64]:
    """By what errors are divided before they are averaged: by 1 where there is one number."""
    return np.ones(1) if len(plan.numbers) == 1 else spread(plan)


def _own_units(values: NDArray[Any], plan: Plan) -> NDArray[np.float64]:
    return values.astype(np.float64) * spread(plan) + centre(plan)


def _covered(errors: NDArray[np.float64], widths: Sequence[float | None]) -> list[Any]:
    """Share of each number's truth within its interval, with its own interval; None without."""
    found: list[Any] = []
    for column, width in zip(np.abs(errors).T, widths, strict=True):
        known = width is not None and len(column)
        found.append(asdict(wilson(int((column <= width).sum()), len(column))) if known else None)
    return found


def _scatter(
    true: NDArray[np.float64], said: NDArray[np.float64], plan: Plan
) -> list[dict[str, Any]]:
    """Pairs of truth and answer, evenly taken where there are many, the extremes among them."""
    found = []
    for k, number in enumerate(plan.numbers):
        order = np.argsort(true[:, k], kind="stable")
        rows = order[np.unique(np.linspace(0, len(order) - 1, POINTS).astype(int))]
        pairs = np.column_stack([true[rows, k], said[rows, k]]).tolist()
        points = [[float(f"{value:.5g}") for value in pair] for pair in pairs]
        found.append({"name": number.name, "points": points})
    return found


def _worst(
    true: NDArray[np.float64], said: NDArray[np.float64], plan: Plan, test: Answers
) -> list[dict[str, Any]]:
    """The answers that are furthest off, each with the number that is."""
    off = np.abs(true - said) / spread(plan)
    order = np.argsort(-off.max(1), kind="stable")[:WORST]
    found = []
    for row in order.tolist():
        k = int(off[row].argmax())
        found.append(
            {
                "key": test.keys[row],
                "name": plan.numbers[k].name,
                "true": float(true[row, k]),
                "said": float(said[row, k]),
                "picture": test.picture(row) if test.picture is not None else "",
            }
        )
    return found


def _verdict(
    scores: Mapping[str, Score],
    details: Mapping[str, Any],
    calibration: Calibration,
    plan: Plan,
    noun: str,
) -> list[str]:
    """The error, the variance explained, the gain, the intervals, the weakest number."""
    mae, names = scores["mae"], [n.name for n in plan.numbers]
    of = f"{names[0]}" if len(names) == 1 else f"{len(names)} numbers, in spreads of each"
    sentences = [
        f"The network is off by {plain(mae.value)} on average (95 % interval {plain(mae.low)} to "
        f"{plain(mae.high)}): {of}.",
        worth(details["gain"], FIGURES["mae"], "is off by"),
        _explained(scores.get("r2")),
        _held(calibration, names, noun),
        _weakest(details["numbers"]),
    ]
    return [s for s in sentences if s]


def _explained(score: Score | None) -> str:
    if score is None:
        return "All true numbers of the test part are equal, so nothing could be explained."
    within = f"(95 % interval {percent(score.low)} to {percent(score.high)})"
    if score.high < 0:
        return f"It explains less than the mean does: R² is {score.value:.2f} {within}."
    return f"It explains {percent(score.value)} % of the variation {within}."


def _held(calibration: Calibration, names: Sequence[str], noun: str) -> str:
    """What became of the promise that intervals hold the truth in 90 of 100 cases."""
    pairs = [(n, c) for n, c in zip(names, calibration["covered"], strict=True) if c]
    if not pairs:
        least = scores_of.needed(COVERAGE)
        return f"No intervals are given: that takes {least} validation {noun} at least."
    name, worst = min(pairs, key=lambda pair: pair[1]["value"])
    held = f"{percent(worst['value'])} of 100"
    whose = f" of {name!r}" if len(pairs) > 1 else ""
    if worst["high"] < COVERAGE:
        return f"Its 90 % intervals{whose} are too narrow here: they held only {held} true values."
    return f"Its 90 % intervals{whose} can be believed: they held {held} true values."


def _weakest(rows: Sequence[Mapping[str, Any]]) -> str:
    known = [r for r in rows if r["r2"] is not None]
    if len(known) < 2:
        return ""
    least = min(known, key=lambda r: r["r2"]["value"])
    return f"Weakest number: {least['name']!r}, R² {least['r2']['value']:.2f}."


def _doubts(rows: int, widths: Sequence[float | None], noun: str) -> list[str]:
    return [f"only {count(rows)} test {noun}: every figure is loose"] * (rows < FEW)
