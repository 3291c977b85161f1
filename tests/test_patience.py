"""Reading that would outlast the budget is ended early, with what to give instead."""

import time

import pytest

from foveal.errors import PlanError
from foveal.progress import Progress
from foveal.verbs.patience import FIRST, Patience


class Seen(Progress):
    """Keeps what it is told."""

    def __init__(self):
        self.told = []

    def say(self, text):
        self.told.append(text)


def read(budget, units, total=100, spent=FIRST + 0.1):
    """Tick as if ``spent`` seconds had gone by in a reading."""
    patience = Patience(Seen(), budget, time.monotonic())
    with patience.bar("reading", total) as tick:
        time.sleep(spent)
        tick(units)


def test_what_fits_goes_on():
    read(60.0, 50)
    read(1.0, 100)  # it is done already
    read(0.5, 1, total=None)  # nobody knows how long it will take
    read(0.5, 1, spent=0.1)  # too early to tell


def test_what_does_not_fit_is_said_with_a_budget_that_does():
    with pytest.raises(PlanError) as caught:
        read(10.0, 2)  # 2.1 s for 2 of 100
    assert "reading 100 samples alone will take" in caught.value.what
    assert caught.value.where == "--budget"
    seconds = int(caught.value.mend.split("--budget ")[1].split("s ")[0])
    assert seconds > 105
    patience = Patience(Seen(), 10.0, time.monotonic())
    patience.say("x")
    patience.status("y")
    assert patience.progress.told == ["x"]


def test_time_that_went_by_unwatched_is_seen_when_the_next_work_begins():
    patience = Patience(Seen(), 10.0, time.monotonic() - 12.6)
    with pytest.raises(PlanError) as caught, patience.bar("comparing", 100):
        pass
    assert "13 s went by before comparing" in caught.value.what
    assert "--budget 36s or more" in caught.value.mend
    with pytest.raises(PlanError, match="went by before training"):
        patience.check("training")
    late = Patience(Seen(), 10.0, time.monotonic() - 10.5)
    late.check("training")
    with late.bar("comparing", 100) as tick:
        tick(100)


def test_what_is_late_already_is_not_watched_first():
    patience = Patience(Seen(), 10.0, time.monotonic() - 10.9)
    with patience.bar("looking at", 100) as tick:
        tick(10)
        time.sleep(0.2)
        with pytest.raises(PlanError):
            tick(10)
