"""What a network adds over the best simple answer, as figures and as a sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from ..baselines import Baseline
from ..drawing.words import Figure
from ..report import Score


def listed(baselines: Sequence[Baseline]) -> list[dict[str, Any]]:
    """The baselines as the report keeps them."""
    return [
        {"name": b.name, "title": b.title, "called": b.called, "words": b.words, **asdict(b.score)}
        for b in baselines
    ]


def best_of(baselines: Sequence[Baseline], figure: Figure) -> Baseline:
    """The baseline with the best score."""
    return (min if figure.lower else max)(baselines, key=lambda b: b.score.value)


def gained(best: Baseline, gain: Score) -> dict[str, Any]:
    """How much better the network is than ``best``; more is better whatever the figure."""
    return {"over": best.name, "called": best.called, "at": best.score.value, **asdict(gain)}


def compared(
    baselines: Sequence[Baseline], figure: Figure, gain: Callable[[Baseline], Score]
) -> dict[str, Any]:
    """The gain over the best baseline, and as "luck" that over the best answer that looks at no
    sample: who is no better than that has learned nothing. Empty without baselines.

    gain: a baseline -> how much better the network is on the same rows, with its interval.
    """
    if not baselines:
        return {}
    best = best_of(baselines, figure)
    found = gained(best, gain(best))
    blind = [b for b in baselines if len(b.said) and bool(np.all(b.said == b.said[:1]))]
    if blind:
        one = best_of(blind, figure)
        found["luck"] = gained(one, gain(one))
    return found


def learned(gain: Mapping[str, Any]) -> bool:
    """Whether the network is better, by more than luck, than an answer that looks at nothing."""
    return "luck" not in gain or bool(gain["luck"]["low"] > 0)


def worth(gain: Mapping[str, Any], figure: Figure, reaches: str) -> str:
    """The sentence. reaches: verb of the baseline before its value ("names", "is off by")."""
    if not gain:
        return "No simple baseline was measured beside it."
    if not learned(gain):
        return _no_better(gain, figure, reaches)
    return _added(gain, figure, reaches)


def _no_better(gain: Mapping[str, Any], figure: Figure, reaches: str) -> str:
    """Of a network that an answer without a look at the sample would replace."""
    luck = gain["luck"]
    told = (
        f"It learned nothing that could be told from luck: {luck['called']} {reaches} "
        f"{figure.text(luck['at'])} ({_difference(luck, figure)})."
    )
    if gain["high"] < 0 and gain["over"] != luck["over"]:
        told += f" {_added(gain, figure, reaches)}"
    return told


def _added(gain: Mapping[str, Any], figure: Figure, reaches: str) -> str:
    best = f"the best simple baseline, {gain['called']}, which {reaches} {figure.text(gain['at'])}"
    if gain["low"] > 0:
        between = f"(95 % interval {_ends(figure, gain['low'], gain['high'])})"
        amount = figure.gap(gain["value"])
        if figure.lower:
            return f"It is better by {amount} {between} than {best}."
        return f"It adds {amount} {between} to {best}."
    if gain["high"] < 0:
        between = f"(95 % interval {_ends(figure, -gain['high'], -gain['low'])})"
        return (
            f"It adds nothing: it loses {figure.gap(gain['value'])} {between} against "
            f"{best}. Use the baseline, or train longer."
        )
    return f"It adds nothing that could be told from luck ({_difference(gain, figure)}) to {best}."


def _difference(gain: Mapping[str, Any], figure: Figure) -> str:
    sign = "+" if gain["value"] >= 0 else "-"
    ends = _ends(figure, gain["low"], gain["high"])
    return f"{sign}{figure.gap(gain['value'])}, 95 % interval {ends}"


def _ends(figure: Figure, low: float, high: float) -> str:
    if figure.share:
        return f"{100 * low:.1f} to {100 * high:.1f}"
    return f"{figure.text(low)} to {figure.text(high)}"
