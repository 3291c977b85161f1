"""What happened during training: one JSON line per validation, and one per incident."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import RunError

FILE = "history.jsonl"


@dataclass(frozen=True, slots=True)
class History:
    """A training's course.

    Args:
        rows: every line of history.jsonl. ``kind`` is "start", "validation" (step, epoch,
            progress, rate, loss, seconds, samples_per_second and the scores), "replan" (step,
            before, after: steps in all), "threads" (step, threads: from now on), "fault" (step,
            rate) or "rewind" (step, to).
        steps: optimiser steps made. seconds: of training, over all sittings, validations included.
        samples_per_second: over the training steps alone.
        score: of the last validation; best, best_step: of the best one.
    """

    rows: tuple[dict[str, Any], ...]
    steps: int
    seconds: float
    samples_per_second: float
    score: float
    best: float
    best_step: int

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The rows of one kind."""
        return [row for row in self.rows if row["kind"] == kind]


def append(run: Path, row: dict[str, Any]) -> int:
    """Add a line and return the file's length, by which `cut` can undo what comes later."""
    line = json.dumps(row, ensure_ascii=False) + "\n"
    try:
        with open(run / FILE, "ab") as file:
            file.write(line.encode())
            return file.tell()
    except OSError as error:
        raise RunError(
            f"cannot write {FILE}: {error.strerror}",
            where=str(run),
            mend="free some disk space, then continue with `foveal train --resume`",
        ) from error


def cut(run: Path, length: int) -> None:
    """Forget every line after ``length`` bytes: they tell of steps that will be made again."""
    path = run / FILE
    if path.exists() and path.stat().st_size > length:
        os.truncate(path, length)


def summary(run: Path, facts: dict[str, Any]) -> History:
    """The history in ``run``, with the figures of the position it ended at."""
    return History(
        rows(run),
        steps=facts["step"],
        seconds=facts["seconds"],
        samples_per_second=facts["samples"] / max(facts["training"], 1e-9),
        score=facts["score"],
        best=facts["best"],
        best_step=facts["best_step"],
    )


def rows(run: Path) -> tuple[dict[str, Any], ...]:
    """All whole lines; a last line torn by a kill is left out."""
    path = run / FILE
    if not path.exists():
        return ()
    whole = path.read_bytes().split(b"\n")[:-1]
    try:
        return tuple(json.loads(line) for line in whole)
    except ValueError as error:
        raise RunError(
            f"{FILE} has a line that is not valid JSON",
            where=str(path),
            mend="restore the file, or train again",
        ) from error
