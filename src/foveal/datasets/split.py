"""Which rows train, which choose, which judge. Copies of one sample never lie on two sides."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..card import PARTS
from ..errors import DataError, PlanError

CAP = 5000
Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Split:
    """Rows of the store, ascending, each in one part at most."""

    train: Rows
    validation: Rows
    test: Rows


def split(
    labels: NDArray[np.int32],
    parts: NDArray[np.int8],
    hashes: NDArray[np.uint64],
    *,
    groups: NDArray[np.int64] | None = None,
    validation: float = 0.1,
    test: float = 0.15,
    cap: int = CAP,
    seed: int = 0,
    apart: bool = False,
) -> Split:
    """Parts that the data brings stay as they are; the missing ones are drawn from training.

    Drawn by class in equal shares, whole groups at a time, every class keeping a sample in
    training. Equal hashes make a group, and so do equal ``groups``; a group that holds several
    classes counts for its commonest. Who is drawn depends on the samples' values and the seed
    alone: a renamed or reordered set splits the same, and a new file moves no other one.

    Args:
        labels: class of each row, -1 for none; parts: 0 train, 1 validation, 2 test.
        hashes: equal where decoded values are equal.
        groups: equal where samples must stay together (one patient, one speaker); -1 for none.
        validation, test: shares of the training part, drawn only when that part is not given.
        cap: most rows that either may take.
        apart: where every class lies within one group, draw such groups from all rows alike: a
            part then holds classes that the others lack.

    Raises: PlanError for shares that leave nothing to train on; DataError without training rows.
    """
    given = [np.flatnonzero(parts == i) for i in range(len(PARTS))]
    shares = [0.0 if len(given[2]) else test, 0.0 if len(given[1]) else validation]
    _check(len(given[0]), shares, (validation, test))
    pool = given[0]
    side = np.zeros(len(pool), np.int8)
    here = None if groups is None else groups[pool]
    found, members = drawn_groups(labels[pool], hashes[pool], here, seed, apart=apart)
    counts = [min(share * len(pool), cap) for share in shares]
    for name, rows in _quotas(found, counts, coarse=groups is not None):
        side[np.isin(members, rows)] = name
    drawn = [np.sort(pool[side == i]) for i in range(3)]
    return Split(
        train=drawn[0],
        validation=given[1] if len(given[1]) else drawn[1],
        test=given[2] if len(given[2]) else drawn[2],
    )


def together(hashes: NDArray[np.uint64], groups: NDArray[np.int64]) -> NDArray[np.uint64]:
    """One hash for all rows that equal hashes or equal ``groups`` tie together, ``(N,)``.

    It is the least hash among them, so it does not depend on the order of the rows.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    rows = np.arange(len(hashes))
    values, by_hash = np.unique(hashes, return_inverse=True)
    grouped = groups >= 0
    names, by_group = np.unique(groups[grouped], return_inverse=True)
    left = np.concatenate([rows, rows[grouped]])
    right = np.concatenate([by_hash, len(values) + by_group]) + len(rows)
    nodes = len(rows) + len(values) + len(names)
    links = coo_matrix((np.ones(len(left), bool), (left, right)), (nodes, nodes))
    part = connected_components(links, directed=False)[1][: len(rows)]
    least = np.full(int(part.max(initial=0)) + 1, np.iinfo(np.uint64).max, np.uint64)
    np.minimum.at(least, part, hashes)
    joined: NDArray[np.uint64] = least[part]
    return joined


def by_class(labels: NDArray[np.int32], groups: NDArray[np.int64] | None) -> NDArray[np.int64]:
    """Groups ``(N,)`` in which equal labels stay together, and so do equal ``groups``."""
    own = labels.astype(np.int64)
    if groups is None:
        return own
    # Rows without a label are tied by their groups alone.
    alone = np.where(own >= 0, own, len(own) + own.max(initial=0) + np.arange(len(own)))
    return together(alone.astype(np.uint64), groups).astype(np.int64)


def _within(labels: NDArray[np.int32], alike: NDArray[np.uint64]) -> bool:
    """Whether no class has rows in two groups."""
    known = labels >= 0
    pairs = np.unique(np.stack([labels[known].astype(np.uint64), alike[known]]), axis=1)
    return bool(pairs.shape[1] == len(np.unique(labels[known])))


@dataclass(frozen=True, slots=True)
class Groups:
    """Samples that stay together, in the order of drawing. ``label`` is their commonest."""

    label: NDArray[np.int32]
    count: Rows


