"""Same or not? Scores of vectors by pairs, by galleries, and against strangers.

Vectors are (N, D), compared by the cosine of their angle; labels are (N,), one number per identity.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..report import Score
from .intervals import percentile

Vectors = NDArray[np.float32]
Labels = NDArray[np.int64]
Floats = NDArray[np.float64]

MOST_ROWS = 2000  # two million pairs; more would not narrow an interval over identities
MOST_BLOCKS = 60  # identities beyond it are resampled in blocks
BINS = 256  # of each kind of pair, for resampling alone
LEVELS = (1e-2, 1e-3)


@dataclass(frozen=True, slots=True)
class Curve:
    """Shares of accepted pairs as the threshold falls: of different ones and of same ones, (T,)."""

    far: Floats
    tar: Floats


@dataclass(frozen=True, slots=True)
class Verified:
    """All pairs judged. scores: "eer" (0 best, 0.5 chance), "auc" (1 best, 0.5 chance), and the
    share of same pairs accepted where 1e-2 or 1e-3 of the different ones are. resampled: the EER
    of each resample (R,); equal labels and seeds draw the same identities."""

    scores: dict[str, Score]
    curve: Curve
    resampled: Floats
    pairs: tuple[int, int]


def unit(vectors: NDArray[np.floating]) -> Vectors:
    """Each row with length one; a row of zeros stays."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(length, 1e-12), np.float32)


def verify(
    vectors: NDArray[np.floating], labels: Labels, *, replicates: int = 400, seed: int = 0
) -> Verified | None:
    """Every pair judged by its cosine, with intervals from resampled identities.

    None where no two samples are of one identity, or all are.
    """
    rows = _some(labels, seed)
    vectors, labels = unit(vectors[rows]), labels[rows]
    left, right = np.triu_indices(len(rows), 1)
    score = (vectors @ vectors.T)[left, right].astype(np.float64)
    same = labels[left] == labels[right]
    if not same.any() or same.all():
        return None
    curve = _curve(*_counts(score, same, np.unique(score)))
    known = _figures(Curve(curve.far[None], curve.tar[None]))
    drawn = _resampled(score, same, labels, (left, right), replicates, seed)
    scores = {name: percentile(float(value[0]), drawn[name]) for name, value in known.items()}
    return Verified(scores, curve, drawn["eer"], (int(same.sum()), int((~same).sum())))


def area(vectors: NDArray[np.floating], labels: Labels, seed: int = 0) -> tuple[float, float]:
    """AUC and EER alone, without resampling; 0.5 each where there is nothing to compare."""
    rows = _some(labels, seed)
    vectors, labels = unit(vectors[rows]), labels[rows]
    left, right = np.triu_indices(len(rows), 1)
    same = labels[left] == labels[right]
    if not same.any() or same.all():
        return 0.5, 0.5
    score = (vectors @ vectors.T)[left, right].astype(np.float64)
    curve = _curve(*_counts(score, same, np.unique(score)))
    found = _figures(Curve(curve.far[None], curve.tar[None]))
    return float(found["auc"][0]), float(found["eer"][0])


