"""Scores of masks against slow loops: overlap, void, background, intervals."""

import numpy as np
import pytest

from foveal.baselines import Question
from foveal.baselines.per_cell import of_colours, of_places
from foveal.metrics.cells import count_cells, dices, ious, judge, mean, mean_iou, more

VOID = 255
ALL = np.ones(3, bool)


def masks(count=12, size=(6, 5), seed=0):
    rng = np.random.default_rng(seed)
    true = rng.integers(0, 3, (count, *size)).astype(np.uint8)
    said = np.where(rng.random(true.shape) < 0.7, true, rng.integers(0, 3, true.shape))
    true[:, 0, 0] = VOID
    return said.astype(np.uint8), true


def counts_of(said, true):
    return np.array([count_cells(s, t, 3) for s, t in zip(said, true, strict=True)], np.float64)


def test_cells_are_counted_without_void():
    said, true = masks(1)
    counts = count_cells(said[0], true[0], 3)
    for i in range(3):
        for j in range(3):
            assert counts[i, j] == ((true[0] == i) & (said[0] == j)).sum()
    assert counts.sum() == true[0].size - 1


def test_overlap_by_sets():
    said, true = masks()
    counts, known = counts_of(said, true), true != VOID
    for k in range(3):
        a, b = (said == k) & known, (true == k) & known
        assert ious(counts.sum(0))[k] == pytest.approx((a & b).sum() / (a | b).sum())
        one = 2 * (a & b)[4].sum() / (a[4].sum() + b[4].sum())
        assert dices(counts)[4, k] == pytest.approx(one)


def test_every_score_with_its_interval():
    counts = counts_of(*masks())
    found = judge(counts, ALL, replicates=300)
    whole = counts.sum(0)
    assert found.iou.value == pytest.approx(ious(whole).mean())
    assert found.dice.value == pytest.approx(dices(counts).mean(0).mean())
    assert found.accuracy.value == pytest.approx(np.trace(whole) / whole.sum())
    for score in (found.iou, found.dice, found.accuracy, *found.each_iou, *found.each_dice):
        assert 0 < score.low < score.value < score.high < 1


def test_a_class_that_is_nowhere_counts_for_nothing():
    counts = counts_of(*masks())
    counts = np.pad(counts, ((0, 0), (0, 1), (0, 1)))
    found = judge(counts, np.ones(4, bool), replicates=50)
    assert found.each_iou[3] is None
    assert found.each_dice[3] is None
    assert found.iou.value == pytest.approx(judge(counts[:, :3, :3], ALL, replicates=50).iou.value)


def test_a_background_is_left_out_of_the_means():
    counts = counts_of(*masks())
    judged = np.array([False, True, True])
    assert judge(counts, judged, replicates=50).iou.value == pytest.approx(
        ious(counts.sum(0))[1:].mean()
    )
    assert mean(np.full(3, np.nan), ALL) == 0


def test_nothing_is_said_of_nothing():
    assert judge(np.zeros((0, 3, 3)), ALL) is None
    assert judge(np.zeros((4, 3, 3)), ALL) is None


def test_a_gain_is_the_difference_on_the_same_samples():
    said, true = masks()
    ours, theirs = counts_of(true.clip(0, 2), true), counts_of(said, true)
    gain = more(ours, theirs, ALL, mean_iou, replicates=200)
    assert gain.value == pytest.approx(1 - ious(theirs.sum(0)).mean())
    assert 0 < gain.low < gain.value < gain.high
    assert more(ours, ours, ALL, mean_iou, replicates=50).high == 0


def asked(train, test):
    parts = {"train": train, "test": test}
    none = np.zeros(0)
    return Question(
        *(lambda rows: none, lambda: none, 0, "cells", none, none),
        pairs=lambda part: iter(parts[part]),
    )


@pytest.mark.parametrize("size", [(20,), (6, 7), (4, 5, 3)])
def test_places_and_values_are_learned_by_simple_models(size):
    rng = np.random.default_rng(0)
    y = (rng.random((8, *size)) < 0.5).astype(np.uint8)
    x = (200 * y + rng.integers(0, 40, y.shape)).astype(np.uint8)[:, None]
    y[:, 0] = VOID
    found = of_colours(asked([(x, y)], [(x[:3], y[:3])]), 2)
    assert found.said.shape == (3, 2, 2)
    assert np.trace(found.said.sum(0)) == (y[:3] != VOID).sum()
    always = np.broadcast_to(np.arange(y[0].size).reshape(size) % 2, y.shape).astype(np.uint8)
    places = of_places(asked([(x, always)], [(x[:3], always[:3])]), 2)
    assert np.trace(places.said.sum(0)) == always[:3].size
    assert of_places(asked([], []), 2) is None
    assert of_colours(asked([], []), 2) is None
