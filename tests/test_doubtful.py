"""doubtful: flipped labels come first, whatever the order of rows and names of classes."""

import numpy as np
import pytest

from foveal.metrics.doubtful import doubtful


def told(count=2000, classes=5, noise=0.05, seed=0):
    """Probabilities of a good network, true labels, and given ones of which some are flipped."""
    chance = np.random.default_rng(seed)
    truth = chance.integers(0, classes, count)
    raw = chance.normal(0, 1, (count, classes))
    raw[np.arange(count), truth] += 5
    p = np.exp(raw)
    p /= p.sum(1, keepdims=True)
    flipped = chance.random(count) < noise
    given = np.where(flipped, (truth + chance.integers(1, classes, count)) % classes, truth)
    return p, truth, given


def test_flipped_labels_are_among_the_first():
    p, truth, given = told()
    found = doubtful(p, given)
    wrong = given != truth
    first = found.order[: round(0.07 * len(given))]
    assert wrong[first].sum() >= 0.95 * wrong.sum()
    assert (found.likely[wrong] == truth[wrong]).mean() > 0.95
    assert found.suspect[wrong].mean() > 0.85
    assert found.suspect[~wrong].mean() < 0.02


def test_the_definition_in_a_slow_way():
    p, _, given = told(count=60)
    found = doubtful(p, given)
    for i in range(60):
        means = [p[given == k, k].mean() for k in range(5)]
        fit = [k for k in range(5) if p[i, k] >= means[k]]
        best = max(fit, key=lambda k: p[i, k], default=given[i])
        assert found.suspect[i] == (best != given[i])
        other = max(p[i, k] for k in range(5) if k != given[i])
        assert found.score[i] == pytest.approx(other - p[i, given[i]])
        assert found.likely[i] == (best if best != given[i] else p[i].argmax())


def test_order_of_rows_and_classes_does_not_matter():
    p, _, given = told(count=300)
    found = doubtful(p, given)
    chance = np.random.default_rng(1)
    rows, names = chance.permutation(300), chance.permutation(5)
    place = np.argsort(names)
    moved = doubtful(p[rows][:, names], place[given[rows]])
    assert np.array_equal(names[moved.likely], found.likely[rows])
    assert np.allclose(moved.score, found.score[rows])
    assert np.array_equal(moved.suspect, found.suspect[rows])


def test_right_labels_of_a_sure_network_raise_no_doubt():
    p, truth, _ = told(noise=0)
    found = doubtful(np.eye(5)[truth], truth)
    assert not found.suspect.any()
    assert (found.score == -1).all()
    assert np.array_equal(found.likely, truth)
    assert np.array_equal(doubtful(p, truth).order[:3], np.argsort(-doubtful(p, truth).score)[:3])


def test_a_class_that_nobody_was_given_is_never_confident():
    p = np.full((6, 3), 0.1)
    p[:, 2] = 0.8
    found = doubtful(p, np.array([0, 0, 0, 1, 1, 1]))
    assert not found.suspect.any()
    assert (found.likely == 2).all()
    alone = doubtful(np.ones((3, 1)), np.zeros(3, int))
    assert not alone.suspect.any()
    assert (alone.likely == 0).all()
