"""Batch, rates and steps of tasks that answer at every cell of a grid."""

from __future__ import annotations

from math import ceil, prod

from ..plan import Plan, replace_part
from . import Spend

AT_ONCE = 2**20  # cells of one batch


def paced(plan: Plan, spend: Spend, passes: float, between: tuple[int, int]) -> tuple[Plan, str]:
    """The plan with small batches and as many steps as the passes ask for, and why so many.

    passes: over the training part, where none were asked for. between: fewest and most samples
    of a batch. Rates were tuned at 500 samples a step and scale with a root of their number.
    """
    low, high = between
    batch = max(low, min(high, spend.train // 16, max(1, AT_ONCE // prod(plan.data.size))))
    epochs = min(250.0, spend.epochs or passes)
    per_pass = ceil(spend.train / batch)
    plan = replace_part(
        plan,
        "fit",
        batch=batch,
        lr=round(0.1 * (batch / 500) ** 0.25, 4),
        other_lr=round(0.4 * (batch / 500) ** 0.5, 4),
        epochs=round(epochs, 4),
        steps=max(1, round(epochs * per_pass)),
        coarse=0.0,
        coarse_size=plan.data.size,
    )
    return plan, f"{epochs:.1f} epochs of {per_pass} batches"
