"""Progress for people, on standard error: bars on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from .duration import spoken
from .progress import Progress, Tick

if TYPE_CHECKING:
    from rich.progress import Progress as Rich
    from rich.progress import TaskID

SECONDS_BETWEEN_LINES = 10.0


def progress(stream: TextIO | None = None) -> Progress:
    """Bars when ``stream`` (standard error) is a terminal, sparse lines when it is not."""
    stream = stream or sys.stderr
    return Bars(stream) if stream.isatty() else Lines(stream)


def clean(text: str) -> str:
    """``text`` without control characters, so that a file's name cannot steer a terminal."""
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)


class Lines(Progress):
    """One line when work starts to take long, every ten seconds or so, and what is said.

    ``clock`` gives seconds; tests pass their own.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream, self._clock, self._status = stream, clock, ""

    @contextmanager
    def bar(self, title: str, total: int | None = None) -> Iterator[Tick]:
        done, start, last = 0, self._clock(), self._clock()

        def tick(units: int) -> None:
            nonlocal done, last
            done += units
            now = self._clock()
            if now - last >= SECONDS_BETWEEN_LINES:
                last = now
                beside = f", {self._status}" if self._status else ""
                left = _left(done, total, now - start)
                self.say(f"{title}: {_share(done, total)}{left}{beside}")

        self._status = ""
        yield tick

    def say(self, text: str) -> None:
        print(clean(text), file=self._stream, flush=True)

    def status(self, text: str) -> None:
        self._status = text


class Bars(Progress):
    """A bar per running piece of work, with the time left; finished bars leave no trace."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._live: Rich | None = None
        self._task: TaskID | None = None

    @contextmanager
    def bar(self, title: str, total: int | None = None) -> Iterator[Tick]:
        outer, outer_task = self._live, self._task
        live = outer or _rich(self._stream)
        if outer is None:
            live.start()
        task = live.add_task(clean(title), total=total, status="")
        self._live, self._task = live, task
        try:
            yield lambda units: live.advance(task, units)
        finally:
            live.remove_task(task)
            self._live, self._task = outer, outer_task
            if outer is None:
                live.stop()

    def say(self, text: str) -> None:
        if self._live is None:
            print(clean(text), file=self._stream, flush=True)
        else:
            self._live.console.print(clean(text), markup=False, highlight=False)

    def status(self, text: str) -> None:
        if self._live is not None and self._task is not None:
            self._live.update(self._task, status=clean(text))


def _rich(stream: TextIO) -> Rich:
    # Imported here: rich costs 0.15 s, and `--help` must not pay for it.
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=28),
        MofNCompleteColumn(),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[status]}", markup=False),
        console=Console(file=stream),
        transient=True,
        refresh_per_second=5,
    )


def _share(done: int, total: int | None) -> str:
    return f"{done:,}" if not total else f"{done:,} of {total:,} ({done / total:.0%})"


def _left(done: int, total: int | None, passed: float) -> str:
    if not total or not 0 < done < total:
        return ""
    return f", {spoken(passed * (total - done) / done)} left"
