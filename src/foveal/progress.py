"""Progress that verbs show and library code reports, without knowing who is looking."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Tick = Callable[[int], None]


class Progress:
    """Says nothing. The command line has one that draws bars with the time left on stderr."""

    @contextmanager
    def bar(self, title: str, total: int | None = None) -> Iterator[Tick]:
        """A bar for work of ``total`` units; call what it yields with the units done since."""
        yield lambda units: None

    def say(self, text: str) -> None:
        """One line for a person."""

    def status(self, text: str) -> None:
        """Replace the short text beside the running bar (loss, score)."""


SILENT = Progress()
