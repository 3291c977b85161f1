"""Pairs of codes that stand out as alike: candidates by their bits, then looked at exactly.

A code's bits say on which side of a few random directions it lies; near codes share most of them.
Rows that share all bits of a table are compared with each other, table after table, so that the
work grows with the number of rows and not with its square.

Source: Charikar, "Similarity estimation techniques from rounding algorithms", STOC 2002.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ...progress import SILENT, Progress

LEVEL = 0.95  # correlation of two codes from which they may be copies
APART = 0.5  # of the distance to a row's usual neighbours: a copy is nearer than this
TABLES = 8  # 98 of 100 pairs at LEVEL share the bits of one of them, nearly all above 0.97
BUCKET = 128  # rows that share the bits of a table, about
BLOCK = 2048  # rows compared with each other at a time, at most
AROUND = 4096  # rows that tell how near neighbours usually are
THIRD = 3  # the one of them that is taken: a copy or two among them do no harm

Floats = NDArray[np.float32]
Pairs = NDArray[np.int64]


def alike(
    codes: list[NDArray[np.floating]], seed: int = 0, progress: Progress = SILENT
) -> tuple[Pairs, Floats]:
    """Pairs of rows ``(P, 2)``, the smaller number first, and how alike they are ``(P,)``.

    A pair must reach `LEVEL`, and be nearer than half as far as what usually lies around either
    row: where thousands look nearly the same (the digit 1), or change little by little (frames),
    being alike shows nothing.

    Args:
        codes: ``(N, K)`` of length 1; the first as the samples are, the others as they would be
            mirrored.
    """
    count = len(codes[0])
    if count < 2:
        return np.zeros((0, 2), np.int64), np.zeros(0, np.float32)
    chance = np.random.default_rng(seed)
    least = _least(codes[0], chance)
    known: dict[str, NDArray[np.generic]] = {"key": np.zeros(0, np.int64), "how": np.zeros(0, "f4")}
    bits = max(0, int(np.ceil(np.log2(count / BUCKET))))
    tables = TABLES if bits else 1
    with progress.bar("comparing", count) as tick:
        for table in range(tables):
            found = list(_compared(codes, least, bits, chance))
            keys = np.concatenate([known["key"], *(key for key, _ in found)])
            hows = np.concatenate([known["how"], *(how for _, how in found)])
            order = np.argsort(-hows, kind="stable")
            keys, first = np.unique(keys[order], return_index=True)
            known = {"key": keys, "how": hows[order][first]}
            tick((table + 1) * count // tables - table * count // tables)
    keys = np.asarray(known["key"], np.int64)
    return np.stack([keys // count, keys % count], 1), np.asarray(known["how"], np.float32)


def _least(codes: NDArray[np.floating], chance: np.random.Generator) -> Floats:
    """How alike another row must be to stand out, for each row ``(N,)``."""
    count = len(codes)
    some = min(AROUND, max(count // 8, THIRD + 1))
    rows = np.sort(chance.permutation(count)[:some])
    around = np.asarray(codes[rows], np.float32)
    usual = np.empty(count, np.float32)
    place = np.full(count, -1)
    place[rows] = np.arange(len(rows))
    for at in range(0, count, BLOCK):
        near = np.asarray(codes[at : at + BLOCK], np.float32) @ around.T
        own = np.flatnonzero(place[at : at + BLOCK] >= 0)
        near[own, place[at + own]] = -1  # itself
        third = min(THIRD, near.shape[1])
        usual[at : at + BLOCK] = -np.partition(-near, third - 1, axis=1)[:, third - 1]
    return np.maximum(LEVEL, 1 - APART * (1 - np.minimum(usual, 1))).astype(np.float32)


def _compared(
    codes: list[NDArray[np.floating]], least: Floats, bits: int, chance: np.random.Generator
) -> Iterator[tuple[Pairs, Floats]]:
    """One table: pairs as ``smaller * N + larger``, and how alike they are."""
    count = len(codes[0])
    for block in _blocks(codes, bits, chance):
        own = block[block < count]
        if not len(own) or len(block) < 2:
            continue
        which = block // count
        parts = [each[block[which == i] % count] for i, each in enumerate(codes)]
        values = np.concatenate(parts).astype(np.float32, copy=False)
        rows = block[np.argsort(which, kind="stable")] % count
        near = values[: len(own)] @ values.T
        left, right = np.nonzero(near >= least[own][:, None])
        how = near[left, right]
        one, other = own[left], rows[right]
        kept = (one != other) & (how >= least[other])
        one, other, how = one[kept], other[kept], how[kept]
        yield np.minimum(one, other) * count + np.maximum(one, other), how


def _blocks(
    codes: list[NDArray[np.floating]], bits: int, chance: np.random.Generator
) -> Iterator[Pairs]:
    """Rows that share all bits, numbered through all of ``codes``: at most `BLOCK` of them."""
    width = codes[0].shape[1]
    directions = chance.standard_normal((width, bits + 1)).astype(np.float32)
    first = np.asarray(codes[0], np.float32) @ directions
    middle = np.median(first, axis=0)
    weights = 1 << np.arange(bits, dtype=np.int64)
    signs, along = [], []
    for which, each in enumerate(codes):
        side = first if which == 0 else np.asarray(each, np.float32) @ directions
        signs.append((side[:, :bits] > middle[:bits]) @ weights)
        along.append(side[:, bits])
    key = np.concatenate(signs)
    order = np.lexsort((np.concatenate(along), key)).astype(np.int64)
    cuts = np.flatnonzero(np.diff(key[order])) + 1
    for bucket in np.split(order, cuts):
        for at in range(0, len(bucket), BLOCK):
            yield bucket[at : at + BLOCK]
