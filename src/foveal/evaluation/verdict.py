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
) -> str:
    """What the network adds over the best baseline, whether its confidence holds, what is weak."""
    if "accuracy" not in scores:
        return f"No test {details['noun']} with a known answer, so nothing can be said."
    sentences = [
        _worth(scores["accuracy"], gain, details),
        _believable(details, calibration),
        _weakest(details),
    ]
    return " ".join(s for s in sentences if s)


def _worth(accuracy: Score, gain: Mapping[str, Any], details: Mapping[str, Any]) -> str:
    ours = f"The network names {of_hundred(accuracy)} test {details['noun']} rightly"
    if not gain:
        return f"{ours}; no baseline was measured."
    other = NAMES.get(gain["over"], str(gain["over"]).replace("_", " "))
    theirs = f"the best simple baseline, {other}, {percent(accuracy.value - gain['value'])}"
    low, high = 100 * gain["low"], 100 * gain["high"]
    between = f"(95 % interval {low:.1f} to {high:.1f})"
    if gain["low"] > 0:
        return f"{ours}; {theirs}. It adds {100 * gain['value']:.1f} points {between}."
    if gain["high"] < 0:
        return (
            f"{ours}; {theirs}. The baseline wins by {-100 * gain['value']:.1f} points "
            f"(95 % interval {-high:.1f} to {-low:.1f}): use the baseline, or train longer."
        )
    return (
        f"{ours}; {theirs}. The network adds nothing that this test can show: "
        f"{100 * gain['value']:+.1f} points {between}."
    )


def _believable(details: Mapping[str, Any], calibration: Mapping[str, float]) -> str:
    error, luck = calibration["ece"], details["ece_by_luck"]
    off = f"off by {percent(error)} points on average"
    if error <= max(0.02, 1.5 * luck):
        return f"Its stated confidence can be believed: {off}."
    if error <= 0.05:
        return f"Its stated confidence is roughly right: {off}."
    return f"Do not take its stated confidence at face value: it is {off}."


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
