"""blended: better than either model, blind to a useless one, never by a weight below zero."""

import numpy as np
import pytest

from foveal.metrics.blend import blended


def made(strength, seed, truth):
    chance = np.random.default_rng(seed)
    scores = chance.normal(0, 1, (len(truth), 4))
    scores[np.arange(len(truth)), truth] += strength
    return scores


def loss(p, truth):
    return -np.log(p[np.arange(len(truth)), truth]).mean()


@pytest.fixture
def truth():
    return np.random.default_rng(9).integers(0, 4, 3000)


def test_two_models_are_better_than_either(truth):
    one, other = made(2, 0, truth), made(1, 1, truth)
    both = loss(blended([one, other], truth), truth)
    assert both < min(loss(blended([each], truth), truth) for each in (one, other)) - 0.05
    # Log-odds of what is independent add up as they are.
    assert both == pytest.approx(loss(blended([2 * one + other], truth), truth), abs=0.005)


def test_scores_of_any_scale_become_probabilities(truth):
    one = made(2, 0, truth)
    p = blended([one], truth)
    np.testing.assert_allclose(p.sum(1), 1)
    np.testing.assert_allclose(blended([0.01 * one], truth), p, atol=1e-3)
    np.testing.assert_allclose(blended([one + 1000], truth), p, atol=1e-3)


def test_a_model_that_knows_nothing_or_the_opposite_is_not_listened_to(truth):
    one = made(2, 0, truth)
    alone = blended([one], truth)
    for useless in (np.random.default_rng(5).normal(size=one.shape), -made(2, 7, truth)):
        found = blended([one, useless], truth)
        assert loss(found, truth) == pytest.approx(loss(alone, truth), abs=0.002)
        assert (found.argmax(1) == alone.argmax(1)).mean() > 0.97


def test_zero_probabilities_of_a_network_stay_finite(truth):
    sure = np.log(np.maximum(np.eye(4)[(truth + (np.arange(3000) % 50 == 0)) % 4], 1e-9))
    p = blended([sure], truth)
    assert np.isfinite(p).all()
    assert 0.9 < p[np.arange(3000), truth].mean() < 0.99
