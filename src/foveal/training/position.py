"""Where a training stands, as it is kept in every checkpoint."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Position:
    """All that changes from step to step beside tensors; part of every checkpoint.

    brake: factor on the rate, halved by faults. parts: in which a batch passes through the
    network, for want of memory. seconds, training: of all sittings, the latter
    without validations and saves. samples: seen so far.
    """

    step: int
    total: int
    progress: float = 0.0
    brake: float = 1.0
    faults: int = 0
    calm: int = 0
    rewound: bool = False
    seconds: float = 0.0
    training: float = 0.0
    samples: int = 0
    validated: int = 0
    score: float | None = None
    best: float | None = None
    best_step: int = 0
    length: int = 0  # of history.jsonl
    parts: int = 1
