"""What a network adds over the best simple answer, as figures and as a sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

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


def worth(gain: Mapping[str, Any], figure: Figure, reaches: str) -> str:
    """The sentence. reaches: verb of the baseline before its value ("names", "is off by")."""
    if not gain:
        return "No simple baseline was measured beside it."
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
    sign = "+" if gain["value"] >= 0 else "-"
    return (
        f"It adds nothing that this test can show ({sign}{figure.gap(gain['value'])}, 95 % "
        f"interval {_ends(figure, gain['low'], gain['high'])}) to {best}."
    )


def _ends(figure: Figure, low: float, high: float) -> str:
    if figure.share:
        return f"{100 * low:.1f} to {100 * high:.1f}"
    return f"{figure.text(low)} to {figure.text(high)}"
