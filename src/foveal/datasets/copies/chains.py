"""From pairs to groups: chains of copies, and no chain so long that it tells of a series."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LEVELS = (0.0, 0.97, 0.98, 0.985, 0.99, 0.995)
LONG, SHARE = 12, 1 / 500  # rows of the longest chain, or this share of all if that is more

Pairs = NDArray[np.int64]


def settled(
    pairs: Pairs, how: NDArray[np.float32], count: int
) -> tuple[Pairs, NDArray[np.float32]]:
    """The pairs that stand: those above the lowest level at which no chain is too long.

    Frames of a film, or thousands of the digit 1, resemble their neighbours step by step: such
    chains are no copies, and would tie a set into one group.
    """
    most = max(LONG, count * SHARE)
    for level in LEVELS:
        kept = how >= level
        if longest(pairs[kept], count) <= most:
            return pairs[kept], how[kept]
    return pairs[:0], how[:0]


def chains(pairs: Pairs, count: int) -> NDArray[np.int64]:
    """The chain of each of ``count`` rows ``(N,)``, -1 where it is in no pair."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    links = coo_matrix((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), (count, count))
    found = np.asarray(connected_components(links, directed=False)[1], np.int64)
    alone = np.ones(count, bool)
    alone[pairs.reshape(-1)] = False
    return np.where(alone, -1, found)


def longest(pairs: Pairs, count: int) -> int:
    """Rows of the longest chain."""
    if not len(pairs):
        return 0
    found = chains(pairs, count)
    return int(np.bincount(found[found >= 0]).max())
