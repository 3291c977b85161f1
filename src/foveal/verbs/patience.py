"""Reading is watched: where it alone would take more than the budget, that is said early."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil

from ..duration import spoken
from ..errors import PlanError
from ..progress import Progress, Tick

FIRST = 2.0  # seconds of reading before anything is foretold
SLACK, SLACK_SHARE = 5.0, 0.05  # a command may end so much after its budget, the larger of both
LEAST = 4.0  # seconds that measuring, training and judging take at the least


def latest(budget: float) -> float:
    """Seconds after its start by which a command must have ended."""
    return budget + max(SLACK, SLACK_SHARE * budget)


class Patience(Progress):
    """Shows what ``progress`` shows, and ends a reading that cannot be done in time.

    Args:
        budget: seconds of the whole command. started: when it began, by `time.monotonic`.

    Raises (when a bar begins, and from a tick of one with a total): PlanError as soon as that is
        known.
    """

    def __init__(self, progress: Progress, budget: float, started: float) -> None:
        self.progress, self.budget, self.started = progress, budget, started

    def say(self, text: str) -> None:
        self.progress.say(text)

    def status(self, text: str) -> None:
        self.progress.status(text)

    @contextmanager
    def bar(self, title: str, total: int | None = None) -> Iterator[Tick]:
        self.check(title)
        with self.progress.bar(title, total) as shown:
            began, done = time.monotonic(), 0

            def tick(units: int) -> None:
                nonlocal done
                done += units
                shown(units)
                if total:
                    self._foresee(title, began, done / total, total)

            yield tick

    def check(self, ahead: str) -> None:
        """Before what is ``ahead``. Raises: PlanError when too little time is left for it."""
        spent = time.monotonic() - self.started
        if spent > latest(self.budget) - LEAST:
            raise self._refused(f"{spoken(spent)} went by before {ahead}", 2 * spent)

    def _foresee(self, title: str, began: float, part: float, total: int) -> None:
        now, most = time.monotonic(), latest(self.budget) - LEAST
        spent, late = now - began, now - self.started > most
        whole = began - self.started + spent / max(part, 1e-9)
        if not 0 < part < 1 or whole <= most or (spent < FIRST and not late):
            return
        told = f"{title} {total:,} samples alone will take until {spoken(whole)} after the start"
        raise self._refused(told, 1.5 * whole)

    def _refused(self, why: str, needed: float) -> PlanError:
        return PlanError(
            f"a budget of {spoken(self.budget)} cannot hold this: {why}",
            where="--budget",
            mend=f"give --budget {ceil(needed + 10)}s or more; what was read once is kept, so that "
            "later commands begin at once",
        )
