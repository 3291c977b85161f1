"""A classifier that may name several classes, or none it knows: fitted, judged, told."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..drawing.markup import between, name, section, table
from ..drawing.words import count, of_hundred, percent, plain
from ..errors import RunError
from ..metrics import conformal
from ..metrics.intervals import Z, wilson
from ..report import Report, Score
from . import Asked, Calibration

SHOWN = (0.8, 0.9, 0.95, 0.99)  # coverages that are judged on the test part
UNKNOWN = "unknown"
FITTED = ("sets", "floor", "kept", "fitted_on")  # what `fit` gives and a model keeps


def fit(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> dict[str, Any]:
    """What is kept with the model: limits for sets, and the floor under which nothing is known."""
    return {
        "sets": conformal.fit_sets(probabilities, labels).to_dict(),
        "floor": conformal.fit_floor(probabilities.max(1)) if len(labels) else None,
        "kept": conformal.KEPT,
        "fitted_on": len(labels),
    }


def judge(
    probabilities: NDArray[np.float64],
    labels: NDArray[np.int64],
    classes: Sequence[str],
    calibration: Calibration,
) -> dict[str, Any]:
    """What became of both promises on the test part: "sets" by coverage, and "unknown"."""
    if not calibration.get("sets") or not len(labels):
        return {"sets": [], "unknown": {}}
    fitted = conformal.Sets.from_dict(calibration["sets"])
    rows = []
    for coverage in SHOWN:
        found = conformal.held(conformal.sets(probabilities, fitted, coverage), labels)
        least = found["least"]
        if least is not None:
            found["least"] = {**least, "class": classes[least["class"]]}
        luck = _luck(coverage, len(labels), calibration.get("fitted_on"))
        rows.append({"coverage": coverage, "luck": luck, **found})
    floor, unknown = calibration.get("floor"), {}
    if floor is not None:
        kept = probabilities.max(1) >= floor
        right = (probabilities.argmax(1) == labels) & kept
        unknown = {
            "floor": floor,
            "kept": _share(kept),
            "right": _share(right[kept]),
        }
    return {"sets": rows, "unknown": unknown}


def _luck(coverage: float, judged: int, fitted: int | None) -> float:
    """How far luck alone may take a share from ``coverage``, in 95 of 100 cases.

    Both parts are samples: the limits are as uncertain as the share. Models that do not say on
    how many samples theirs were fitted are judged as if that were on endlessly many.
    """
    samples = 1 / judged + (1 / fitted if fitted else 0.0)
    return Z * math.sqrt(coverage * (1 - coverage) * samples)


def _share(true: NDArray[np.bool_]) -> dict[str, float]:
    score = wilson(int(true.sum()), len(true))
    return {"value": score.value, "low": score.low, "high": score.high}


def doubts(details: Mapping[str, Any]) -> list[str]:
    """Where sets held the truth less often than was asked for, by more than luck."""
    for row in details["sets"]:
        score = Score(**row["covered"])
        if max(score.high, score.value + row["luck"]) < row["coverage"]:
            return [
                f"sets that should hold the truth in {percent(row['coverage'], 0)} of 100 cases "
                f"held it in {of_hundred(score)}: the test part is not like the validation part"
            ]
    return []


def asked(calibration: Calibration, coverage: float | None, unknown: bool) -> Asked:
    """The calibration by which `answered` adds sets and unknowns, and columns for them.

    Raises: RunError for a run that holds no limits, or too few held-back samples for them.
    """
    if coverage is not None and not calibration.get("sets"):
        raise RunError(
            "this run holds no limits for sets of classes",
            where="--coverage",
            mend="train again: this Foveal keeps them with every classifier",
        )
    if unknown and calibration.get("floor") is None:
        least = round(1 / (1 - conformal.KEPT)) - 1
        raise RunError(
            "this run cannot tell what is unknown to it",
            where="--unknown",
            mend=f"train again with at least {least} samples in the validation part",
        )
    wish = {"coverage": coverage, UNKNOWN: unknown}
    columns = (*["set"] * (coverage is not None), *["nearest"] * unknown)
    return Asked({**calibration, "asked": wish}, columns)


def answered(
    found: list[dict[str, Any]],
    done: NDArray[np.float64],
    classes: Sequence[str],
    calibration: Calibration,
) -> list[dict[str, Any]]:
    """The answers with "set" (the likeliest first) and "unknown" where these were asked for.

    An unknown one has the label "unknown", and as "nearest" the class it looks most like.
    """
    wish = calibration.get("asked") or {}
    if wish.get("coverage") is not None:
        fitted = conformal.Sets.from_dict(calibration["sets"])
        inside = conformal.sets(done, fitted, wish["coverage"])
        for answer, row, own in zip(found, done, inside, strict=True):
            order = np.argsort(-row, kind="stable")
            answer["set"] = [classes[k] for k in order.tolist() if own[k]]
    if wish.get(UNKNOWN):
        for answer, top in zip(found, done.max(1).tolist(), strict=True):
            answer["nearest"], answer[UNKNOWN] = answer["label"], top < calibration["floor"]
            answer["label"] = UNKNOWN if answer[UNKNOWN] else answer["label"]
    return found


def told(answer: Mapping[str, Any]) -> str:
    """What a line on a terminal says besides; "" where nothing was asked for."""
    text = f"  nearest {answer['nearest']}" if answer.get(UNKNOWN) else ""
    return text + (f"  {{{', '.join(answer['set'])}}}" if "set" in answer else "")


def page(report: Report) -> str:
    """The section of the page: how large sets are, whether they hold, and what is unknown."""
    rows = report.details.get("sets") or []
    if not rows:
        return ""
    cells = [
        (
            percent(row["coverage"], 0),
            f"{percent(row['covered']['value'])} "
            f"{between(row['covered']['low'], row['covered']['high'])}",
            f"{plain(row['size']['value'])} "
            f'<span class="range">{plain(row["size"]["low"])} to {plain(row["size"]["high"])}'
            "</span>",
            percent(row["single"]),
            "–"
            if row["least"] is None
            else f"{name(row['least']['class'])}: {percent(row['least']['value'])}",
        )
        for row in rows
    ]
    head = ("Asked for, %", "Held, %", "Classes in a set", "Sets of one, %", "Least held class, %")
    body = table("Sets of classes on the test part", head, cells, numeric=(0, 1, 2, 3))
    body += (
        "<p>With <code>--coverage 0.9</code> an answer is a set of classes that holds the truth in "
        "at least 90 of 100 cases, class by class where enough samples were held back, for new "
        "samples of the same kind (split conformal prediction). No set is empty, so where the "
        "first class alone is right more often, sets hold more than was asked for.</p>"
    )
    return section(
        "sets", "Sets", "When one class is not sure enough", body + _unknown(report), _lead(rows)
    )


def _lead(rows: Sequence[Mapping[str, Any]]) -> str:
    row = min(rows, key=lambda r: abs(r["coverage"] - 0.9))
    return (
        f"Asked for {percent(row['coverage'], 0)} of 100, sets held the truth in "
        f"{of_hundred(Score(**row['covered']))} with {plain(row['size']['value'])} classes on "
        "average."
    )


def _unknown(report: Report) -> str:
    found = report.details.get("unknown") or {}
    if not found:
        return "<p>Too few samples were held back to tell what is unknown.</p>"
    return (
        f"<p>With <code>--unknown</code> what is less than {percent(found['floor'])} % sure is "
        f"called unknown. Of {count(report.data.get('test', 0))} test samples, all of known "
        f"classes, {percent(found['kept']['value'])} % kept an answer "
        f"{between(found['kept']['low'], found['kept']['high'])}, and "
        f"{percent(found['right']['value'])} % of these are right. How many strangers it refuses "
        "depends on how strange they are, and cannot be told from this data.</p>"
    )
