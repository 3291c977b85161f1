"""The rate by progress, and progress that lands on one however the steps are re-planned."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foveal.training.schedule import advance, middle_rate, rate, worked

shares = st.floats(0, 1)
warmups = st.floats(0, 0.9, allow_subnormal=False)


@given(warmups)
def test_ends_at_zero(warmup):
    assert rate(1.0, warmup) == 0.0


@given(st.floats(0.01, 0.9))
def test_starts_at_zero_and_peaks_after_the_warm_up(warmup):
    assert rate(0.0, warmup) == 0.0
    assert rate(warmup, warmup) == 1.0


@given(warmups, shares, shares)
def test_is_two_straight_lines(warmup, a, b):
    for low, high in [(0.0, warmup), (warmup, 1.0)]:
        p, q = low + a * (high - low), low + b * (high - low)
        halfway = (rate(p, warmup) + rate(q, warmup)) / 2
        assert rate((p + q) / 2, warmup) == pytest.approx(halfway, abs=1e-9)


@given(warmups, shares)
def test_stays_between_zero_and_one(warmup, progress):
    assert 0 <= rate(progress, warmup) <= 1


def test_without_a_warm_up_starts_at_the_peak():
    assert rate(0.0, 0.0) == 1.0


@given(st.integers(1, 500))
def test_progress_ends_at_exactly_one(total):
    progress = 0.0
    for left in range(total, 0, -1):
        progress = advance(progress, left)
    assert progress == 1.0


@given(st.lists(st.integers(1, 50), min_size=1, max_size=20))
def test_progress_ends_at_exactly_one_however_often_the_steps_change(plans):
    """Each entry is what a new plan leaves; one step under each, all under the last."""
    progress, path = 0.0, [0.0]
    for left in plans[:-1]:
        progress = advance(progress, left + 1)
        path.append(progress)
    for left in range(plans[-1], 0, -1):
        progress = advance(progress, left)
        path.append(progress)
    assert progress == 1.0
    assert path == sorted(path)


@given(st.integers(2, 100), st.integers(1, 99), st.floats(0.5, 2))
def test_a_new_plan_bends_the_rate_but_never_makes_it_jump(total, at, factor):
    """Just after a re-plan the rate continues from where it was, by no more than one new step."""
    at = min(at, total - 1)
    left = max(1, round((total - at) * factor))
    before = at / total
    after = advance(before, left)
    assert 0 < after - before <= 1 / left + 1e-12


@given(st.integers(1, 200), warmups)
def test_every_step_moves(total, warmup):
    progress = 0.0
    for left in range(total, 0, -1):
        assert middle_rate(progress, left, warmup) > 0
        progress = advance(progress, left)


@given(st.integers(20, 300), st.floats(0, 0.5))
def test_the_mean_rate_is_a_half(total, warmup):
    """A triangle of height one: however the warm-up falls between steps, its area stays."""
    progress, area = 0.0, 0.0
    for left in range(total, 0, -1):
        area += middle_rate(progress, left, warmup) / total
        progress = advance(progress, left)
    assert area == pytest.approx(0.5, abs=0.5 / total)


@given(
    st.integers(1, 500),
    st.floats(0, 1, allow_nan=False),
    st.floats(0.05, 1, allow_nan=False),
)
def test_work_done_is_that_of_the_steps_one_by_one(total, share, cost):
    coarse = round(share * total) / total
    costs = [cost if step < round(share * total) else 1.0 for step in range(total)]
    for step in {0, total // 3, total // 2, total}:
        told = worked(step / total, coarse, cost)
        assert told == pytest.approx(sum(costs[:step]) / sum(costs), abs=1e-9)
