"""Rules for the data part: values to numbers, channels, shares held back."""

from __future__ import annotations

from dataclasses import replace

from ..card import Card

ENOUGH = 1000  # samples choose among weights and fit one temperature
MOST_HELD = 5000  # more would not narrow the interval enough to be worth the training samples


def values(card: Card) -> tuple[tuple[float, ...], tuple[float, ...], str]:
    """Raw values that become 0 and 1: the whole range of 8-bit data, else robust percentiles."""
    if card.dtype == "uint8":
        n = card.channels
        return (0.0,) * n, (255.0,) * n, "8-bit values: 0 to 255"
    high = tuple(h if h > lo else lo + 1.0 for lo, h in zip(card.low, card.high, strict=True))
    return card.low, high, f"0.1 and 99.9 percentiles of the {card.dtype} values"


def moments(
    card: Card, low: tuple[float, ...], high: tuple[float, ...]
) -> tuple[tuple[float, ...], tuple[float, ...], str]:
    """Mean and spread of the mapped values, per channel."""
    spans = [h - lo for lo, h in zip(low, high, strict=True)]
    mean = tuple((m - lo) / s for m, lo, s in zip(card.mean, low, spans, strict=True))
    std = tuple(max(v / s, 1e-4) for v, s in zip(card.std, spans, strict=True))
    return mean, std, "measured over all training samples"


def resized(card: Card, size: tuple[int, ...]) -> Card:
    """The card with another working size. Where cells have a length, the box stays as long as it
    was, so their steps change."""
    if card.fit != "spacing":
        return replace(card, size=size)
    axes = tuple(
        replace(axis, step=float(f"{axis.step * old / new:.6g}"))
        for axis, old, new in zip(card.axes, card.size, size, strict=True)
    )
    return replace(card, size=size, axes=axes)


def held_back(card: Card) -> tuple[float, float, str, str]:
    """Shares of the training part kept for validation and test, and why."""
    n = card.parts.get("train", 0)
    has = {p for p, k in card.parts.items() if k}
    test = 0.0 if "test" in has else min(0.2 if n < 2000 else 0.15, MOST_HELD / max(n, 1))
    share = 0.1 if n < 2000 else 0.07  # what is held back teaches nothing
    validation = 0.0 if "validation" in has else min(share, MOST_HELD / max(n, 1))
    if n >= 20000 and validation:
        validation = min(validation, max(ENOUGH / n, 0.02))
    why_test = (
        "the data brings its own test part"
        if not test
        else f"no test part given: {test:.1%} of the samples, stratified, held back and used once"
    )
    why_validation = (
        "the data brings its own validation part"
        if not validation
        else f"{validation:.1%} of the training part, stratified, to choose the best weights and "
        "the temperature; never used to train"
    )
    return validation, test, why_validation, why_test
