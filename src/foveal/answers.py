"""Predictions on their way out: lines on standard output, JSON lines, csv; one at a time."""

from __future__ import annotations

import csv
import itertools
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from .bars import clean
from .errors import DataError, RunError
from .progress import Progress

Answer = dict[str, Any]
Write = Callable[[Answer], None]


def give(answers: Iterable[Answer], *, out: Path | None, as_json: bool, progress: Progress) -> None:
    """Write each answer as it comes; memory does not grow with their number.

    Raises: DataError when not one input could be answered; RunError when ``out`` is unwritable.
    """
    if out is None:
        good, bad = _pass(answers, [_json_line(sys.stdout) if as_json else _plain(sys.stdout)])
    else:
        with _file(out) as file:
            classes, answers = _classes(iter(answers))
            is_csv = out.suffix.lower() == ".csv"
            to_file = _csv(file, classes) if is_csv else _json_line(file)
            good, bad = _pass(answers, [to_file] + [_json_line(sys.stdout)] * as_json)
        progress.say(f"{good:,} answers written to {out}")
    sys.stdout.flush()
    if bad and not good:
        raise DataError(
            f"none of {bad:,} inputs could be read",
            where="the inputs given",
            mend="see the reason beside each",
        )
    if bad:
        progress.say(f"{bad:,} of {good + bad:,} inputs could not be read; each says why")


def _pass(answers: Iterable[Answer], writers: list[Write]) -> tuple[int, int]:
    good = bad = 0
    for answer in answers:
        for write in writers:
            write(answer)
        bad += "error" in answer
        good += "error" not in answer
    return good, bad


def _json_line(file: TextIO) -> Write:
    """ASCII only, so that no name and no terminal can break a line."""
    return lambda answer: print(json.dumps(answer, allow_nan=False), file=file)


def _plain(file: TextIO) -> Write:
    def write(answer: Answer) -> None:
        said = answer.get("error") or f"{answer['label']}  {answer['probability']:.4f}"
        line = clean(f"{answer['input']}  {said}".replace("\n", "; "))
        print(line.encode("utf-8", "backslashreplace").decode(), file=file)

    return write


def _csv(file: TextIO, classes: list[str]) -> Write:
    """Columns input, label, probability, error, then one per class as "p(class)"."""
    writer = csv.writer(file)
    fixed = ["input", "label", "probability", "error"]
    writer.writerow([*fixed, *[f"p({name})" for name in classes]])

    def write(answer: Answer) -> None:
        each = answer.get("probabilities", {})
        first = [answer.get(key, "") for key in fixed]
        writer.writerow([*first, *[each.get(name, "") for name in classes]])

    return write


def _classes(answers: Iterator[Answer]) -> tuple[list[str], Iterator[Answer]]:
    """The classes, known from the first real answer, and all answers again."""
    early: list[Answer] = []
    for answer in answers:
        early.append(answer)
        if "probabilities" in answer:
            return list(answer["probabilities"]), itertools.chain(early, answers)
    return [], iter(early)


@contextmanager
def _file(path: Path) -> Iterator[TextIO]:
    """Written beside the target and renamed at the end: no half file under its name."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with _named(path):
            file = beside.open("w", encoding="utf-8", errors="backslashreplace", newline="")
        with file:
            yield file
        with _named(path):
            os.replace(beside, path)
    finally:
        with suppress(OSError):
            beside.unlink()


@contextmanager
def _named(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RunError(
            f"cannot write {path.name}: {error.strerror}",
            where=str(path),
            mend="give another --out",
        ) from error
