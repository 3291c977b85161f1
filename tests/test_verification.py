"""Pairs, galleries and strangers, against slow references and by hand."""

import numpy as np
import pytest

from foveal.metrics import verification as pairs


def people(count=6, each=5, spread=0.3, seed=0, length=8):
    """Unit vectors of ``count`` identities, ``each`` samples of them, and their labels."""
    rng = np.random.default_rng(seed)
    centre = pairs.unit(rng.normal(size=(count, length)))
    labels = np.repeat(np.arange(count), each)
    return pairs.unit(centre[labels] + spread * rng.normal(size=(count * each, length))), labels


def slow(vectors, labels):
    """AUC, EER and accepted shares by loops over all pairs."""
    same, other = [], []
    for i in range(len(labels)):
        for j in range(i):
            score = float(vectors[i] @ vectors[j])
            (same if labels[i] == labels[j] else other).append(score)
    same, other = np.array(same), np.array(other)
    auc = np.mean([(s > other).mean() + (s == other).mean() / 2 for s in same])
    at = np.unique([*same, *other])
    gap = [abs((other >= t).mean() - (same < t).mean()) for t in at]
    best = at[int(np.argmin(gap))]
    eer = ((other >= best).mean() + (same < best).mean()) / 2
    found = {
        level: max([(same >= t).mean() for t in at if (other >= t).mean() <= level], default=0.0)
        for level in pairs.LEVELS
    }
    return auc, eer, found


@pytest.mark.parametrize("seed", range(4))
def test_figures_are_those_of_all_pairs_one_by_one(seed):
    vectors, labels = people(spread=0.8, seed=seed)
    found = pairs.verify(vectors, labels, replicates=50)
    auc, eer, accepted = slow(vectors, labels)
    assert found.scores["auc"].value == pytest.approx(auc, abs=1e-6)
    assert found.scores["eer"].value == pytest.approx(eer, abs=0.01)
    assert found.scores["tar_at_far_1e-2"].value == pytest.approx(accepted[1e-2])
    assert found.scores["tar_at_far_1e-3"].value == pytest.approx(accepted[1e-3])
    assert found.pairs == (6 * 10, 15 * 25)
    assert pairs.area(vectors, labels) == pytest.approx((auc, found.scores["eer"].value), abs=1e-6)


def test_perfect_and_useless_vectors():
    labels = np.repeat(np.arange(4), 3)
    perfect = pairs.verify(np.eye(4)[labels], labels, replicates=20)
    assert perfect.scores["eer"].value == 0
    assert perfect.scores["auc"].value == perfect.scores["tar_at_far_1e-3"].value == 1
    alike = pairs.verify(np.ones((12, 3)), labels, replicates=20)
    assert alike.scores["auc"].value == alike.scores["eer"].value == pytest.approx(0.5)
    assert pairs.verify(np.ones((3, 2)), np.arange(3)) is None  # nobody twice
    assert pairs.verify(np.ones((3, 2)), np.zeros(3, int)) is None  # nobody else
    assert pairs.area(np.ones((0, 2)), np.zeros(0, int)) == (0.5, 0.5)


def test_the_order_of_rows_and_the_length_of_vectors_mean_nothing():
    vectors, labels = people(spread=0.8)
    order = np.random.default_rng(1).permutation(len(labels))
    scale = np.linspace(0.1, 9, len(labels))[:, None]
    first, second = (
        pairs.verify(v, y, replicates=1).scores
        for v, y in ((vectors, labels), ((vectors * scale)[order], labels[order]))
    )
    for name, score in first.items():
        assert second[name].value == pytest.approx(score.value, abs=1e-6), name


def test_intervals_hold_the_value_and_shrink_with_identities():
    few, many = (pairs.verify(*people(n, spread=0.9), replicates=200) for n in (6, 48))
    for found in (few, many):
        for name, score in found.scores.items():
            assert 0 <= score.low <= score.value <= score.high <= 1, name
    width = [s.high - s.low for s in (few.scores["eer"], many.scores["eer"])]
    assert width[1] < width[0]


def test_resampled_errors_of_two_sets_of_vectors_draw_the_same_identities():
    vectors, labels = people(spread=0.9)
    first, again = (pairs.verify(vectors, labels, replicates=30, seed=3) for _ in range(2))
    np.testing.assert_array_equal(first.resampled, again.resampled)


def test_more_rows_than_are_compared_keep_whole_identities(monkeypatch):
    monkeypatch.setattr(pairs, "MOST_ROWS", 12)
    vectors, labels = people(count=6, each=5)
    found = pairs.verify(vectors, labels, replicates=10)
    assert found.pairs == (2 * 10, 25)


def test_best_scores_leave_the_sample_itself_out():
    vectors, labels = people(count=3, each=2)
    own, other = pairs.best_scores(vectors, labels)
    cosine = vectors @ vectors.T
    assert own[0] == pytest.approx(cosine[0, 1], abs=1e-6)
    assert other[0] == pytest.approx(cosine[0, 2:].max(), abs=1e-6)
    own, other = pairs.best_scores(vectors[:1], labels[:1])
    assert own[0] == other[0] == -np.inf


def test_a_gallery_names_the_nearest():
    vectors, labels = people(count=5, each=6)
    kept = pairs.enrolled(labels)
    assert np.bincount(labels[kept]).tolist() == [3] * 5
    said, score = pairs.named(vectors[kept], labels[kept], vectors[~kept])
    cosine = vectors[~kept] @ vectors[kept].T
    np.testing.assert_array_equal(said, labels[kept][cosine.argmax(1)])
    np.testing.assert_allclose(score, cosine.max(1), atol=1e-6)
    assert pairs.enrolled(np.zeros(1, int)).tolist() == [True]


def test_a_stranger_meets_everybody_else():
    vectors, labels = people(count=4, each=3)
    met = pairs.as_stranger(vectors, labels, vectors[:5], labels[:5])
    slow = [(vectors[i] @ vectors[labels != labels[i]].T).max() for i in range(5)]
    np.testing.assert_allclose(met, slow, atol=1e-6)
    assert pairs.as_stranger(vectors[:3], labels[:3], vectors[:1], labels[:1])[0] == -np.inf


def test_the_threshold_balances_strangers_and_lost_ones():
    rng = np.random.default_rng(0)
    own, other = 0.8 + 0.05 * rng.normal(size=500), 0.4 + 0.05 * rng.normal(size=500)
    assert pairs.threshold(own, other) == pytest.approx(0.6, abs=0.01)
    larger = pairs.threshold(own, other, 100)
    assert larger > pairs.threshold(own, other)  # more chances for a stranger
    alone = pairs.threshold(own[:0], other)
    assert (other >= alone).mean() == pytest.approx(0.05, abs=0.02)
    assert pairs.threshold(own, np.full(3, -np.inf)) is None


def test_shares_by_identity_stay_open_where_all_are_right():
    labels = np.repeat(np.arange(8), 4)
    sure = pairs.by_identity(np.ones(32, bool), labels)
    assert sure.value == sure.high == 1
    assert sure.low == pytest.approx(0.9)
    mixed = pairs.by_identity(labels < 6, labels)
    assert mixed.low < mixed.value == 0.75 < mixed.high
    assert pairs.by_identity(np.zeros(0, bool), labels[:0]).value == 0