def drawn_groups(
    labels: NDArray[np.int32],
    hashes: NDArray[np.uint64],
    groups: NDArray[np.int64] | None,
    seed: int,
    *,
    apart: bool = False,
) -> tuple[Groups, Rows]:
    """What stays together, in a seeded order, and which of these each row belongs to, ``(N,)``.

    The arguments are those of `split`.
    """
    alike = hashes if groups is None else together(hashes, groups)
    if apart and _within(labels, alike):
        labels = np.zeros_like(labels)
    return _groups(labels, alike, seed)


def _groups(
    labels: NDArray[np.int32], hashes: NDArray[np.uint64], seed: int
) -> tuple[Groups, Rows]:
    """Groups of equal hashes in a seeded order, and the group of each row."""
    values, member, count = np.unique(hashes, return_inverse=True, return_counts=True)
    kinds, kind = np.unique(labels, return_inverse=True)
    pairs, times = np.unique(member.astype(np.int64) * len(kinds) + kind, return_counts=True)
    # The commonest label of each group; of equally common ones the lowest.
    ranked = np.lexsort((pairs % len(kinds), -times, pairs // len(kinds)))
    first = ranked[np.unique((pairs // len(kinds))[ranked], return_index=True)[1]]
    label = kinds[pairs[first] % len(kinds)]
    order = np.argsort(_mixed(values, seed), kind="stable")
    place = np.empty(len(values), np.int64)
    place[order] = np.arange(len(values))
    return Groups(label[order], count[order].astype(np.int64)), place[member]


def _quotas(groups: Groups, counts: list[float], *, coarse: bool) -> list[tuple[int, Rows]]:
    """Groups for test (2) and validation (1): ``counts`` rows each, spread over the classes."""
    classes, member = np.unique(groups.label, return_inverse=True)
    sizes = np.bincount(member, groups.count, len(classes)).astype(np.int64)
    wanted = [_shared_out(count, sizes) for count in counts]
    order = np.argsort(member, kind="stable")
    ends = np.cumsum(np.bincount(member, minlength=len(classes)))
    drawn: list[tuple[int, list[Rows]]] = [(2, []), (1, [])]
    for i, rows in enumerate(np.split(order, ends[:-1])):
        left = rows
        for (_, taken), quota in zip(drawn, wanted, strict=True):
            chosen = _fill(groups.count[left], int(quota[i]), coarse)
            taken.append(left[chosen])
            left = left[~chosen]
    return [(name, np.concatenate(taken)) for name, taken in drawn]


def _shared_out(count: float, sizes: Rows) -> Rows:
    """``count`` rows over classes of ``sizes``, in proportion, by largest remainder.

    A class of three or more gives at least one, so that it is judged at all.
    """
    exact = sizes * (count / max(sizes.sum(), 1))
    quota: Rows = np.floor(exact).astype(np.int64)
    short = round(count) - int(quota.sum())
    quota[np.argsort(quota - exact, kind="stable")[: max(short, 0)]] += 1
    if count > 0:
        quota[(quota == 0) & (sizes >= 3)] = 1
    return quota


def _fill(counts: Rows, quota: int, coarse: bool) -> NDArray[np.bool_]:
    """Groups, in order, that together have ``quota`` rows at most; the last one always stays.

    Where groups are ``coarse`` (speakers, patients) and not one fits, the smallest of three or
    more is taken: a part that is a little too large judges, an empty one does not.
    """
    chosen = np.zeros(len(counts), bool)
    fits = np.flatnonzero(counts <= quota)  # one large group must not block those behind it
    fits = fits[np.cumsum(counts[fits]) <= quota]
    chosen[fits[: max(len(counts) - 1, 0)]] = True
    if coarse and quota > 0 and len(counts) >= 3 and not chosen.any():
        chosen[np.argmin(counts)] = True
    return chosen


def _mixed(hashes: NDArray[np.uint64], seed: int) -> NDArray[np.uint64]:
    """A seeded order of hashes that no library version can change.

    Source: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
    """
    x = hashes + np.uint64((seed + 1) * 0x9E3779B97F4A7C15 % 2**64)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _check(count: int, shares: list[float], asked: tuple[float, float]) -> None:
    if not all(0 <= share < 1 for share in asked) or sum(shares) >= 1:
        raise PlanError(
            f"validation {asked[0]} and test {asked[1]} leave nothing to train on",
            where="plan.json: data.validation, data.test",
            mend="give shares from 0 up to 1 whose sum is below 1",
        )
    if not count:
        raise DataError(
            "the training part is empty",
            where="the split of the data",
            mend="put samples under train/, or give a folder that is not split",
        )
