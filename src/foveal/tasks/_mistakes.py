"""Which mistakes are worth a person's look."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

CONFIDENT = 24
WORST = 16


def mistakes(
    probabilities: NDArray[np.float64],
    labels: NDArray[np.int64],
    keys: Sequence[str],
    classes: Sequence[str],
    picture: Callable[[int], str] | None = None,
) -> list[dict[str, Any]]:
    """The wrong answers given most confidently, then the worst one of each further class.

    Each is {"kind": "confident" | "worst", "key", "true", "said", "probability" of what was said,
    "true_probability", "picture": data URI, words or ""}. Worst: least probability for the true
    class.
    """
    said, top = probabilities.argmax(1), probabilities.max(1)
    true = probabilities[np.arange(len(labels)), labels]
    wrong = np.flatnonzero(said != labels)
    confident = wrong[np.argsort(-top[wrong], kind="stable")][:CONFIDENT]
    rest = wrong[~np.isin(wrong, confident)]
    rest = rest[np.argsort(true[rest], kind="stable")]
    _, first = np.unique(labels[rest], return_index=True)
    worst = rest[np.sort(first)][:WORST]
    chosen = [("confident", i) for i in confident.tolist()] + [("worst", i) for i in worst.tolist()]
    return [
        {
            "kind": kind,
            "key": keys[i],
            "true": classes[labels[i]],
            "said": classes[said[i]],
            "probability": float(top[i]),
            "true_probability": float(true[i]),
            "picture": picture(i) if picture is not None else "",
        }
        for kind, i in chosen
    ]
