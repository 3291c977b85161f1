"""A polite stop: Ctrl-C and SIGTERM raise a flag, and the loop saves at the next step."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from ..errors import FovealError

_NAMES = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}


class Interrupted(FovealError):  # noqa: N818 - nothing went wrong
    """Training was asked to stop, has saved its state, and says how to go on."""


class Stop:
    """Whether somebody asked to stop. As a context it listens to Ctrl-C and SIGTERM.

    The second Ctrl-C leaves at once: what was saved by then is whole in any case. Signals can
    be listened to in the main thread only; elsewhere `ask` does the same.
    """

    def __init__(self) -> None:
        self.reason = ""
        self._before: dict[signal.Signals, Any] = {}

    @property
    def asked(self) -> bool:
        return bool(self.reason)

    def ask(self, reason: str) -> None:
        """Stop at the next step border."""
        self.reason = self.reason or reason

    def __enter__(self) -> Stop:
        if threading.current_thread() is threading.main_thread():
            for number in _NAMES:
                self._before[number] = signal.signal(number, self._heard)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    def _heard(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.ask(_NAMES[signal.Signals(number)])


def interrupted(reason: str, step: int, total: int, run: Path) -> Interrupted:
    """The error that tells a person where the run stands and how to continue it."""
    return Interrupted(
        f"stopped by {reason} after step {step} of {total}; everything is saved",
        where=str(run),
        mend=f"foveal train --resume {run}",
    )
