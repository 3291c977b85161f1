"""Intervals hold the truth about 95 times of 100: shown by simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foveal.metrics import classes as metrics
from foveal.metrics.calibration import softmax
from foveal.metrics.intervals import (
    freedom_of,
    mean_of_shares,
    of_positive,
    of_share,
    paired,
    percentile,
    resamples,
    student,
    widening,
    wilson,
)


def holds(score, truth):
    return score.low <= truth <= score.high


@pytest.mark.parametrize(("right", "count", "low", "high"), [
    (81, 263, 0.2553, 0.3662),  # Newcombe 1998, table I
    (15, 148, 0.0624, 0.1605),
    (0, 20, 0.0, 0.1611),
    (1, 29, 0.0061, 0.1718),
])  # fmt: skip
def test_wilson_equals_published_figures(right, count, low, high):
    score = wilson(right, count)
    assert (score.low, score.high) == pytest.approx((low, high), abs=5e-5)


def test_nothing_counted_says_nothing():
    score = wilson(0, 0)
    assert (score.value, score.low, score.high) == (0, 0, 1)
    assert (mean_of_shares(np.zeros(0, int), np.zeros(0, int)).low) == 0


@given(st.integers(0, 400), st.integers(0, 400))
def test_wilson_mirrors_and_stays_inside(right, wrong):
    count = right + wrong
    score, other = wilson(right, count), wilson(wrong, count)
    assert 0 <= score.low <= score.value <= score.high <= 1
    if count:
        assert score.low == pytest.approx(1 - other.high, abs=1e-12)


@pytest.mark.parametrize("truth", [0.02, 0.3, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("count", [25, 400])
def test_wilson_covers(truth, count):
    drawn = np.random.default_rng(0).binomial(count, truth, 4000)
    covered = np.mean([holds(wilson(r, count), truth) for r in drawn.tolist()])
    assert 0.90 < covered <= 0.995


@pytest.mark.parametrize(("shares", "sizes"), [
    ([0.9] * 10, [30] * 10),
    ([0.25] * 200, [10] * 200),
    ([0.99, 0.5], [1000, 10]),
    ([1.0, 0.97, 0.99], [20, 40, 60]),
    ([0.7, 0.8, 0.9, 0.95], [5, 50, 50, 500]),
])  # fmt: skip
def test_mean_of_shares_covers(shares, sizes):
    generator, truth = np.random.default_rng(1), float(np.mean(shares))
    sizes = np.array(sizes)
    drawn = generator.binomial(sizes, shares, (600, len(sizes)))
    covered = np.mean([holds(mean_of_shares(r, sizes), truth) for r in drawn])
    assert covered > 0.93


def test_bootstrap_covers():
    def draw(seed, each):
        generator = np.random.default_rng(seed)
        labels = np.repeat(np.arange(3), each)
        logits = generator.normal(size=(len(labels), 3))
        logits[np.arange(len(labels)), labels] += 1.0 + labels * 0.4
        return softmax(logits), labels

    truth = metrics.judge(*draw(10_000, 30_000), replicates=2)
    drawn = [metrics.judge(*draw(seed, 60), replicates=200) for seed in range(250)]
    for name in ("f1_macro", "auroc", "log_loss"):
        covered = np.mean([holds(scores[name], truth[name].value) for scores in drawn])
        assert 0.89 < covered < 0.99, name


def test_few_rows_of_many_classes_are_covered_too():
    """Ten rows a class: they vary less among themselves than the world does, and lean to a side."""

    def draw(seed, count):
        generator = np.random.default_rng(seed)
        logits = 2.5 * generator.normal(size=(count, 10))
        labels = (logits + generator.gumbel(size=logits.shape)).argmax(1)  # calibrated: no error
        return softmax(logits), labels

    truth = {name: score.value for name, score in metrics.judge(*draw(1, 60_000)).items()}
    truth["ece"] = 0.0
    drawn = [metrics.judge(*draw(seed, 100), replicates=200) for seed in range(2, 302)]
    covered = {n: np.mean([s[n].low <= t <= s[n].high for s in drawn]) for n, t in truth.items()}
    assert all(0.9 <= share <= 1.0 for share in covered.values()), covered
    without = np.mean([s["accuracy"].low <= truth["accuracy"] - 0.3 for s in drawn])
    assert without < 0.05


def test_means_of_long_tails_are_covered():
    """As losses of a sure network: a tenth of the values is most of the mean."""
    generator, groups = np.random.default_rng(0), np.repeat(np.arange(10), 10)
    held = {"as normal": [], "as long": []}
    for losses in generator.lognormal(sigma=1.5, size=(1500, 100)):
        error = float(losses.std(ddof=1)) / 10
        for name, freedom in (("as normal", np.inf), ("as long", freedom_of(losses, groups))):
            score = of_positive(float(losses.mean()), error, freedom)
            held[name].append(holds(score, float(np.exp(1.5**2 / 2))))
    assert np.mean(held["as long"]) > 0.9
    assert np.mean(held["as long"]) > np.mean(held["as normal"]) + 0.01


def test_freedom_is_that_of_normal_values_and_less_where_few_tell_the_spread():
    generator = np.random.default_rng(0)
    groups = np.arange(20_000) % 4
    normal = generator.normal(size=20_000) + 10 * groups  # between the groups does not count
    assert freedom_of(normal, groups) == pytest.approx(20_000, rel=0.1)
    assert freedom_of(generator.exponential(size=20_000), groups) == pytest.approx(5_000, rel=0.2)
    assert freedom_of(np.ones(5), np.zeros(5, int)) == np.inf
    assert freedom_of(np.array([0.0, 1.0]), np.zeros(2, int)) == 2.0
    assert student(np.inf) == pytest.approx(1.959964)
    assert student(4) == pytest.approx(2.776445)  # Student 1908


def test_shares_of_classes_that_are_luck_are_covered_too():
    """A stratified test part has the class shares that were learned from, right or not.

    The network leans to the commoner classes, so their share is an advantage that the world may
    not give: 100 rows of a set of 500 that was drawn at random.
    """
    chance, held, gain = np.random.default_rng(0), [], []
    for _ in range(400):
        shares = chance.multinomial(500, np.full(10, 0.1)) / 500
        labels = {"set": np.repeat(np.arange(10), np.round(100 * shares).astype(int))}
        labels["world"] = chance.integers(0, 10, 5_000)
        losses = {}
        for name, true in labels.items():
            logits = chance.normal(size=(len(true), 10)) + np.log(shares) * 2
            logits[np.arange(len(true)), true] += 2.5
            losses[name] = metrics.judge(softmax(logits), true, replicates=2)["log_loss"]
        held.append(holds(losses["set"], losses["world"].value))
        gain.append(losses["world"].value - losses["set"].value)
    assert np.mean(gain) > 0.01
    assert np.mean(held) > 0.9


def test_widening_counts_what_classes_lack():
    assert widening(np.array([10, 10, 0])) == pytest.approx((10 / 9) ** 0.5)
    assert widening(np.array([1, 1])) == pytest.approx(2**0.5)
    assert 1 < widening(np.array([10_000])) < 1.0001
    spread = percentile(0.0, np.array([-1.0, 1.0]), wide=2.0)
    assert (spread.low, spread.high) == pytest.approx((-1.9, 1.9))


@pytest.mark.parametrize("value", [0.01, 0.5, 0.99])
def test_bent_intervals_stay_inside_and_are_straight_where_rows_abound(value):
    share, positive = of_share(value, value * (1 - value)), of_positive(value, 0.2)
    assert 0 < share.low < value < share.high < 1
    assert 0 < positive.low < value < positive.high
    for sure in (of_share(value, 1e-6), of_positive(value, 1e-6)):
        assert (sure.low, sure.high) == pytest.approx((value - 1.96e-6, value + 1.96e-6), abs=1e-8)


def test_resamples_keep_every_class_and_every_count():
    labels = np.array([2, 0, 2, 2, 0, 1])
    weights = np.concatenate(list(resamples(labels, 500, seed=0)))
    assert weights.shape == (500, 6)
    for c in range(3):
        assert (weights[:, labels == c].sum(1) == (labels == c).sum()).all()
    assert (weights[:, 5] == 1).all()  # the only row of its class
    assert weights.mean(0) == pytest.approx(np.ones(6), abs=0.15)


def test_resamples_are_cut_in_chunks_without_a_seam(monkeypatch):
    from foveal.metrics import intervals

    labels = np.arange(50) % 4
    whole = np.concatenate(list(resamples(labels, 40, seed=5)))
    monkeypatch.setattr(intervals, "CELLS", 350)
    parts = list(resamples(labels, 40, seed=5))
    assert len(parts) == 6
    assert (np.concatenate(parts) == whole).all()


def test_fewer_resamples_where_rows_abound(monkeypatch):
    from foveal.metrics import intervals

    monkeypatch.setattr(intervals, "DRAWS", 30_000)
    count = sum(len(w) for w in resamples(np.zeros(100, int), 1000, seed=0))
    assert count == 300
    count = sum(len(w) for w in resamples(np.zeros(1000, int), 1000, seed=0))
    assert count == 200


def test_centred_percentile_holds_a_biased_figure():
    biased = np.random.default_rng(0).normal(5.0, 1.0, 1000)
    assert percentile(1.0, biased).low == 1.0
    score = percentile(1.0, biased, centred=True)
    assert (score.low, score.high) == pytest.approx((1 - 1.96, 1 + 1.96), abs=0.2)


def test_paired_sees_a_small_steady_gain():
    theirs = np.arange(2000) % 2 == 0
    ours = theirs | (np.arange(2000) % 25 == 1)
    score = paired(ours, theirs)
    assert score.value == pytest.approx(0.02)
    assert score.low > 0.01
    assert score.high < 0.03
    back = paired(theirs, ours)
    assert back.high < -0.01


def test_paired_equals_nothing_when_both_say_the_same():
    same = np.arange(60) % 3 == 0
    score = paired(same, same)
    assert score.value == 0
    assert score.low < 0 < score.high
    assert paired(np.zeros(0, bool), np.zeros(0, bool)).low == -1


def test_paired_covers():
    generator, hits = np.random.default_rng(2), []
    for seed in range(400):
        luck = generator.random((2, 150))
        ours, theirs = luck[0] < 0.85, np.where(luck[1] < 0.6, luck[0] < 0.85, luck[1] < 0.9)
        truth = 0.85 - (0.6 * 0.85 + 0.3)
        hits.append(holds(paired(ours, theirs, replicates=500, seed=seed), truth))
    assert 0.91 < np.mean(hits) < 0.99
