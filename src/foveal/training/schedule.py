"""The learning rate as a share of its peak, by progress; steps, work done, validations."""

from __future__ import annotations

from math import ceil


def rate(progress: float, warmup: float) -> float:
    """Share of the peak rate: a linear rise over ``warmup``, then a straight line to zero.

    Args:
        progress: share of the run that is done, 0 to 1. Not steps: their number may change.
        warmup: share of the run that the rise takes, 0 to below 1.

    Source: the triangular schedule of Page's DAWNBench entry (2018), kept by airbench (Jordan
        2024, arXiv:2404.00498).
    """
    if progress < warmup:
        return progress / warmup
    return (1.0 - progress) / (1.0 - warmup)


def advance(progress: float, left: int) -> float:
    """Progress after one more step, when ``left`` steps (this one counted) are to end at 1.

    Each step takes its equal share of what is left, so ``left`` may be changed at any border:
    progress never jumps, and the last step lands on exactly 1.
    """
    return progress + (1.0 - progress) / max(left, 1)


def middle_rate(progress: float, left: int, warmup: float) -> float:
    """The share of the peak rate for the next step: that at its middle.

    Taken at its start a warm-up would waste the first step (rate 0); at its end, the last one.
    """
    return rate((progress + advance(progress, left)) / 2, warmup)


def worked(progress: float, coarse: float, cost: float) -> float:
    """Share of the run's work that is done, 0 to 1, at that progress.

    Args:
        coarse: share of the steps that see a coarse grid; they come first.
        cost: of such a step, as a share of a full one.
    """
    done = cost * min(progress, coarse) + max(0.0, progress - coarse)
    return done / (cost * coarse + 1.0 - coarse)


def between(total: int, per_epoch: int) -> int:
    """Steps between two validations: about a pass; a tenth of a run of few passes; at most fifty
    validations in all."""
    passes = total / per_epoch
    return max(1, round(per_epoch * ceil(passes / 50) if passes >= 5 else total / 10))
