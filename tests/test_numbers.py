"""Scores of numbers against scikit-learn, their intervals, and split conformal coverage."""

import numpy as np
import pytest
from sklearn import metrics as known

from foveal.metrics import numbers


def answers(count=400, noise=0.5, seed=0, columns=2):
    generator = np.random.default_rng(seed)
    true = generator.normal(size=(count, columns)) * [1.0, 20.0][:columns] + [0.0, 1e6][:columns]
    return true, true + noise * generator.normal(size=true.shape) * [1.0, 20.0][:columns]


def test_scores_are_those_of_scikit_learn():
    true, said = answers()
    together, each = numbers.judge(true, said, np.array([1.0, 20.0]), replicates=200)
    for k, one in enumerate(each):
        assert one.mae.value == pytest.approx(known.mean_absolute_error(true[:, k], said[:, k]))
        assert one.rmse.value == pytest.approx(
            known.root_mean_squared_error(true[:, k], said[:, k])
        )
        assert one.r2.value == pytest.approx(known.r2_score(true[:, k], said[:, k]), abs=1e-6)
        for score in (one.mae, one.rmse, one.r2):
            assert score.low < score.value < score.high
    assert together.mae.value == pytest.approx((each[0].mae.value + each[1].mae.value / 20) / 2)
    assert together.r2.value == pytest.approx(numbers.r2(true, said))


def test_intervals_hold_the_truth_as_often_as_they_say():
    held = 0
    for seed in range(100):
        true, said = answers(60, seed=seed, columns=1)
        together, _ = numbers.judge(true, said, np.ones(1), replicates=200, seed=seed)
        held += together.mae.low <= 0.5 * np.sqrt(2 / np.pi) <= together.mae.high
    assert held >= 86  # 95 expected; 86 is four standard errors below


def test_what_does_not_vary_explains_nothing():
    true = np.full((20, 1), 3.0)
    together, each = numbers.judge(true, true + 1, np.ones(1), replicates=50)
    assert together.r2 is None
    assert each[0].r2 is None
    assert together.mae.value == pytest.approx(1)
    assert numbers.r2(true, true) == 0
    assert numbers.judge(true[:0], true[:0], np.ones(1)) is None


def test_less_error_is_paired_and_signed():
    theirs = np.random.default_rng(0).random(200)
    gain = numbers.less_error(theirs - 0.1, theirs)
    assert (gain.value, gain.low, gain.high) == pytest.approx((0.1, 0.1, 0.1))
    assert numbers.less_error(theirs + 0.1, theirs).high < 0


def test_half_widths_are_order_statistics():
    errors = np.arange(1, 20, dtype=float)[:, None] * [1, -2]
    assert numbers.half_widths(errors, 0.9) == [18.0, 36.0]  # the 18th of 19
    assert numbers.half_widths(errors[:9], 0.9) == [9.0, 18.0]
    assert numbers.half_widths(errors[:8], 0.9) == [None, None]
    assert numbers.half_widths(errors[:0], 0.9) == [None, None]
    assert numbers.needed(0.9) == 9


def test_conformal_intervals_cover_nine_of_ten_new_errors():
    generator = np.random.default_rng(1)
    shares = []
    for _ in range(300):
        errors = generator.standard_t(2, size=(40, 1))  # heavy tails: the spread says nothing
        (width,) = numbers.half_widths(errors, 0.9)
        shares.append((np.abs(generator.standard_t(2, size=500)) <= width).mean())
    assert 0.89 < np.mean(shares) < 0.94
