"""Threads follow what steps take: tried on numbers that other processes are said to cause."""

from itertools import pairwise

import pytest
import torch

from foveal.training.crowd import AGAIN, RARELY, TRIED, Crowd
from foveal.training.deadline import Deadline, Pace
from toy import Toy, plan, train


class Used:
    """A crowd of two threads whose steps take so long on one and on two of them."""

    def __init__(self, threads=2):
        self.asked = []
        self.crowd = Crowd(threads, self.asked.append)

    def steps(self, count, one, all_):
        """The changes made by so many steps, by the step after which they were made."""
        changes = {}
        for step in range(1, count + 1):
            changed = self.crowd.note(one if self.crowd.now == 1 else all_)
            if changed:
                changes[step] = changed
        return changes


def test_on_an_idle_machine_nothing_is_tried():
    used = Used()
    assert used.steps(5000, one=1.9, all_=1.0) == {}
    used.crowd.leave()
    assert used.asked == []


def test_one_slow_step_is_noise():
    used = Used()
    used.steps(20, one=1.9, all_=1.0)
    assert used.crowd.note(3.0) is None
    assert used.steps(200, one=1.9, all_=1.0) == {}


@pytest.mark.parametrize(("slow", "after"), [(3.0, 2), (9.0, 1)])
def test_beside_others_one_thread_is_taken_at_once(slow, after):
    used = Used()
    used.steps(20, one=1.9, all_=1.0)
    changes = used.steps(40, one=2.5, all_=slow)
    assert changes == {after: 1}
    assert used.asked == [1]


def test_where_one_thread_is_no_faster_all_are_taken_back():
    """A machine that is slow of itself: fewer threads do not help, and are tried ever less."""
    used = Used()
    used.steps(20, one=1.9, all_=1.0)
    changes = used.steps(20_000, one=5.0, all_=2.6)
    assert list(changes.values())[:4] == [1, 2, 1, 2]
    back = [step for step, threads in changes.items() if threads == 2]
    gaps = [later - sooner for sooner, later in pairwise(back)]
    assert gaps == sorted(gaps)
    assert gaps[0] >= 2 * AGAIN
    assert RARELY <= gaps[-1] <= RARELY + 3 * TRIED


def test_all_threads_come_back_when_others_are_gone():
    used = Used()
    used.steps(20, one=1.9, all_=1.0)
    used.steps(500, one=2.5, all_=9.0)
    assert used.crowd.now == 1
    changes = used.steps(2 * RARELY, one=1.9, all_=1.0)
    assert list(changes.values()) == [2]
    assert used.steps(20, one=2.5, all_=9.0) == {1: 1}  # and others may come again


def test_a_trial_of_all_threads_beside_others_is_short():
    used = Used()
    used.steps(20, one=1.9, all_=1.0)
    changes = used.steps(10_000, one=2.5, all_=9.0)
    assert used.crowd.now == 1
    tried = [step for step, threads in changes.items() if threads == 2]
    ended = [step for step, threads in changes.items() if threads == 1][1:]
    assert all(b - a == TRIED + 1 for a, b in zip(tried, ended, strict=True))
    assert len(tried) < 15


def test_of_many_threads_half_are_tried():
    used = Used(threads=16)
    for longer in [1.0] * 20 + [9.0]:
        used.crowd.note(longer)
    assert used.asked == [8]
    for longer in [3.0] * 4:
        assert used.crowd.note(longer) is None
    assert used.crowd.now == 8


def test_of_one_thread_there_is_nothing_to_choose():
    used = Used(threads=1)
    assert used.steps(1000, one=9.0, all_=9.0) == {}
    used.crowd.leave()
    assert set(used.asked) <= {1}


@pytest.mark.parametrize("last", [[9.0], [3.0, 3.0], [9.0, 2.5]])
def test_what_follows_slow_steps_is_made_on_one_thread(last):
    used = Used()
    used.steps(20, one=1.9, all_=1.0)
    for longer in last:
        used.crowd.note(longer)
    used.crowd.leave()
    assert used.asked[-1] == 1


def test_a_pace_asks_only_when_it_knows_the_first_steps():
    asked = []
    pace = Pace(share=0.25, crowd=Crowd(2, asked.append))
    for _ in range(5):
        assert pace.note(0.1, coarse=False) is None
    for _ in range(5):
        pace.note(0.1, coarse=False)
    assert asked == []
    assert [pace.note(0.9, coarse=False) for _ in range(2)] == [1, None]
    assert asked == [1]


def test_steps_are_planned_by_the_pace_of_a_slower_machine_soon():
    """Nine steps after it became five times slower, the mean is four times what it was."""
    pace = Pace()
    for _ in range(200):
        pace.note(0.1, coarse=False)
    for _ in range(9):
        pace.note(0.5, coarse=False)
    assert pace.seconds(0.0) > 0.4


def test_a_training_beside_others_goes_on_with_one_thread_and_says_so(tmp_path):
    """Real steps; the clock says that from the 30th on others are there until the 250th."""
    clock, made, before = [1000.0], [0], torch.get_num_threads()

    def tick(epoch, number, x):
        made[0] += 1
        crowded = 30 <= made[0] < 250
        one = torch.get_num_threads() == 1
        clock[0] += (0.25 if one else 0.9) if crowded else (0.19 if one else 0.1)
        return x

    try:
        torch.set_num_threads(2)
        deadline = Deadline(100, crowd=Crowd(2), clock=lambda: clock[0])
        _, history = train(tmp_path, plan(steps=500), toy=Toy(tick), deadline=deadline)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    told = history.of("threads")
    assert [row["threads"] for row in told][:1] == [1]
    assert told[-1]["threads"] == 2
    assert 30 <= told[0]["step"] <= 32
    assert history.of("validation")[-1]["progress"] == 1.0
    assert clock[0] - 1000.0 == pytest.approx(100, abs=2)
