"""The deadline is kept by a clock that only the tests move: steady, slowing down, speeding up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foveal.errors import PlanError
from foveal.training.deadline import SLOWEST, Deadline, Pace
from foveal.verbs.prepare_run import check_room
from toy import Toy, plan, train


class Clock:
    """Seconds that pass only when told."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def run_against_the_clock(
    tmp_path, step_seconds, *, budget, steps, validation=0.0, most=None, reserve=0.0
):
    """A real training whose step number n takes ``step_seconds(n)`` on the fake clock."""
    clock, made = Clock(), [0]

    def tick(epoch, number, x):
        clock.now += step_seconds(made[0])
        made[0] += 1
        return x

    def validated():
        clock.now += validation

    deadline = Deadline(budget, most=most, reserve=reserve, clock=clock)
    _, history = train(
        tmp_path, plan(steps=steps), toy=Toy(tick), deadline=deadline, on_validate=validated
    )
    return clock.now - 1000.0, history


@pytest.mark.parametrize("guess", [20, 100, 400])
def test_a_wrong_guess_of_the_steps_is_mended(tmp_path, guess):
    took, history = run_against_the_clock(tmp_path, lambda n: 0.1, budget=10, steps=guess)
    assert took == pytest.approx(10, abs=0.2)
    assert history.steps == pytest.approx(100, abs=2)
    assert history.of("validation")[-1]["progress"] == 1.0


def test_a_good_guess_is_hardly_touched(tmp_path):
    """95 steps of 0.1 s and a twentieth of the time for validations are 10 s."""
    took, history = run_against_the_clock(
        tmp_path, lambda n: 0.1, budget=10, steps=95, validation=0.1
    )
    assert all(abs(row["after"] - row["before"]) <= 2 for row in history.of("replan"))
    assert history.steps == pytest.approx(95, abs=2)
    assert took == pytest.approx(10, abs=0.15)


def test_a_machine_that_slows_down_makes_fewer_steps(tmp_path):
    took, history = run_against_the_clock(
        tmp_path, lambda n: 0.1 if n < 60 else 0.3, budget=12, steps=120
    )
    assert took == pytest.approx(12, abs=0.3)
    assert history.steps == pytest.approx(80, abs=2)
    changes = history.of("replan")
    assert changes
    assert all(row["after"] != row["before"] for row in changes)
    assert history.of("validation")[-1]["rate"] < 0.05


def test_a_machine_that_slows_down_leaves_more_for_what_follows(tmp_path):
    """A reserve of 4 s takes 8 s on a machine at half its speed, so training ends 8 s early."""
    took, _ = run_against_the_clock(
        tmp_path, lambda n: 0.1 if n < 60 else 0.2, budget=24, steps=200, reserve=4
    )
    assert took == pytest.approx(16, abs=0.5)


def test_a_machine_that_recovers_gets_its_reserve_back(tmp_path):
    took, _ = run_against_the_clock(
        tmp_path, lambda n: 0.2 if 40 <= n < 60 else 0.1, budget=24, steps=200, reserve=4
    )
    assert took == pytest.approx(20, abs=0.5)


def test_slowness_is_carried_from_coarse_steps_to_full_ones():
    pace = Pace(share=0.25)
    for _ in range(10):
        pace.note(0.1, coarse=True)
    assert pace.slowness == 1.0
    for _ in range(80):
        pace.note(0.2, coarse=True)
    assert pace.slowness == pytest.approx(2.0, rel=0.02)
    for _ in range(80):
        pace.note(0.8, coarse=False)
    assert pace.slowness == pytest.approx(2.0, rel=0.02)
    for _ in range(200):
        pace.note(0.4, coarse=False)
    assert pace.slowness == 1.0
    for _ in range(200):
        pace.note(40.0, coarse=False)
    assert pace.slowness == pytest.approx(SLOWEST)


def test_a_machine_that_speeds_up_makes_more_steps(tmp_path):
    took, history = run_against_the_clock(
        tmp_path, lambda n: 0.3 if n < 20 else 0.1, budget=12, steps=40
    )
    assert took == pytest.approx(12, abs=0.3)
    assert history.steps == pytest.approx(80, abs=2)


