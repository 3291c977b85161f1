"""ConvClassifier keeps every promise of a scikit-learn estimator, and learns."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.model_selection import cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from foveal.errors import PlanError
from foveal.sklearn import ConvClassifier


@parametrize_with_checks([ConvClassifier()])
def test_keeps_the_rules_of_an_estimator(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return train_test_split(X, y, test_size=0.3, random_state=0, stratify=y)


@pytest.fixture(scope="module")
def reader(digits):
    return ConvClassifier((8, 8)).fit(digits[0], digits[2])


def test_reads_digits(reader, digits):
    assert reader.score(digits[1], digits[3]) > 0.95


def test_probabilities_are_of_the_classes(reader, digits):
    found = reader.predict_proba(digits[1])
    assert found.shape == (len(digits[1]), 10)
    np.testing.assert_allclose(found.sum(1), 1)
    np.testing.assert_array_equal(reader.classes_[found.argmax(1)], reader.predict(digits[1]))


def test_survives_pickling_without_torch_objects(reader, digits):
    assert all(type(weight) is np.ndarray for weight in reader.weights_.values())
    again = pickle.loads(pickle.dumps(reader))
    np.testing.assert_array_equal(again.predict_proba(digits[1]), reader.predict_proba(digits[1]))


def test_a_row_does_not_care_who_stands_beside_it(reader, digits):
    whole = reader.predict_proba(digits[1])
    np.testing.assert_allclose(reader.predict_proba(digits[1][7:8]), whole[7:8], rtol=1e-9)


def test_the_same_seed_gives_the_same_weights():
    X, y = load_iris(return_X_y=True)
    one, two, other = (ConvClassifier(epochs=1, seed=s).fit(X, y).weights_ for s in (3, 3, 4))
    assert all(np.array_equal(one[name], two[name]) for name in one)
    assert not all(np.array_equal(one[name], other[name]) for name in one)


def test_works_in_pipelines_and_cross_validation():
    X, y = load_iris(return_X_y=True)
    road = make_pipeline(StandardScaler(), ConvClassifier(epochs=10))
    assert cross_val_score(road, X, y, cv=3).mean() > 0.85


def test_a_grid_may_have_channels():
    rng = np.random.default_rng(0)
    y = np.repeat(["red", "blue"], 40)
    X = rng.normal(size=(80, 4, 4, 3))
    X[y == "red", ..., 0] += 1
    X[y == "blue", ..., 2] += 1
    found = ConvClassifier((4, 4, 3), channels=3, epochs=10).fit(X.reshape(80, -1), y)
    assert found.plan_.data.size == (4, 4)
    assert found.plan_.data.channels == 3
    assert found.score(X.reshape(80, -1), y) > 0.95


def test_columns_of_a_table_are_never_shifted():
    X, y = load_iris(return_X_y=True)
    assert ConvClassifier(epochs=1).fit(X, y).plan_.augment.translate == (0,)
    grid = ConvClassifier((8,), epochs=1).fit(np.tile(X, 2), y)
    assert grid.plan_.augment.translate == (1,)


def test_columns_are_scaled_one_by_one_and_grids_as_a_whole():
    X, y = load_iris(return_X_y=True)
    table, grid = ConvClassifier(epochs=1).fit(X, y), ConvClassifier((4,), epochs=1).fit(X, y)
    np.testing.assert_allclose(table.mean_, X.mean(0))
    np.testing.assert_allclose(grid.mean_, X.mean())


def test_a_budget_is_a_span_of_time():
    X, y = load_iris(return_X_y=True)
    found = ConvClassifier(budget="2s").fit(X, y)
    assert found.plan_.budget == 2
    assert found.score(X, y) > 0.8
    with pytest.raises(PlanError, match="'soon' is not a span of time"):
        ConvClassifier(budget="soon").fit(X, y)


def test_cloning_keeps_every_parameter():
    given = {"shape": (2, 2), "channels": 1, "width": 8, "epochs": 2.0, "budget": None, "seed": 5}
    assert clone(ConvClassifier(**given)).get_params() == given


@pytest.mark.parametrize(
    ("shape", "channels"), [((3, 3), 1), ((2, 2), 3), (None, 3), ((4, 1), 2), ((0, 4), 1)]
)
def test_says_which_shape_does_not_fit(shape, channels):
    X, y = load_iris(return_X_y=True)
    with pytest.raises(PlanError, match=r"hold 4 columns(.|\n)*where: ConvClassifier") as caught:
        ConvClassifier(shape, channels=channels).fit(X, y)
    assert "as in (28, 28, 3)" in caught.value.mend
