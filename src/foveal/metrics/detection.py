"""Scores of found boxes: average precision as COCO counts it, for boxes of any rank."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..report import Score
from .boxes import Corners, overlap
from .intervals import percentile, resamples

LIMITS = np.linspace(0.5, 0.95, 10)  # overlaps from which a box counts as found
RECALLS = np.linspace(0, 1, 101)
MOST = 100  # boxes of a class counted per sample, the surest ones
HELD = 2_000_000  # numbers held at once while resampling


@dataclass(frozen=True, slots=True)
class Found:
    """Boxes of one sample: where, of which class, and how sure (1 for true ones).

    Shapes: boxes ``(N, 2 R)``, labels ``(N,)``, scores ``(N,)``.
    """

    boxes: Corners
    labels: NDArray[np.integer]
    scores: NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Matches:
    """What became of every answer of one class, surest first.

    right: (L, N), whether it found a true box, for each of ``LIMITS``. sample: (N,) where it
    was said. true: (S,) true boxes per sample.
    """

    right: NDArray[np.bool_]
    sample: NDArray[np.int64]
    scores: NDArray[np.float64]
    true: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Curve:
    """Precision at each of ``RECALLS`` for an overlap of a half, and the surest score there."""

    precision: NDArray[np.float64]
    score: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scores:
    """ap50: average precision at an overlap of a half; ap: its mean over ``LIMITS``.

    Both are means over the classes that occur; each class by itself in ``classes``, with None for
    one without true boxes. Best 1, worst 0.
    """

    ap50: Score
    ap: Score
    classes: list[tuple[Score, Score] | None]


def matched(said: Sequence[Found], true: Sequence[Found], label: int) -> Matches:
    """The answers of one class held against the true boxes of all samples.

    Surest first, an answer finds the true box that it overlaps most of those that none has found
    yet; of each sample the `MOST` surest count. Source: Lin et al. 2014, arXiv:1405.0312, and
    the published rules of its evaluation (cocodataset.org/#detection-eval).
    """
    rights, samples, scores, counts = [], [], [], np.zeros(len(true), np.int64)
    for sample, (ours, theirs) in enumerate(zip(said, true, strict=True)):
        own = np.flatnonzero(ours.labels == label)
        own = own[np.argsort(-ours.scores[own], kind="stable")][:MOST]
        real = theirs.boxes[theirs.labels == label]
        counts[sample] = len(real)
        rights.append(_pairs(overlap(ours.boxes[own], real)))
        samples.append(np.full(len(own), sample, np.int64))
        scores.append(np.asarray(ours.scores[own], np.float64))
    score = np.concatenate([np.zeros(0), *scores])
    order = np.argsort(-score, kind="stable")
    right = np.concatenate([np.zeros((len(LIMITS), 0), bool), *rights], axis=1)
    sample_of = np.concatenate([np.zeros(0, np.int64), *samples])
    return Matches(right[:, order], sample_of[order], score[order], counts)


def _pairs(between: Corners) -> NDArray[np.bool_]:
    """Which answers (rows, surest first) find a true box (columns), for each limit (L, N)."""
    answers, real = between.shape
    right = np.zeros((len(LIMITS), answers), bool)
    if not real:
        return right
    free = np.ones((len(LIMITS), real), bool)
    rows = np.arange(len(LIMITS))
    for answer in range(answers):
        open_to = np.where(free, between[answer], -1.0)
        # Of equal overlaps the last one, as the reference does it.
        best = real - 1 - open_to[:, ::-1].argmax(axis=1)
        right[:, answer] = open_to[rows, best] >= np.minimum(LIMITS, 1 - 1e-10)
        free[rows, best] &= ~right[:, answer]
    return right


def precision(right: NDArray[np.bool_], weight: NDArray[np.float64], total: Corners) -> Corners:
    """Precision at each of ``RECALLS``: at this recall or any higher one.

    Args:
        right: (N,) surest first. weight: (..., N) how often each counts. total: (...) true boxes.

    Shapes: returns ``(..., 101)``; 0 at recalls that are never reached.
    """
    hit = np.cumsum(weight * right, axis=-1)
    told = np.cumsum(weight, axis=-1)
    share = np.divide(hit, told, out=np.zeros_like(hit), where=told > 0)
    share = np.maximum.accumulate(share[..., ::-1], axis=-1)[..., ::-1]
    recall = hit / np.maximum(np.asarray(total)[..., None], 1e-12)
    return _at(recall, share)


def _at(recall: Corners, share: Corners) -> Corners:
    """``share`` where ``recall`` first reaches each of ``RECALLS``."""
    lead = recall.shape[:-1]
    out = np.zeros((math.prod(lead), len(RECALLS)))
    flat_recall, flat_share = (a.reshape(len(out), a.shape[-1]) for a in (recall, share))
    for row, (rising, values) in enumerate(zip(flat_recall, flat_share, strict=True)):
        place = np.searchsorted(rising, RECALLS, side="left")
        there = place < len(rising)
        out[row, there] = values[place[there]]
    return out.reshape(*lead, len(RECALLS))


def curve(matches: Matches) -> Curve:
    """Precision against recall at an overlap of a half."""
    once, total = np.ones(len(matches.scores)), np.array(matches.true.sum(), np.float64)
    share = precision(matches.right[0], once, total)
    recall = np.cumsum(matches.right[0]) / max(int(matches.true.sum()), 1)
    return Curve(share, _at(recall[None], matches.scores[None])[0])


def averages(matches: Matches, weight: NDArray[np.float64] | None = None) -> Corners:
    """Average precision for each of ``LIMITS``: ``(L,)``, or ``(R, L)`` under weights ``(R, S)``
    of the samples; NaN where there is no true box."""
    each = np.ones((1, len(matches.true))) if weight is None else weight
    total = each @ matches.true
    answers = each[:, matches.sample]
    found = np.stack([precision(r, answers, total).mean(axis=-1) for r in matches.right], axis=-1)
    found[total <= 0] = np.nan
    return np.asarray(found[0] if weight is None else found)


def judge(
    said: Sequence[Found],
    true: Sequence[Found],
    classes: int,
    *,
    replicates: int = 200,
    seed: int = 0,
) -> Scores | None:
    """Average precision with its 95 % interval, over all classes and for each; None without any
    true box.

    The values are those of the COCO evaluation for all sizes and 100 answers per sample. Intervals:
    percentile bootstrap over whole samples, since boxes of one sample are not independent.
    """
    every = [matched(said, true, label) for label in range(classes)]
    plain = np.stack([averages(m) for m in every]) if every else np.zeros((0, len(LIMITS)))
    if not np.isfinite(plain).any():
        return None
    drawn = np.stack([_drawn(m, replicates, seed) for m in every])
    alone = [
        _both(p, d) if np.isfinite(p).all() else None for p, d in zip(plain, drawn, strict=True)
    ]
    with np.errstate(invalid="ignore"):
        ap50, ap = _both(_mean(plain), _mean(drawn))
    return Scores(ap50, ap, alone)


def _drawn(matches: Matches, replicates: int, seed: int) -> Corners:
    """Averages of resampled samples ``(R, L)``; the same samples for every class."""
    chunks = []
    step = max(1, HELD // max(len(matches.sample), 1))
    for weight in resamples(np.zeros(len(matches.true), np.int64), replicates, seed):
        chunks += [averages(matches, weight[i : i + step]) for i in range(0, len(weight), step)]
    return np.concatenate(chunks)


def _mean(values: Corners) -> Corners:
    """The mean over classes, the first axis, that have any true box."""
    known = np.isfinite(values)
    total = np.where(known, values, 0).sum(axis=0)
    return np.asarray(np.where(known.any(axis=0), total / np.maximum(known.sum(axis=0), 1), np.nan))


def _both(plain: Corners, drawn: Corners) -> tuple[Score, Score]:
    drawn = drawn[np.isfinite(drawn).all(axis=1)]
    at_half = percentile(float(plain[0]), drawn[:, 0])
    return at_half, percentile(float(plain.mean()), drawn.mean(axis=1))


def quick(said: Sequence[Found], true: Sequence[Found], classes: int) -> tuple[float, float]:
    """(ap50, ap) without intervals; 0 where there is no true box."""
    every = [averages(matched(said, true, label)) for label in range(classes)]
    mean = _mean(np.stack(every)) if every else np.full(len(LIMITS), np.nan)
    known = bool(np.isfinite(mean).all())
    return (float(mean[0]), float(mean.mean())) if known else (0.0, 0.0)


def gained(
    ours: tuple[Sequence[Found], Sequence[Found]],
    theirs: tuple[Sequence[Found], Sequence[Found]],
    classes: int,
    *,
    replicates: int = 200,
    seed: int = 0,
) -> Score:
    """How much higher our average precision at an overlap of a half is, on the same samples.

    ours, theirs: what was said and the truth, each on a grid of its own.
    """
    plain, drawn = [], []
    for said, true in (ours, theirs):
        every = [matched(said, true, k) for k in range(classes)]
        plain.append(_mean(np.stack([averages(m) for m in every]))[0])
        drawn.append(_mean(np.stack([_drawn(m, replicates, seed) for m in every]))[:, 0])
    gap = drawn[0] - drawn[1]
    return percentile(float(plain[0] - plain[1]), gap[np.isfinite(gap)])


def threshold(matches: Matches) -> float:
    """The score from which answers of a class are right and complete in the best balance (F1 at an
    overlap of a half); 0.5 where there is nothing to tell it from."""
    total = int(matches.true.sum())
    if not total or not matches.right[0].any():
        return 0.5
    hit = np.cumsum(matches.right[0])
    balance = 2 * hit / (np.arange(1, len(hit) + 1) + total)
    return float(matches.scores[int(balance.argmax())])