def test_the_first_slow_step_is_not_taken_for_the_pace(tmp_path):
    took, _ = run_against_the_clock(tmp_path, lambda n: 3 if n == 0 else 0.1, budget=10, steps=100)
    assert took == pytest.approx(10, abs=0.2)


def test_validations_are_paid_from_the_same_purse(tmp_path):
    took, history = run_against_the_clock(
        tmp_path, lambda n: 0.1, budget=30, steps=300, validation=0.5
    )
    assert took == pytest.approx(30, abs=0.6)
    assert (len(history.of("validation")) - 1) * 0.5 <= 0.05 * 30


def test_no_more_than_the_most_steps_are_made(tmp_path):
    took, history = run_against_the_clock(tmp_path, lambda n: 0.1, budget=100, steps=50, most=50)
    assert history.steps == 50
    assert took == pytest.approx(5, abs=0.1)


def test_a_deadline_already_past_still_ends_in_good_order(tmp_path):
    _, history = run_against_the_clock(tmp_path, lambda n: 1.0, budget=0.0, steps=50)
    assert history.steps <= 4
    assert history.of("validation")[-1]["progress"] == 1.0


def test_the_reserve_is_kept():
    clock = Clock()
    deadline = Deadline(60, reserve=15, clock=clock)
    clock.now += 20
    assert deadline.left() == 25
    assert deadline.steps_left(1.0) == 25
    assert deadline.steps_left(1.0, busy=5) == 20
    assert deadline.steps_left(1000.0) == 1


@given(st.floats(1, 1000), st.floats(0.5, 1.5))
def test_two_percent_are_tolerated(seconds, factor):
    deadline = Deadline(seconds, clock=Clock())
    if abs(factor - 1) < 0.0199:
        assert not deadline.misses(1000, factor * seconds / 1000)
    if abs(factor - 1) > 0.0201:
        assert deadline.misses(1000, factor * seconds / 1000)


def test_near_the_end_less_is_tolerated():
    clock = Clock()
    deadline = Deadline(100, clock=clock)
    clock.now += 95
    assert not deadline.misses(54, 0.1)
    assert deadline.misses(60, 0.1)


def test_pace_knows_full_steps_from_coarse_ones():
    pace = Pace(share=0.25)
    pace.note(9.0, coarse=True)
    assert not pace.known
    for _ in range(3):
        pace.note(1.0, coarse=True)
    assert pace.known
    assert pace.seconds(0.0) == pytest.approx(4.0)
    assert pace.seconds(0.5) == pytest.approx(2.5)
    for _ in range(3):
        pace.note(3.0, coarse=False)
    assert pace.seconds(0.5) == pytest.approx(2.0)


def test_pace_forgets_the_far_past():
    pace = Pace()
    for _ in range(100):
        pace.note(1.0, coarse=False)
    for _ in range(100):
        pace.note(2.0, coarse=False)
    assert pace.seconds(0.0) == pytest.approx(2.0, rel=0.01)


@pytest.mark.parametrize(("budget", "left", "training", "judging"), [
    (None, 0, 1e9, 1e9), (20, 15, 5, 5), (20, 5, 6, 3.9), (1000, 900, 500, 449), (20, -1, 2, 2),
])  # fmt: skip
def test_a_budget_that_holds_the_least_is_taken(budget, left, training, judging):
    check_room(budget, left, training, judging)


def test_a_budget_that_cannot_be_kept_is_refused_before_anything_begins():
    with pytest.raises(PlanError) as caught:
        check_room(20.0, 4.0, 8.0, 2.0)
    assert caught.value.what == (
        "a budget of 20 s cannot hold this: 16 s went by before training, the fewest steps take "
        "8.0 s and judging 2.0 s"
    )
    assert caught.value.where == "--budget"
    assert caught.value.mend.startswith("give --budget 29s or more")
    with pytest.raises(PlanError, match="--budget 1157s or more"):
        check_room(1000.0, 900.0, 500.0, 451.0)
    with pytest.raises(PlanError, match=r"0\.0 s went by"):
        check_room(1.0, 2.0, 8.0, 2.0)
