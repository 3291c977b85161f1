"""What a linear model says of each text when it has learned from all texts but this one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..datasets.tokens import Unit, tokens
from .text import SPAN

AT_ONCE = 6000  # texts that one model learns from: the square of so many numbers is held, 144 MB
STRENGTH = 0.7  # of the pull towards the mean
OPENING = 0.5  # weight of how a text begins, beside words and letters with 1 each
Scores = NDArray[np.float32]


def left_out(
    texts: Sequence[str],
    labels: NDArray[np.int64],
    names: NDArray[np.uint64],
    classes: int,
    *,
    unit: Unit = "words",
    seed: int = 0,
) -> Scores:
    """Scores ``(N, K)`` of each text by ridge regression on all others, the larger the likelier.

    TF-IDF of words and pairs of them, of runs of 2 to 5 letters within words and of 2 to 6 across
    words, and of a text's first one, two and three words. Of over 6,000 texts each learns from a
    random share. On TREC with 5 % flipped labels (six draws) the first 7 % of a ranking by it held
    0.889 of these; words and pairs alone 0.883, letters alone 0.872.

    Args:
        names: texts with equal names (copies of each other) are left out together.

    Source: leaving out by the inverse as Allen's PRESS 1974, here for blocks; the kernel form is
        Rifkin and Lippert, "Notes on Regularized Least Squares", MIT 2007.
    """
    found = np.zeros((len(texts), classes), np.float32)
    for rows in _shares(names, seed):
        kernel = _kernel([texts[int(i)] for i in rows], unit)
        wanted = np.eye(classes, dtype=np.float32)[labels[rows]]
        found[rows] = _without(kernel, wanted, names[rows])
    return found


def _shares(names: NDArray[np.uint64], seed: int) -> list[NDArray[np.intp]]:
    """Rows in random shares of about equal size, with equal names in one."""
    kinds, member = np.unique(names, return_inverse=True)
    parts = -(-len(names) // AT_ONCE)
    dealt = np.random.default_rng(seed).permutation(len(kinds)) % max(parts, 1)
    return [np.flatnonzero(dealt[member] == part) for part in range(parts)]


def _kernel(texts: list[str], unit: Unit) -> NDArray[np.float32]:
    """How alike texts are ``(N, N)``, 1 for a text and itself at most."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    def cut(text: str) -> list[str]:
        return tokens(text, unit, unit == "words")

    def openings(text: str) -> list[str]:
        first = cut(text)[:3]
        return [" ".join(first[:n]) for n in range(1, len(first) + 1)]

    plain: dict[str, Any] = {"token_pattern": None, "lowercase": False, "dtype": np.float32}
    kinds = [
        (1.0, TfidfVectorizer(tokenizer=cut, ngram_range=SPAN[unit], sublinear_tf=True, **plain))
    ]
    if unit == "words":
        for analyzer, longest in (("char_wb", 5), ("char", 6)):
            letters = TfidfVectorizer(
                analyzer=analyzer, ngram_range=(2, longest), sublinear_tf=True, dtype=np.float32
            )
            kinds.append((1.0, letters))
        kinds.append((OPENING, TfidfVectorizer(tokenizer=openings, **plain)))
    total = np.zeros((len(texts), len(texts)), np.float32)
    for weight, count in kinds:
        try:
            rows = count.fit_transform(texts)
        except ValueError:  # not one text has such a piece, as where all are blank
            continue
        total += weight / sum(each for each, _ in kinds) * (rows @ rows.T).toarray()
    return total


def _without(kernel: NDArray[np.float32], wanted: Scores, names: NDArray[np.uint64]) -> Scores:
    """What each row ``(N, K)`` is answered by ridge regression on the rows of other names."""
    from scipy.linalg import lapack

    wanted = wanted - wanted.mean(0)
    kernel.flat[:: len(kernel) + 1] += STRENGTH
    # Symmetric, so the order of its memory may be taken as LAPACK wants it, without a copy.
    factor, failed = lapack.spotrf(kernel.T, lower=1, overwrite_a=1)
    assert not failed, "a kernel with something added to its diagonal is positive"
    inverse, _ = lapack.spotri(factor, lower=1, overwrite_c=1)
    inverse = np.tril(inverse)
    dual = inverse @ wanted + inverse.T @ wanted - inverse.diagonal()[:, None] * wanted
    residual = dual / inverse.diagonal()[:, None]
    _, member, sizes = np.unique(names, return_inverse=True, return_counts=True)
    for same in np.split(np.argsort(member, kind="stable"), np.cumsum(sizes)[:-1]):
        if len(same) > 1:
            lower = np.tril(inverse[np.ix_(same, same)])
            residual[same] = np.linalg.solve(lower + np.tril(lower, -1).T, dual[same])
    return np.asarray(wanted - residual, np.float32)
