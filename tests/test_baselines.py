"""Simple answers: what they say on data where the right one is known, and their limits."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from foveal.baselines.cells import question, shrink, small
from foveal.baselines.models import affordable, logistic_cost
from foveal.tasks import classify


def baselines(gather, train, test, **more):
    return classify.TASK.judging.baselines(question(gather, train, test, **more), None)


def gatherer(x):
    tensor = torch.from_numpy(np.ascontiguousarray(x))
    return lambda rows: tensor[torch.from_numpy(np.asarray(rows))]


def split(labels, share=0.7):
    rows = np.random.default_rng(0).permutation(len(labels))
    cut = int(share * len(rows))
    return (rows[:cut], labels[rows[:cut]]), (rows[cut:], labels[rows[cut:]])


@pytest.fixture(scope="module")
def digits():
    x, y = load_digits(return_X_y=True)
    return gatherer(x.reshape(-1, 1, 8, 8).astype(np.uint8)), y.astype(np.int64)


def test_digits_come_out_as_is_known(digits):
    gather, labels = digits
    train, test = split(labels)
    found = baselines(gather, train, test)
    assert [b.name for b in found] == ["majority", "nearest_centroid", "logistic_regression"]
    majority, centroid, logistic = (b.score.value for b in found)
    assert 0.05 < majority < 0.15
    assert 0.80 < centroid < 0.95
    assert 0.92 < logistic < 0.99
    for each in found:
        assert len(each.said) == len(test[0])
        assert each.score.value == pytest.approx((each.said == test[1]).mean())


def test_the_same_data_give_the_same_answers(digits):
    gather, labels = digits
    train, test = split(labels)
    for one, other in zip(*[baselines(gather, train, test, seed=1) for _ in range(2)], strict=True):
        assert (one.said == other.said).all()


def test_little_time_takes_fewer_rows_and_says_so(digits):
    gather, labels = digits
    train, test = split(labels)
    found = baselines(gather, train, test, seconds=0.04)
    assert "from 312 training rows" in found[2].words
    assert found[2].score.value > 0.8
    assert "training rows" not in found[0].words


def test_more_classes_or_cells_are_given_fewer_rows():
    rows = [
        affordable(features, logistic_cost(features, classes), 10.0)
        for features, classes in ((432, 10), (432, 40), (4320, 40))
    ]
    assert rows == sorted(rows, reverse=True)
    assert len(set(rows)) == 3
    assert affordable(10**9, logistic_cost(10**9, 10), 1e-9) == 200
    assert affordable(400, 1.0, 10.0) == 10_000  # what 16 MB hold


def test_many_classes_are_solved_at_once():
    generator = np.random.default_rng(0)
    labels = np.repeat(np.arange(60), 12)
    centres = generator.normal(size=(60, 1, 6, 6))
    x = (centres[labels] + 0.4 * generator.normal(size=(720, 1, 6, 6))).astype(np.float32)
    found = baselines(gatherer(x), *split(labels))
    assert found[2].name == "ridge_regression"
    assert found[2].score.value > 0.9


@pytest.mark.parametrize("size", [(200,), (40, 30), (20, 9, 11)])
def test_any_grid_is_made_small(size):
    x = np.random.default_rng(0).random((5, 2, *size)).astype(np.float32)
    vectors = small(gatherer(x), np.arange(5), batch=2)
    assert vectors.shape[0] == 5
    assert vectors.shape[1] <= 2 * 144
    assert vectors.min() >= 0
    assert vectors.max() <= 1


def test_shrinking_averages_neighbours():
    x = np.arange(10, dtype=np.float32).reshape(1, 10)
    assert shrink(x, 1, 5).tolist() == [[0.5, 2.5, 4.5, 6.5, 8.5]]
    assert shrink(x, 1, 3).tolist() == [[1.0, 4.0, 7.5]]
    assert shrink(x, 1, 10) is x
    flat = np.full((2, 37, 3), 7, np.float32)
    assert (shrink(flat, 1, 12) == 7).all()


def test_constant_cells_and_a_class_that_is_only_asked_for():
    x = np.zeros((40, 1, 4, 4), np.uint8)
    x[:20, 0, 0, 0] = 200
    labels = np.repeat([0, 1], 20)
    train = (np.arange(2, 38), labels[2:38])
    found = baselines(gatherer(x), train, (np.array([0, 1, 39]), np.array([0, 2, 1])))
    assert [b.score.value for b in found[1:]] == pytest.approx([2 / 3, 2 / 3])


def test_one_class_has_only_a_majority_and_no_rows_have_nothing():
    gather = gatherer(np.zeros((4, 1, 2, 2), np.uint8))
    one = (np.arange(2), np.zeros(2, np.int64))
    assert [b.name for b in baselines(gather, one, one)] == ["majority"]
    none = (np.zeros(0, np.int64), np.zeros(0, np.int64))
    assert baselines(gather, none, one) == ()
    assert baselines(gather, one, none) == ()
