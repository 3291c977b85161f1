"""Texts that say the same in nearly the same words: by the single words and pairs they share.

Capitals, punctuation and blanks do not count. Candidates come from minhash, each is then looked
at exactly.

Source: Broder, "On the resemblance and containment of documents", 1997; bands after Leskovec,
Rajaraman and Ullman, "Mining of Massive Datasets", chapter 3.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from itertools import combinations, groupby, pairwise
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from ...progress import SILENT, Progress
from ..tokens import tokens

LEVEL = 0.8  # share of all words and pairs of two texts that both have
BANDS, ROWS = 20, 4  # 99.99 of 100 pairs at LEVEL meet in a band
LONGEST = 20_000  # bytes of a text that are looked at
MOST = 200  # texts of a band that are compared with each other
WORDY = 9  # letters: longer on average, and words are not told by blanks
HELD = 1 << 23  # pieces that are kept between looks at texts: 64 MB
_AT_ONCE = 4096

Pairs = NDArray[np.int64]


def alike_texts(
    read: Callable[[int], str], count: int, progress: Progress = SILENT
) -> tuple[Pairs, NDArray[np.float32]]:
    """Pairs of texts ``(P, 2)``, the smaller number first, and the share of pieces both have.

    read: number of a text -> the text. Memory holds ``BANDS`` numbers for each text, and at most
    ``HELD`` pieces.
    """
    bands, sizes = np.empty((count, BANDS), np.uint64), np.empty(count, np.int64)
    held = _Held(read)
    with progress.bar("comparing", count) as tick:
        for at in range(0, count, _AT_ONCE):
            rows = range(at, min(at + _AT_ONCE, count))
            texts = [held.pieces(i) for i in rows]
            bands[at : rows.stop], sizes[at : rows.stop] = _bands(texts), list(map(len, texts))
            tick(len(rows))
    found, how = [], []
    for one, others in groupby(_candidates(bands, sizes), key=itemgetter(0)):
        own = held.pieces(one)
        for _, other in others:
            share = shared(own, held.pieces(other))
            if share >= LEVEL:
                found.append((one, other))
                how.append(share)
    return np.array(found, np.int64).reshape(-1, 2), np.array(how, np.float32)


def _candidates(bands: NDArray[np.uint64], sizes: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Pairs that meet in a band and are not too unlike in size, ascending."""
    seen: set[tuple[int, int]] = set()
    for band in bands.T:
        order = np.argsort(band, kind="stable")
        for same in np.split(order, np.flatnonzero(np.diff(band[order])) + 1):
            seen.update(combinations(sorted(same[:MOST].tolist()), 2))
    pairs = np.array(sorted(seen), np.int64).reshape(-1, 2)
    less, more = np.sort(sizes[pairs], axis=1).T
    return [(int(a), int(b)) for a, b in pairs[less >= LEVEL * more]]  # no larger share is possible


class _Held:
    """Pieces of texts, of as many as fit read and cut only once."""

    def __init__(self, read: Callable[[int], str]) -> None:
        self.read, self.known = read, dict[int, NDArray[np.uint64]]()
        self.room = HELD

    def pieces(self, text: int) -> NDArray[np.uint64]:
        if (known := self.known.get(text)) is not None:
            return known
        found = pieces(self.read(text))
        self.room -= len(found)
        if self.room >= 0:
            self.known[text] = found
        return found


def pieces(text: str) -> NDArray[np.uint64]:
    """Hashes of the different words and pairs of neighbouring words, ascending.

    Runs of three characters stand in for them where words are not told by blanks. A text of signs
    alone has itself as its only piece.
    """
    words = [w for w in tokens(text[:LONGEST], "words", True) if any(map(str.isalnum, w))]
    if words and sum(map(len, words)) > WORDY * len(words):
        line = "".join(words)
        found = {line[i : i + 3] for i in range(max(1, len(line) - 2))}
    else:
        found = {*words, *(f"{a} {b}" for a, b in pairwise(words))}
    return np.sort(np.array([_hash(piece) for piece in found or {text}], np.uint64))


def shared(one: NDArray[np.uint64], other: NDArray[np.uint64]) -> float:
    """The share of all pieces of two texts that both have (Jaccard), 0 to 1; both ascending."""
    place = other.searchsorted(one)
    place[place == len(other)] = 0
    both = int(np.count_nonzero(other[place] == one))
    return both / (len(one) + len(other) - both)


def _hash(piece: str) -> int:
    content = piece.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")


def _bands(texts: list[NDArray[np.uint64]]) -> NDArray[np.uint64]:
    """A hash of each band of least hashes ``(N, BANDS)``."""
    starts = np.cumsum([0, *map(len, texts)])[:-1]
    whole = np.concatenate(texts)
    chance = np.random.default_rng(0)
    factors = chance.integers(1, 2**63, (BANDS, ROWS), dtype=np.uint64) * np.uint64(2) + np.uint64(
        1
    )
    found = np.empty((len(texts), BANDS), np.uint64)
    for band in range(BANDS):
        mixed = np.zeros(len(texts), np.uint64)
        for factor in factors[band]:
            product = whole * factor
            least = np.minimum.reduceat(product ^ (product >> np.uint64(29)), starts)
            mixed = (mixed ^ least) * np.uint64(0x9E3779B97F4A7C15)
        found[:, band] = mixed
    return found
