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
    found = doubtful([np.log(p + 1e-12)], given)
    wrong = given != truth
    first = found.order[: round(0.07 * len(given))]
    assert wrong[first].sum() >= 0.95 * wrong.sum()
    assert (found.likely[wrong] == truth[wrong]).mean() > 0.95
    assert found.suspect[wrong].mean() > 0.85
    assert found.suspect[~wrong].mean() < 0.02


def test_the_share_of_wrong_labels_is_told_and_each_has_its_chance():
    for noise in (0.02, 0.05, 0.15):
        p, truth, given = told(count=6000, noise=noise)
        found = doubtful([np.log(p + 1e-12)], given)
        wrong = given != truth
        assert found.rate == pytest.approx(wrong.mean(), abs=0.01)
        assert found.score.sum() == pytest.approx(wrong.sum(), rel=0.15)
        for low, high in ((0.0, 0.5), (0.5, 1.0)):
            here = (found.score >= low) & (found.score <= high)
            assert found.score[here].mean() == pytest.approx(wrong[here].mean(), abs=0.05)


def test_models_that_hedge_or_brag_are_seen_through():
    p, _, given = told(count=4000)
    plain = doubtful([np.log(p + 1e-12)], given)
    for power in (0.5, 2.0):
        other = p**power
        found = doubtful([np.log(other / other.sum(1, keepdims=True) + 1e-12)], given)
        assert found.rate == pytest.approx(plain.rate, abs=0.005)
        assert np.abs(found.score - plain.score).mean() < 0.01


def test_the_definition_in_a_slow_way():
    p, _, given = told(count=300)
    found = doubtful([np.log(p + 1e-12)], given)

    def chances(power, rate):
        own = np.array([p[i, given[i]] ** power / (p[i] ** power).sum() for i in range(300)])
        return (1 - rate) * own, rate / 4 * (1 - own)

    def loss(power, rate):
        return -np.log(np.add(*chances(power, rate))).sum()

    best = min((loss(a, e), a, e) for a in np.linspace(0.2, 3, 57) for e in np.linspace(0, 0.3, 61))
    right, wrong = chances(*best[1:])
    np.testing.assert_allclose(found.score, wrong / (right + wrong), atol=0.06)
    assert np.array_equal(found.suspect, found.score > 0.5)


def test_order_of_rows_and_classes_does_not_matter():
    p, _, given = told(count=300)
    found = doubtful([np.log(p + 1e-12)], given)
    chance = np.random.default_rng(1)
    rows, names = chance.permutation(300), chance.permutation(5)
    place = np.argsort(names)
    moved = doubtful([np.log(p[rows][:, names] + 1e-12)], place[given[rows]])
    assert np.array_equal(names[moved.likely], found.likely[rows])
    assert np.allclose(moved.score, found.score[rows], atol=1e-5)  # sums in another order
    assert np.array_equal(moved.suspect, found.suspect[rows])


def test_right_labels_of_a_sure_network_raise_no_doubt():
    _, truth, _ = told(noise=0)
    found = doubtful([np.log(np.eye(5)[truth] + 1e-12)], truth)
    assert not found.suspect.any()
    assert (found.score < 0.001).all()
    assert found.rate < 0.001
    assert np.array_equal(found.likely, truth)


def test_a_label_without_a_chance_comes_before_one_of_two_likely_ones():
    p = np.array([[0.55, 0.01, 0.44], [0.3, 0.7, 0.0]])
    found = doubtful([np.log(p + 1e-12)], np.array([1, 0]))
    assert found.order.tolist() == [0, 1]  # by the margin to the likeliest it would be last


def test_a_part_that_contradicts_all_labels_is_not_heard():
    p = np.full((6, 3), 0.1)
    p[:, 2] = 0.8
    given = np.array([0, 0, 0, 1, 1, 1])
    found = doubtful([np.log(p)], given)
    assert not found.suspect.any()
    assert np.array_equal(found.likely, given)


def test_one_class_and_no_sample_leave_nothing_to_doubt():
    alone = doubtful([np.ones((3, 1))], np.zeros(3, int))
    assert not alone.suspect.any()
    assert (alone.likely == 0).all()
    assert len(doubtful([np.ones((0, 4))], np.zeros(0, int)).order) == 0


def test_two_models_are_weighed_by_what_they_know():
    good, truth, given = told(count=4000)
    noise = np.random.default_rng(9).normal(0, 1, good.shape)
    wrong = given != truth
    first = round(0.07 * len(given))

    def share(*parts):
        return wrong[doubtful(parts, given).order[:first]].sum() / wrong.sum()

    weak = np.log(good) + 2.5 * np.random.default_rng(8).normal(0, 1, good.shape)
    half = np.log(good) + 2.5 * noise
    assert share(weak, half) > max(share(weak), share(half)) + 0.02
    alone, beside = (doubtful(parts, given) for parts in ([np.log(good)], [np.log(good), noise]))
    assert np.abs(alone.score - beside.score).mean() < 0.001
