"""What is there, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..card import Card
from ..progress import SILENT, Progress
from .source import Source, examine

if TYPE_CHECKING:
    from pathlib import Path


def look(
    path: str | Path,
    *,
    task: str = "auto",
    target: Sequence[str] = (),
    group: str = "auto",
    test: str | Path | None = None,
    bad_files: str = "skip",
    progress: Progress = SILENT,
) -> Card:
    """The card of a data set: counts, sizes, intensities, what is to be learned, doubts.

    task, target, group: as for `train`.
    Every file is decoded once, and kept in the cache for what follows.
    Raises: DataError when nothing usable is found, or too much of it is broken.
    """
    source = Source(str(path), str(test) if test else None, bad_files, tuple(target), group)
    return examine(source, task=task, progress=progress).card
