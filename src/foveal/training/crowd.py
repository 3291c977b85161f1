"""On how many threads steps are made while other processes come and go."""

from __future__ import annotations

from collections.abc import Callable
from statistics import fmean

import torch

SLOW = 2.0  # a step so many times as long as the first ones is slow: after two, half is tried,
VERY = 4.0  # or after one of these
TRIED = 3  # steps that tell how fast a number of threads is, after one that warms up
AGAIN, RARELY = 50, 1600  # steps until the other number is tried once more; doubled up to the last


class Crowd:
    """All threads, or half of them where that is faster, found by trying.

    Threads meet after every small piece of work, so one that another process keeps from its core
    holds up all of them. On two cores beside three busy processes a step took 900 ms on two
    threads and 380 on one (alone 95 and 180).

    Args:
        threads: on how many steps are made; of one there is nothing to choose.
        use: makes torch compute on so many.

    now: the number in use. half: of them, the number that is tried.
    """

    def __init__(self, threads: int, use: Callable[[int], None] = torch.set_num_threads) -> None:
        self.most, self.half, self.now, self.use = threads, max(1, threads // 2), threads, use
        self.before: float | None = None  # steps on the other number took so long; None: no trial
        self.seen: list[float] = []
        self.steps, self.wait = 0, AGAIN

    def note(self, longer: float) -> int | None:
        """A step took ``longer`` times what the first ones did: the threads of the next ones.

        None where their number stays.
        """
        self.steps += 1
        self.seen = [*self.seen[1 - TRIED :], longer]
        if self.most < 2 or self.steps <= TRIED:
            return None
        if self.before is not None:
            return self._judged(self.before)
        late = self.steps > self.wait
        if self._crowded() and (late or self.wait == AGAIN):
            self.before = fmean(step for step in self.seen if step >= SLOW)
            return self._other()
        if late and self.now == self.half:
            self.before = fmean(self.seen)
            return self._other()
        return None

    def leave(self) -> None:
        """After the last step: what follows is made on half the threads if all were slow."""
        if self.before is not None or self._crowded():
            self.use(self.half)

    def _crowded(self) -> bool:
        if self.now < self.most or not self.seen:
            return False
        return self.seen[-1] >= VERY or min(self.seen[-2:]) >= SLOW

    def _judged(self, before: float) -> int | None:
        """After a trial: the faster number; the next trial comes later than this one did."""
        self.before, self.wait = None, min(2 * self.wait, RARELY)
        if fmean(self.seen) >= before:
            return self._other()
        if self.now == self.most:
            self.wait = AGAIN  # others are gone
        return None

    def _other(self) -> int:
        self.now, self.steps, self.seen = (self.half if self.now == self.most else self.most), 0, []
        self.use(self.now)
        return self.now
