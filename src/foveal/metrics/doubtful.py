"""Labels that are probably wrong, ranked by what networks said that never met the samples.

Source: Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset
Labels", 2021, arXiv:1911.00068, section 3: thresholds per class, ranking by normalised margin.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Doubtful:
    """Per sample ``(N,)``.

    likely: the class that is most likely. score: its probability less that of the given label,
    from -1 (surely right) to 1 (surely wrong). suspect: whether confident learning takes the given
    label for wrong.
    """

    likely: NDArray[np.int64]
    score: NDArray[np.float64]
    suspect: NDArray[np.bool_]

    @property
    def order(self) -> NDArray[np.int64]:
        """Samples from the most doubtful to the least; of equals the first comes first."""
        return np.argsort(-self.score, kind="stable")


def doubtful(probabilities: NDArray[np.floating], given: NDArray[np.integer]) -> Doubtful:
    """How doubtful each given label is.

    A class counts for a sample when its probability reaches the mean that samples given this
    class have for it; so a class that networks are shy of is not blamed. The label is suspect when
    the likeliest class that counts is another one than the given.

    Args:
        probabilities: ``(N, K)`` out of fold; rows sum to 1. given: ``(N,)``, 0 to K - 1.
    """
    p = np.asarray(probabilities, np.float64)
    count, classes = p.shape
    rows = np.arange(count)
    own = p[rows, given]
    sizes = np.bincount(given, minlength=classes)
    means = np.bincount(given, own, classes) / np.maximum(sizes, 1)
    means[sizes == 0] = np.inf  # nobody was given it: nothing is known of it
    counts = np.where(p >= means, p, -1.0)
    confident = counts.argmax(1)
    suspect = (counts[rows, confident] >= 0) & (confident != given)
    rest = p.copy()
    rest[rows, given] = -1.0
    other = rest.argmax(1) if classes > 1 else np.zeros(count, np.int64)
    likely = np.where(suspect, confident, np.where(rest[rows, other] > own, other, given))
    score = (rest[rows, other] if classes > 1 else np.zeros(count)) - own
    return Doubtful(likely.astype(np.int64), score, suspect)
