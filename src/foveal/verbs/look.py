"""What is there, and what is wrong with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..card import Card
from ..progress import SILENT, Progress
from .source import Source, examine

if TYPE_CHECKING:
    from pathlib import Path


def look(
    path: str | Path,
    *,
    test: str | Path | None = None,
    bad_files: str = "skip",
    progress: Progress = SILENT,
) -> Card:
    """The card of a data set: counts, sizes, intensities, classes, doubts.

    Every file is decoded once, and kept in the cache for what follows.
    Raises: DataError when nothing usable is found, or too much of it is broken.
    """
    source = Source(str(path), str(test) if test else None, bad_files)
    return examine(source, progress=progress).card
