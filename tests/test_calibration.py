"""The temperature that was put in is found again; the error means what it says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foveal.metrics.calibration import (
    bins_of,
    calibration_error,
    fit_temperature,
    noise_floor,
    reliability,
    softmax,
)


def honest(count, classes=4, seed=0, spread=2.0):
    """Logits whose softmax is the very chance of each label."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(size=(count, classes)) * spread
    drawn = (logits + generator.gumbel(size=logits.shape)).argmax(1)
    return logits, drawn


@pytest.mark.parametrize("factor", [0.25, 1.0, 3.0, 10.0])
def test_finds_the_temperature_that_was_put_in(factor):
    logits, labels = honest(20_000)
    assert fit_temperature(logits * factor, labels) == pytest.approx(factor, rel=0.04)


def loss_at(temperature, logits, labels):
    """What the docstring promises, the slow way."""
    p, n = softmax(logits, temperature), len(labels)
    right = p.argmax(1) == labels
    first = -np.log(np.where(right, p.max(1), 1 - p.max(1))).sum()
    every = -np.log(p[np.arange(n), labels]).sum()
    share = 200 / (200 + n)
    return (1 - share) * first + share * every + np.log(temperature) ** 2 / 2


@pytest.mark.parametrize("count", [20, 200, 2000])
def test_no_other_temperature_is_likelier(count):
    logits, labels = honest(count)
    some, known = 3 * logits, labels
    best = fit_temperature(some, known)
    other = np.exp(np.linspace(np.log(best / 2), np.log(best * 2), 301))
    assert loss_at(best, some, known) <= min(loss_at(t, some, known) for t in other) + 1e-4


def test_the_first_answer_is_believed_even_where_the_others_shares_are_odd():
    """Answers whose runner-up is right far less often than stated: one number cannot mend both."""
    chance = np.random.default_rng(5)
    sure = chance.uniform(0.5, 0.99, 6000)
    right = chance.random(6000) < sure
    rest = (1 - sure)[:, None] * [0.9, 0.05, 0.05]
    known = np.where(right, 0, chance.integers(1, 4, 6000))
    stated = np.log(np.column_stack([sure, rest])) * 2  # twice too sharp
    temperature = fit_temperature(stated, known)
    p = softmax(stated, temperature)
    assert abs(p.max(1).mean() - right.mean()) < 0.012


def test_one_class_or_endless_logits_have_a_temperature_too():
    logits, labels = honest(100)
    assert fit_temperature(np.zeros((9, 1)), np.zeros(9, int)) == 1.0
    assert 0 < fit_temperature(logits * 1e6, labels) < np.inf


def test_a_small_flawless_part_does_not_ask_for_certainty():
    labels = np.arange(20) % 2
    temperature = fit_temperature(np.eye(2)[labels], labels)
    assert 0.1 < temperature < 1
    assert softmax(np.eye(2), temperature).max() < 0.9999


def test_nothing_to_fit_on_leaves_the_logits_alone():
    assert fit_temperature(np.zeros((0, 3)), np.zeros(0, int)) == 1.0


def test_all_equal_logits_have_no_temperature():
    assert fit_temperature(np.zeros((9, 3)), np.arange(9) % 3) == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_softmax_sums_to_one_and_keeps_the_order(scale):
    logits = scale * np.random.default_rng(0).normal(size=(50, 7)).astype(np.float32)
    p = softmax(logits, 0.5)
    assert np.isfinite(p).all()
    np.testing.assert_allclose(p.sum(1), 1)
    assert (p.argmax(1) == logits.argmax(1)).all()


@given(st.integers(1, 400), st.integers(1, 20), st.integers(0, 99))
@settings(deadline=None)
def test_bins_hold_equal_numbers_in_order(count, bins, seed):
    confidence = np.random.default_rng(seed).random(count)
    where = bins_of(confidence, bins)
    assert (np.diff(where[np.argsort(confidence)]) >= 0).all()
    sizes = np.bincount(where)
    assert sizes.max() - sizes.min() <= 1


def test_equal_confidences_share_a_bin():
    confidence = np.array([0.5] * 60 + [0.9] * 60)
    assert len({*bins_of(confidence, 7).tolist()}) == 2


def test_error_equals_the_definition():
    generator = np.random.default_rng(2)
    confidence = generator.random(150)
    right = generator.random(150) < 0.6
    order = np.argsort(confidence)
    slow = sum(
        len(part) / 150 * abs(right[part].mean() - confidence[part].mean())
        for part in np.array_split(order, 15)
    )
    assert calibration_error(confidence, right, 15) == pytest.approx(slow)


def test_error_of_a_known_gap():
    right = np.arange(1000) % 10 < 7
    assert calibration_error(np.full(1000, 0.9), right) == pytest.approx(0.2)
    assert calibration_error(np.full(1000, 0.7), right) == pytest.approx(0.0, abs=1e-12)
    assert calibration_error(np.zeros(0), np.zeros(0, bool)) == 0


def test_honest_answers_show_no_more_than_luck():
    logits, labels = honest(4000)
    p = softmax(logits)
    error = calibration_error(p.max(1), p.argmax(1) == labels)
    assert error < 2 * noise_floor(p.max(1))
    boast = softmax(logits, 0.3)
    assert calibration_error(boast.max(1), boast.argmax(1) == labels) > 0.1


def test_reliability_counts_every_answer_once():
    logits, labels = honest(2345)
    p = softmax(logits)
    right = p.argmax(1) == labels
    table = reliability(p.max(1), right)
    assert sum(row["count"] for row in table) == 2345
    assert sum(row["count"] * row["right"] for row in table) == pytest.approx(right.sum())
    for row in table:
        assert row["from"] <= row["confidence"] <= row["to"]
        assert row["low"] <= row["right"] <= row["high"]
    assert sum(row["low"] <= row["confidence"] <= row["high"] for row in table) >= 8