def best_scores(vectors: NDArray[np.floating], labels: Labels) -> tuple[Floats, Floats]:
    """For each sample the best cosine to another sample of its identity, and to one of any other.

    (N,) each; -inf where there is none. The second is what a stranger meets in a gallery of all
    others.
    """
    vectors = unit(vectors)
    own, other = np.full(len(labels), -np.inf), np.full(len(labels), -np.inf)
    step = max(1, 2**22 // max(len(labels), 1))
    for start in range(0, len(labels), step):
        part = slice(start, start + step)
        cosine = (vectors[part] @ vectors.T).astype(np.float64)
        same = labels[part, None] == labels
        itself = np.arange(len(cosine)), np.arange(start, start + len(cosine))
        other[part] = np.where(same, -np.inf, cosine).max(1, initial=-np.inf)
        same[itself] = False
        own[part] = np.where(same, cosine, -np.inf).max(1, initial=-np.inf)
    return own, other


def enrolled(labels: Labels, seed: int = 0) -> NDArray[np.bool_]:
    """Which samples stand in the gallery: half of each identity, five at most, the rest ask."""
    chosen = np.zeros(len(labels), bool)
    order = np.random.default_rng(seed).permutation(len(labels))
    for label in np.unique(labels):
        mine = order[labels[order] == label]
        chosen[mine[: min(5, (len(mine) + 1) // 2)]] = True
    return chosen


def named(gallery: Vectors, names: Labels, probes: Vectors) -> tuple[Labels, Floats]:
    """The identity of the nearest item of ``gallery`` and its cosine, (M,) each. Exact."""
    found, score = np.empty(len(probes), np.int64), np.empty(len(probes))
    step = max(1, 2**22 // max(len(gallery), 1))
    for start in range(0, len(probes), step):
        cosine = probes[start : start + step] @ gallery.T
        best = cosine.argmax(1)
        found[start : start + step] = names[best]
        score[start : start + step] = cosine[np.arange(len(best)), best]
    return found, score


def as_stranger(gallery: Vectors, names: Labels, probes: Vectors, truth: Labels) -> Floats:
    """The best cosine (M,) of each probe to a gallery without the probe's own identity."""
    out = np.full(len(probes), -np.inf)
    step = max(1, 2**22 // max(len(gallery), 1))
    for start in range(0, len(probes), step):
        part = slice(start, start + step)
        cosine = np.where(truth[part, None] == names, -np.inf, probes[part] @ gallery.T)
        out[part] = cosine.max(1, initial=-np.inf)
    return out


def by_identity(
    right: NDArray[np.bool_], labels: Labels, *, replicates: int = 400, seed: int = 0
) -> Score:
    """The share of rows that are ``right``, with its interval from resampled identities."""
    if not len(right):
        return Score(0.0, 0.0, 1.0)
    _, member, count = np.unique(labels, return_inverse=True, return_counts=True)
    hit = np.bincount(member, right, len(count))
    weight = np.random.default_rng(seed).multinomial(
        len(count), np.full(len(count), 1 / len(count)), size=replicates
    )
    found = percentile(float(right.mean()), (weight @ hit) / np.maximum(weight @ count, 1))
    # Where all or none are right every resample agrees; one identity more could have differed.
    edge = 1 / (len(count) + 2)
    if found.value in (0.0, 1.0):
        return Score(found.value, max(0.0, found.value - edge), min(1.0, found.value + edge))
    return found


def threshold(own: Floats, other: Floats, larger: float = 1.0) -> float | None:
    """The cosine from which on a name is said: as many strangers get one as known ones lose theirs.

    Both kinds of scores are taken for normal ones, since there are few of them and what matters
    lies in their tails.

    Args:
        own, other: best scores of known ones and of strangers. larger: how many times more
            identities the gallery will hold; a stranger then has so many more chances.

    Without known ones, 5 % of the strangers are let in; None without strangers.
    """
    own, other = own[np.isfinite(own)], other[np.isfinite(other)]
    if not len(other):
        return None
    at = np.linspace(-1, 1, 2001)
    accepted = 1 - _below(at, other) ** larger
    if not len(own):
        return float(at[np.argmax(accepted <= 0.05)])
    return float(at[np.argmin(np.abs(_below(at, own) - accepted))])


def _below(at: Floats, scores: Floats) -> Floats:
    """The share of scores below ``at``, were they normal."""
    from scipy.special import ndtr

    return np.asarray(ndtr((at - scores.mean()) / max(float(scores.std()), 1e-3)))


def _some(labels: Labels, seed: int) -> NDArray[np.int64]:
    """All rows, or those of as many whole identities as make up `MOST_ROWS`."""
    if len(labels) <= MOST_ROWS:
        return np.arange(len(labels))
    names, count = np.unique(labels, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(names))
    kept = names[order[np.cumsum(count[order]) <= MOST_ROWS]]
    chosen = np.flatnonzero(np.isin(labels, kept))
    return chosen if len(chosen) else np.arange(MOST_ROWS)


def _counts(score: Floats, same: NDArray[np.bool_], edges: Floats) -> tuple[Floats, Floats]:
    """Same and different pairs by their place among ``edges``, the highest first, (T,) each."""
    place = len(edges) - 1 - np.clip(np.searchsorted(edges, score, "right") - 1, 0, None)
    return (
        np.bincount(place[same], minlength=len(edges)).astype(float),
        np.bincount(place[~same], minlength=len(edges)).astype(float),
    )


def _curve(same: Floats, different: Floats) -> Curve:
    """From counts (..., T) by falling score; begins where nothing is accepted."""

    def shares(counts: Floats) -> Floats:
        total = np.cumsum(counts, -1)
        total = np.concatenate([np.zeros((*total.shape[:-1], 1)), total], -1)
        return np.asarray(total / np.maximum(total[..., -1:], 1e-300))

    return Curve(shares(different), shares(same))


def _figures(curve: Curve) -> dict[str, Floats]:
    """EER, AUC and accepted shares of curves (R, T)."""
    far, tar, rows = curve.far, curve.tar, np.arange(len(curve.far))
    gap = far - (1 - tar)  # grows with every step; the error is equal where it is 0
    after = np.argmax(gap >= 0, 1)
    before = np.maximum(after - 1, 0)
    span = gap[rows, after] - gap[rows, before]
    share = np.where(span > 0, -gap[rows, before] / np.where(span > 0, span, 1), 0)
    eer = far[rows, before] + share * (far[rows, after] - far[rows, before])
    auc = (np.diff(far) * (tar[:, 1:] + tar[:, :-1]) / 2).sum(1)
    out = {"eer": eer, "auc": auc}
    for level in LEVELS:
        last = (far <= level + 1e-12).sum(1) - 1
        out[f"tar_at_far_{level:.0e}".replace("e-0", "e-")] = tar[rows, last]
    return out


def _resampled(
    score: Floats,
    same: NDArray[np.bool_],
    labels: Labels,
    rows: tuple[NDArray[np.int64], NDArray[np.int64]],
    replicates: int,
    seed: int,
) -> dict[str, Floats]:
    """The figures of each resample of identities; scores fall into bins, so that one is a sum."""
    member = np.unique(labels, return_inverse=True)[1] % MOST_BLOCKS
    blocks = int(member.max()) + 1
    edges = np.unique(
        np.concatenate(
            [
                np.quantile(score[same], np.linspace(0, 1, BINS)),
                np.quantile(score[~same], np.linspace(0, 1, BINS)),
                np.quantile(score[~same], 1 - np.logspace(-4, 0, BINS)),
            ]
        )
    )
    place = len(edges) - 1 - np.clip(np.searchsorted(edges, score, "right") - 1, 0, None)
    left, right = member[rows[0]], member[rows[1]]
    own = np.bincount((left * len(edges) + place)[same], minlength=blocks * len(edges))
    pair = (left * blocks + right) * len(edges) + place
    other = np.bincount(pair[~same], minlength=blocks * blocks * len(edges))
    drawn = np.random.default_rng(seed).multinomial(
        blocks, np.full(blocks, 1 / blocks), size=replicates
    )
    twice = (drawn[:, :, None] * drawn[:, None, :]).reshape(replicates, -1).astype(np.float32)
    each = other.reshape(blocks * blocks, -1).astype(np.float32)
    curve = _curve(drawn @ own.reshape(blocks, -1).astype(float), (twice @ each).astype(float))
    sound = (curve.tar[:, -1] > 0) & (curve.far[:, -1] > 0)
    return _figures(Curve(curve.far[sound], curve.tar[sound]))
