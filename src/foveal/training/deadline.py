"""Keeping a deadline: how long is left, how long a step takes, how many steps fit."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from .crowd import Crowd

TOLERANCE = 0.02  # of the whole budget; beyond it the steps are planned anew
STEADY = 1.25  # steps so many times as long as at first are noise
FIRST = 6  # steps of a kind that say how long one takes on the machine as it was planned for
SLOWEST = 3.0  # steps wait for each other's threads, what follows training does so less


class Deadline:
    """When training must be over.

    Args:
        seconds: from now on; what the command has used before is already off.
        reserve: seconds at the end kept for what follows training, at the speed of the start.
        most: no more steps than this, however much time is left. None for no such limit.
        crowd: chooses threads while others are at work; None to keep their number.
        clock: seconds that only go up.

    slowness: by how much the machine has become slower since; the reserve grows with it.
    """

    def __init__(
        self,
        seconds: float,
        *,
        reserve: float = 0.0,
        most: int | None = None,
        crowd: Crowd | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.clock, self.reserve, self.slowness = clock, reserve, 1.0
        self.seconds = max(seconds - reserve, 0.0)
        self.most, self.crowd = most, crowd
        self._end = clock() + self.seconds

    def left(self) -> float:
        """Seconds until the end; negative when it has passed."""
        return self._end - self.clock() - self.reserve * (self.slowness - 1.0)

    def steps_left(self, step_seconds: float, busy: float = 0.0) -> int:
        """Steps that fit, at least one; ``busy`` seconds of what is left go to other work."""
        return max(1, math.floor((self.left() - busy) / max(step_seconds, 1e-9)))

    def misses(self, steps: int, step_seconds: float, busy: float = 0.0) -> bool:
        """Whether ``steps`` more would end more than 2 % of the budget early or late.

        Near the end the tolerance shrinks to a tenth of what is left (but not below one step).
        """
        left = self.left() - busy
        allowed = min(TOLERANCE * self.seconds, max(0.1 * left, step_seconds))
        return abs(steps * step_seconds - left) > allowed


@dataclass(slots=True)
class Pace:
    """Seconds per step, as lately measured: of full and of coarse steps.

    ``share`` is the guess of a coarse step's cost as part of a full one, for as long as only
    one of the two has been seen. The first step of a kind warms up and does not count.
    ``crowd`` chooses threads by what steps take.
    """

    share: float = 1.0
    crowd: Crowd | None = None
    full: float = 0.0
    coarse: float = 0.0
    seen_full: int = 0
    seen_coarse: int = 0
    first_full: float = 0.0
    first_coarse: float = 0.0
    lately: float = 1.0

    def note(self, seconds: float, coarse: bool) -> int | None:
        """One more step took ``seconds``: on how many threads the next are made, if that changes.

        A mean at first, later over about 20 steps, over five while the machine is slower.
        """
        least = 0.05 if self.slowness == 1.0 else 0.2
        if coarse:
            self.coarse, self.seen_coarse = _mean(self.coarse, seconds, self.seen_coarse, least)
            self.first_coarse = self.first_coarse or self._first(self.coarse, self.seen_coarse)
        else:
            self.full, self.seen_full = _mean(self.full, seconds, self.seen_full, least)
            self.first_full = self.first_full or self._first(self.full, self.seen_full)
        first = self.first_coarse if coarse else self.first_full
        if not first:
            return None
        self.lately += (min(seconds / first, SLOWEST) - self.lately) / 5
        return None if self.crowd is None else self.crowd.note(seconds / first)

    def _first(self, mean: float, seen: int) -> float:
        """What a step of a kind takes on the machine as it was at the start; 0: not yet known."""
        return mean / self.slowness if seen >= FIRST else 0.0

    @property
    def known(self) -> bool:
        """Whether enough steps were seen to say anything."""
        return max(self.seen_full, self.seen_coarse) > 1

    @property
    def slowness(self) -> float:
        """By how much the last five or so were longer than the first ones: 1 to `SLOWEST`."""
        return self.lately if self.lately > STEADY else 1.0

    def seconds(self, coarse_share: float) -> float:
        """Mean seconds of the steps to come, of which ``coarse_share`` are coarse."""
        full = self.full if self.seen_full > 1 else self.coarse / self.share
        coarse = self.coarse if self.seen_coarse > 1 else full * self.share
        return coarse_share * coarse + (1.0 - coarse_share) * full


def _mean(mean: float, seconds: float, seen: int, least: float) -> tuple[float, int]:
    if seen <= 1:  # replaces the warm-up step
        return seconds, seen + 1
    return mean + (seconds - mean) * max(1 / seen, least), seen + 1
