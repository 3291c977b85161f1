"""Scores of several classes per sample against scikit-learn and by hand."""

import numpy as np
import pytest
from sklearn import metrics as known

from foveal.metrics import labels
from foveal.metrics.calibration import fit_slopes


def made(count=300, classes=4, seed=0, digits=2):
    generator = np.random.default_rng(seed)
    truth = generator.random((count, classes)) < [0.5, 0.2, 0.1, 0.05][:classes]
    scores = np.round(truth + generator.normal(size=truth.shape), digits)
    return truth, scores


@pytest.mark.parametrize("digits", [0, 1, 8])
def test_average_precision_is_that_of_scikit_learn_with_ties_too(digits):
    truth, scores = made(digits=digits)
    one = np.ones((1, len(truth)))
    for k in range(4):
        mine = labels.average_precision(truth[:, k], scores[:, k], one)[0]
        assert mine == pytest.approx(known.average_precision_score(truth[:, k], scores[:, k]))
    theirs = known.average_precision_score(truth, scores, average="macro")
    assert labels.map_macro(truth, scores) == pytest.approx(theirs)


def test_a_row_counted_twice_is_two_rows():
    truth, scores = made(40, 1)
    weights = np.random.default_rng(2).integers(0, 4, (3, 40)).astype(float)
    mine = labels.average_precision(truth[:, 0], scores[:, 0], weights)
    for row, value in zip(weights.astype(int), mine, strict=True):
        many = np.repeat(truth[:, 0], row), np.repeat(scores[:, 0], row)
        assert value == pytest.approx(known.average_precision_score(*many))


def test_scores_have_intervals_and_absent_classes_none():
    truth, scores = made()
    truth[:, 3] = False
    found = labels.judge(truth, scores, scores > 0.5, replicates=200)
    assert found.each[3] is None
    for score in (found.map_macro, found.f1_macro, *found.each[0]):
        assert score.low < score.value < score.high
    assert found.map_macro.value == pytest.approx(labels.map_macro(truth, scores))
    assert found.f1_macro.value == pytest.approx(labels.f1_macro(truth, scores > 0.5))
    assert labels.judge(truth & False, scores, scores > 0.5) is None
    assert labels.map_macro(truth & False, scores) == 0


def test_f1_is_that_of_scikit_learn():
    truth, scores = made()
    theirs = known.f1_score(truth, scores > 0.5, average="macro")
    assert labels.f1_macro(truth, scores > 0.5) == pytest.approx(theirs)


def test_a_perfect_ranking_stays_open():
    truth = np.zeros((30, 1), bool)
    truth[:4] = True
    found = labels.judge(truth, truth.astype(float), truth, replicates=100)
    assert found.map_macro.value == 1
    assert found.map_macro.low < 0.6  # four positives prove little


def test_the_best_threshold_is_found_by_trying_all():
    truth, scores = made(60, 1, seed=3)
    truth, scores = truth[:, 0], scores[:, 0]
    best = max(known.f1_score(truth, scores > t) for t in np.unique(scores) - 1e-6)
    floor = labels.best_threshold(truth, scores)
    assert known.f1_score(truth, scores > floor) == pytest.approx(best)
    assert labels.best_threshold(truth & False, scores) == 0.5
    assert labels.best_threshold(~(truth & False), scores) <= scores.min()


def test_more_precision_is_paired():
    truth, scores = made()
    worse = scores + 3 * np.random.default_rng(5).normal(size=scores.shape)
    gain = labels.more_precision(truth, scores, worse, replicates=200)
    assert gain.value == pytest.approx(
        labels.map_macro(truth, scores) - labels.map_macro(truth, worse)
    )
    assert gain.low > 0
    same = labels.more_precision(truth, scores, scores, replicates=100)
    assert (same.value, same.low, same.high) == (0, 0, 0)
    alone = labels.precision_interval(truth, scores, replicates=100)
    assert alone.value == pytest.approx(labels.map_macro(truth, scores))


def test_the_rarest_class_of_each_row():
    truth = np.array([[1, 0], [1, 1], [0, 0], [1, 0]], bool)
    assert labels.rarest(truth).tolist() == [1, 2, 0, 1]


def test_slopes_and_shifts_are_recovered():
    generator = np.random.default_rng(0)
    x = 3 * generator.normal(size=(4000, 2))
    chance = 1 / (1 + np.exp(-(x * [0.5, 2.0] + [1.0, -1.0])))
    slopes, shifts = fit_slopes(x, generator.random(x.shape) < chance)
    np.testing.assert_allclose(slopes, [0.5, 2.0], rtol=0.15)
    np.testing.assert_allclose(shifts, [1.0, -1.0], atol=0.2)


@pytest.mark.parametrize("truth", [np.zeros((9, 1), bool), np.ones((9, 1), bool)])
def test_few_rows_of_one_kind_leave_the_slope_within_reason(truth):
    slopes, shifts = fit_slopes(np.linspace(-900, 900, 9)[:, None], truth)
    assert np.isfinite([*slopes, *shifts]).all()
    assert fit_slopes(np.zeros((0, 2)), np.zeros((0, 2), bool))[0].tolist() == [1, 1]
