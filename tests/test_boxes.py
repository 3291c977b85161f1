"""Overlap and suppression of boxes in ranks 1 to 3, against what a loop says."""

from itertools import pairwise

import numpy as np
import pytest

from foveal.metrics.boxes import BLOCK, covered, extent, overlap, suppress, suppress_by_class

RANKS = (1, 2, 3)


def some(rank: int, count: int, seed: int = 0, reach: float = 20.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, reach, (count, rank))
    return np.concatenate([low, low + rng.uniform(0.5, 6, (count, rank))], axis=1)


def one_by_one(a: np.ndarray, b: np.ndarray) -> float:
    """Overlap of two boxes, axis by axis."""
    rank = len(a) // 2
    common = whole_a = whole_b = 1.0
    for axis in range(rank):
        common *= max(0.0, min(a[rank + axis], b[rank + axis]) - max(a[axis], b[axis]))
        whole_a *= a[rank + axis] - a[axis]
        whole_b *= b[rank + axis] - b[axis]
    return common / (whole_a + whole_b - common)


def greedy(boxes: np.ndarray, scores: np.ndarray, limit: float) -> list[int]:
    left, kept = sorted(range(len(boxes)), key=lambda i: (-scores[i], i)), []
    while left:
        best, *left = left
        kept.append(best)
        left = [i for i in left if one_by_one(boxes[best], boxes[i]) <= limit]
    return kept


@pytest.mark.parametrize("rank", RANKS)
def test_overlap_is_what_a_loop_says(rank: int) -> None:
    a, b = some(rank, 12), some(rank, 15, seed=1)
    expected = [[one_by_one(x, y) for y in b] for x in a]
    np.testing.assert_allclose(overlap(a, b), expected, rtol=1e-12)
    np.testing.assert_allclose(np.diag(overlap(a, a)), 1.0)
    np.testing.assert_allclose(overlap(a, b), overlap(b, a).T)


@pytest.mark.parametrize("rank", RANKS)
def test_boxes_without_extent_overlap_with_nothing(rank: int) -> None:
    flat = np.ones((1, 2 * rank))
    back = np.concatenate([np.full((1, rank), 3.0), np.full((1, rank), 1.0)], axis=1)
    assert extent(flat) == extent(back) == 0
    assert overlap(flat, flat) == 0
    assert overlap(back, some(rank, 5)).max() == 0


@pytest.mark.parametrize("rank", RANKS)
def test_covered_is_the_share_inside(rank: int) -> None:
    box = np.array([[0.0] * rank + [4.0] * rank])
    half = np.array([[0.0] * rank + [2.0] + [4.0] * (rank - 1)])
    assert covered(half, box) == 1
    assert covered(box, half) == pytest.approx(0.5)
    assert covered(np.ones((1, 2 * rank)), box) == 0


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("limit", [0.0, 0.3, 0.65, 1.0])
def test_suppression_is_exactly_greedy(rank: int, limit: float) -> None:
    boxes = some(rank, 300, reach=8.0 * (4 - rank))
    scores = np.round(np.random.default_rng(2).random(300), 2)  # with many equal ones
    assert suppress(boxes, scores, limit).tolist() == greedy(boxes, scores, limit)


@pytest.mark.parametrize("rank", RANKS)
def test_suppression_goes_across_blocks(rank: int) -> None:
    """The same boxes again, with lower scores, in later blocks: every copy goes."""
    boxes = np.tile(some(rank, BLOCK), (4, 1))
    boxes[:, :rank] += 1000 * np.arange(len(boxes))[:, None] % (1000 * BLOCK)
    boxes[:, rank:] += 1000 * np.arange(len(boxes))[:, None] % (1000 * BLOCK)
    scores = -np.arange(len(boxes), dtype=float)
    assert suppress(boxes, scores, 0.5).tolist() == list(range(BLOCK))


def test_a_chain_keeps_every_other_link() -> None:
    """A box that was struck out strikes nothing out itself."""
    boxes = np.array([[i, i + 3.0] for i in range(6)])
    assert overlap(boxes[:1], boxes[1:3]).ravel().tolist() == [0.5, 0.2]
    assert suppress(boxes, -np.arange(6.0), 0.4).tolist() == [0, 2, 4]


def test_nothing_and_one() -> None:
    assert suppress(np.zeros((0, 4)), np.zeros(0), 0.5).tolist() == []
    assert suppress(np.array([[0, 0, 1, 1.0]]), np.ones(1), 0.5).tolist() == [0]


def test_classes_do_not_strike_each_other_out() -> None:
    boxes = np.array([[0, 0, 4, 4.0], [0, 0, 4, 4], [0, 0, 4, 4]])
    labels = np.array([1, 0, 1])
    found = suppress_by_class(boxes, np.array([0.3, 0.8, 0.9]), labels, 0.5)
    assert found.tolist() == [2, 1]
    assert suppress_by_class(boxes[:0], np.zeros(0), labels[:0], 0.5).tolist() == []


@pytest.mark.parametrize("rank", RANKS)
def test_ten_thousand_boxes(rank: int) -> None:
    """What stays is apart, what went overlaps a better one that stays: that is greedy, exactly."""
    boxes, scores = (
        some(rank, 10_000, reach=400.0 / rank**3),
        np.random.default_rng(1).random(10_000),
    )
    kept = suppress(boxes, scores, 0.5)
    assert all(scores[a] >= scores[b] for a, b in pairwise(kept))
    between = overlap(boxes[kept], boxes[kept])
    np.fill_diagonal(between, 0)
    assert between.max() <= 0.5
    gone = np.setdiff1d(np.arange(len(boxes)), kept)
    for part in np.array_split(gone, 10):
        beats = (overlap(boxes[part], boxes[kept]) > 0.5) & (scores[kept] > scores[part, None])
        assert beats.any(axis=1).all()
