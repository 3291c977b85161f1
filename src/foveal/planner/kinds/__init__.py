"""What the planner does differently for one kind of data: one file each, found by its name.

`make_plan` first makes the plan that any grid would get. Where this folder has a file named as
``card.data`` ("text", "signal", "volume", "video"), its ``refine`` then changes what that kind
needs, each number with its reason. The user's edits come last in any case.

A file offers

* ``refine(plan, card, means) -> Plan``;
* perhaps ``observe(card, rows) -> Any``: what must be learned from the training rows before a
  plan can be made (a vocabulary, a measurement). It comes to ``refine`` as ``means.found``, which
  is None in the first, provisional plan.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import find
from ...card import Card
from ...plan import Plan
from ..machine import Machine


@dataclass(frozen=True, slots=True)
class Means:
    """What a plan can be made with: machine, training samples, seconds of training, passes asked
    for (None where the time decides), and what `observe` found."""

    machine: Machine
    train: int
    seconds: float
    epochs: float | None
    found: Any = None


@dataclass(frozen=True, slots=True)
class Rows:
    """Training rows, as the survey keeps them: never a validation or a test row.

    gather: numbers of rows -> ``(B, C, *S)`` at ``card.size``. labels: ``(N,)`` beside ``rows``.
    """

    gather: Callable[[NDArray[np.int64]], NDArray[Any]]
    rows: NDArray[np.int64]
    labels: NDArray[np.int32]
    seed: int


def refined(plan: Plan, card: Card, means: Means) -> Plan:
    """The plan, changed by the rules of its kind of data where there are any."""
    package = sys.modules[__name__]
    if card.data not in find.names(package):
        return plan
    changed: Plan = find.load(package, card.data).refine(plan, card, means)
    return changed


def observed(card: Card, rows: Rows) -> Any:
    """What the kind of data wants to learn from training rows; None where nothing."""
    package = sys.modules[__name__]
    if card.data not in find.names(package):
        return None
    observe = getattr(find.load(package, card.data), "observe", None)
    return None if observe is None else observe(card, rows)
