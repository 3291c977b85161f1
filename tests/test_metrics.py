"""Scores against scikit-learn and against slow definitions; laws; the awkward ends."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as known

from foveal.metrics import classes as metrics
from foveal.metrics.calibration import softmax

ORDER = ["accuracy", "balanced_accuracy", "f1_macro", "auroc", "log_loss", "ece"]


@st.composite
def answers(draw):
    """(probabilities, labels): ties, rare classes and absent classes included."""
    count, classes = draw(st.integers(2, 60)), draw(st.integers(2, 5))
    generator = np.random.default_rng(draw(st.integers(0, 10_000)))
    labels = generator.integers(0, classes, count)
    logits = np.round(generator.normal(size=(count, classes)) * 2, draw(st.integers(0, 3)))
    return softmax(logits), labels


def plain(classes=4, count=400, seed=0):
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes, count)
    logits = generator.normal(size=(count, classes))
    logits[np.arange(count), labels] += 1.5
    return softmax(logits), labels


def slow_auroc(scores, positive):
    """The definition: how often a positive outranks a negative, ties counting half."""
    pairs = list(itertools.product(scores[positive], scores[~positive]))
    return sum((p > n) + (p == n) / 2 for p, n in pairs) / len(pairs)


@given(answers())
@settings(deadline=None, max_examples=60)
def test_equals_scikit_learn(case):
    probabilities, labels = case
    said = probabilities.argmax(1)
    got = metrics.judge(probabilities, labels, replicates=2)
    classes = range(probabilities.shape[1])
    assert got["accuracy"].value == pytest.approx(known.accuracy_score(labels, said))
    met = np.union1d(labels, said)
    assert got["f1_macro"].value == pytest.approx(
        known.f1_score(labels, said, average="macro", labels=met, zero_division=0.0)
    )
    recall = known.recall_score(
        labels, said, average="macro", labels=np.unique(labels), zero_division=0.0
    )
    assert got["balanced_accuracy"].value == pytest.approx(recall)
    assert got["log_loss"].value == pytest.approx(
        known.log_loss(labels, probabilities, labels=classes)
    )
    present = [c for c in classes if 0 < (labels == c).sum() < len(labels)]
    if present:
        each = [known.roc_auc_score(labels == c, probabilities[:, c]) for c in present]
        assert got["auroc"].value == pytest.approx(np.mean(each))
    else:
        assert "auroc" not in got


@given(answers())
@settings(deadline=None, max_examples=40)
def test_areas_equal_the_definition(case):
    probabilities, labels = case
    areas, _ = metrics.aurocs(probabilities, labels)
    for c, area in enumerate(areas):
        positive = labels == c
        if 0 < positive.sum() < len(labels):
            assert area == pytest.approx(slow_auroc(probabilities[:, c], positive))
        else:
            assert np.isnan(area)


@given(answers())
@settings(deadline=None, max_examples=40)
def test_influences_sum_to_nothing_within_each_side(case):
    probabilities, labels = case
    _, influence = metrics.aurocs(probabilities, labels)
    assert influence.sum() == pytest.approx(0.0, abs=1e-9)


def test_an_influence_is_what_one_more_row_changes():
    probabilities, labels = plain(classes=2, count=300)
    areas, influence = metrics.aurocs(probabilities, labels)
    for row in range(0, 300, 37):
        more = np.append(np.arange(300), row)
        after, _ = metrics.aurocs(probabilities[more], labels[more])
        assert np.mean(after) - np.mean(areas) == pytest.approx(influence[row], abs=1e-4)


def test_confusion_counts_truth_in_rows():
    matrix = metrics.confusion(np.array([0, 0, 1, 2]), np.array([0, 1, 1, 0]), 3)
    assert matrix.tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 0]]


def test_recall_and_precision_of_a_class():
    matrix = np.array([[8, 2], [1, 9]])
    assert [s.value for s in metrics.recalls(matrix)] == [0.8, 0.9]
    assert [s.value for s in metrics.precisions(matrix)] == [8 / 9, 9 / 11]


@pytest.mark.parametrize("classes", [2, 4, 30])
def test_every_interval_holds_its_value(classes):
    got = metrics.judge(*plain(classes), replicates=300)
    assert list(got) == ORDER
    for name, score in got.items():
        assert score.low <= score.value <= score.high, name
        assert 0 <= score.low < score.high, name
        assert name == "log_loss" or score.high <= 1


def test_intervals_are_the_same_for_the_same_seed_only():
    first, again = (metrics.judge(*plain(), replicates=200, seed=3) for _ in range(2))
    other = metrics.judge(*plain(), replicates=200, seed=4)
    assert first == again
    assert first["f1_macro"] != other["f1_macro"]
    assert first["log_loss"].value == other["log_loss"].value


def test_intervals_narrow_with_the_root_of_the_rows():
    few = metrics.judge(*plain(count=400), replicates=400)
    many = metrics.judge(*plain(count=6400), replicates=400)
    for name in ("accuracy", "balanced_accuracy", "f1_macro", "auroc", "log_loss"):
        ratio = (few[name].high - few[name].low) / (many[name].high - many[name].low)
        assert 2.8 < ratio < 5.6, name


def test_the_linearised_auroc_agrees_with_a_full_bootstrap():
    probabilities, labels = plain(classes=3, count=300)
    got = metrics.judge(probabilities, labels, replicates=1000)["auroc"]
    generator = np.random.default_rng(1)
    drawn = []
    for _ in range(300):
        rows = np.concatenate(
            [generator.choice(np.flatnonzero(labels == c), (labels == c).sum()) for c in range(3)]
        )
        drawn.append(np.mean(metrics.aurocs(probabilities[rows], labels[rows])[0]))
    low, high = np.quantile(drawn, (0.025, 0.975))
    assert got.high - got.low == pytest.approx(high - low, rel=0.15)
    assert (got.low, got.high) == pytest.approx((low, high), abs=0.01)  # bent by the log odds


def test_f1_of_many_small_classes_is_not_dragged_down_by_the_resampling():
    score = metrics.judge(*plain(classes=200, count=1000), replicates=200)["f1_macro"]
    assert score.high - score.value == pytest.approx(score.value - score.low, rel=0.35)


def test_all_right_is_not_certain():
    labels = np.arange(30) % 3
    got = metrics.judge(softmax(20.0 * np.eye(3)[labels]), labels)
    for name in ("accuracy", "balanced_accuracy", "f1_macro", "auroc"):
        assert got[name].value == 1
        assert 0.6 < got[name].low < 0.95, name
    assert got["ece"].value < 1e-6


def test_all_wrong_scores_nothing():
    labels = np.arange(30) % 3
    got = metrics.judge(softmax(9.0 * np.eye(3)[(labels + 1) % 3]), labels)
    for name in ("accuracy", "balanced_accuracy", "f1_macro"):
        assert got[name].value == 0
        assert got[name].high > 0
    assert got["ece"].value > 0.99


def test_one_class_has_no_auroc_and_no_rows_have_nothing():
    probabilities = softmax(np.zeros((5, 2)))
    assert "auroc" not in metrics.judge(probabilities, np.zeros(5, int), replicates=20)
    assert metrics.judge(np.zeros((0, 3)), np.zeros(0, int)) == {}


def test_certain_and_wrong_costs_much_but_stays_finite():
    got = metrics.judge(np.array([[1.0, 0.0], [1.0, 0.0]]), np.array([1, 0]), replicates=50)
    assert 15 < got["log_loss"].value < 20


@given(answers(), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=30)
def test_the_order_of_rows_and_classes_does_not_matter(case, random):
    probabilities, labels = case
    rows = random.sample(range(len(labels)), len(labels))
    names = random.sample(range(probabilities.shape[1]), probabilities.shape[1])
    moved = np.argsort(names)[labels[rows]]
    # Ties are broken by position, so only untied rows can be expected to move along.
    ordered = np.sort(probabilities, 1)
    if (np.diff(ordered[:, -2:], axis=1) == 0).any():
        return
    got = metrics.judge(probabilities, labels, replicates=2)
    again = metrics.judge(probabilities[rows][:, names], moved, replicates=2)
    for name, score in got.items():
        assert again[name].value == pytest.approx(score.value), name
