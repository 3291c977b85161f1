"""The verdict: a few plain sentences on what the network is worth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..report import Score
from .words import of_hundred, percent

ENOUGH = 5  # rows a class needs before it is called the weakest
NAMES = {
    "majority": "always answering the commonest class",
    "nearest_centroid": "the nearest class mean of small cells",
    "logistic_regression": "logistic regression on small cells",
    "ridge_regression": "ridge regression on small cells",
}


def verdict(
    scores: Mapping[str, Score],
    gain: Mapping[str, Any],
    details: Mapping[str, Any],
    calibration: Mapping[str, float],
) -> list[str]:
    """Sentences: the score, what it adds over the best baseline, its confidence, its weakness."""
    if "accuracy" not in scores:
        return [f"No test {details['noun']} with a known answer, so nothing can be said."]
    accuracy = scores["accuracy"]
    sentences = [
        f"The network names {of_hundred(accuracy)} test {details['noun']} rightly.",
        _worth(accuracy, gain),
        _believable(details, calibration),
        _weakest(details),
    ]
    return [s for s in sentences if s]


def _worth(accuracy: Score, gain: Mapping[str, Any]) -> str:
    if not gain:
        return "No simple baseline was measured beside it."
    other = NAMES.get(gain["over"], str(gain["over"]).replace("_", " "))
    best = (
        f"the best simple baseline, {other}, which names {percent(accuracy.value - gain['value'])}"
    )
    low, high = 100 * gain["low"], 100 * gain["high"]
    if gain["low"] > 0:
        between = f"(95 % interval {low:.1f} to {high:.1f})"
        return f"It adds {100 * gain['value']:.1f} points {between} to {best}."
    if gain["high"] < 0:
        between = f"(95 % interval {-high:.1f} to {-low:.1f})"
        return (
            f"It adds nothing: it loses {-100 * gain['value']:.1f} points {between} against "
            f"{best}. Use the baseline, or train longer."
        )
    return (
        f"It adds nothing that this test can show ({100 * gain['value']:+.1f} points, 95 % "
        f"interval {low:.1f} to {high:.1f}) to {best}."
    )


def _believable(details: Mapping[str, Any], calibration: Mapping[str, float]) -> str:
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
