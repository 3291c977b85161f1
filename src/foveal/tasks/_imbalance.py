"""Weights for the loss where some classes are much rarer than others; decided from counts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..card import Card
from ..plan import Plan, replace_part

RATIO = 5.0  # below it the rare class still gets every fifth look of the common one
MOST = 10.0  # times the commonest class; a heavier sample would make single steps jump


def weighed(plan: Plan, weights: tuple[float, ...], why: str) -> Plan:
    """The plan with these weights and their reason."""
    plan = replace_part(plan, "fit", weights=weights)
    return replace(plan, why={**plan.why, "fit.weights": why})


def of_classes(card: Card) -> tuple[tuple[float, ...], str]:
    """One weight per class: the root of how much rarer it is than the commonest; () for none.

    The root lies half way between counting every sample alike and every class alike. Weights are
    scaled so that the mean over the samples is 1: the rate of learning stays what it was.
    Source: root of the frequencies after Mahajan et al. 2018, arXiv:1805.00932, section 2.2.
    """
    counts = np.array(card.counts.get("train", ()), np.float64)
    there = counts[counts > 0]
    if len(there) < 2 or there.max() < RATIO * there.min():
        return (), "no class is five times as frequent as another: all samples weigh the same"
    weights = np.minimum(np.sqrt(there.max() / np.maximum(counts, 1.0)), MOST)
    weights /= (weights * counts).sum() / counts.sum()
    why = (
        f"the commonest class is {there.max() / there.min():.0f} times as frequent as the rarest: "
        "rare ones weigh more, by the root of how rare they are"
    )
    return tuple(round(float(w), 4) for w in weights), why


def of_labels(card: Card) -> tuple[tuple[float, ...], str]:
    """One weight per class for the samples that have it: the root of how much more have it not.

    () where no class is on fewer than one in six samples. Capped, as for classes; a class that
    most samples have gets no weight below 1.
    """
    counts = np.array(card.counts.get("train", ()), np.float64)
    total = float(card.parts.get("train", 0))
    there = (counts > 0) & (counts < total)
    ratio = (total - counts)[there] / counts[there]
    if not len(ratio) or ratio.max() < RATIO:
        return (), "no class is on fewer than one in six samples: yes and no weigh the same"
    weights = np.sqrt((total - counts) / np.maximum(counts, 1.0)).clip(1.0, MOST)
    why = (
        f"the rarest class is missing on {ratio.max():.0f} times as many samples as have it: those "
        "that have a class weigh more, by the root of that"
    )
    return tuple(round(float(w), 4) for w in weights), why
