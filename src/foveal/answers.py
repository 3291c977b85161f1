"""Predictions on their way out: lines on standard output, JSON lines, csv; one at a time."""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from .bars import clean
from .errors import DataError, RunError
from .progress import Progress

if TYPE_CHECKING:
    from .plan import Plan
    from .tasks import Telling
    from .verbs.gallery import Gallery
    from .verbs.labels import Doubt

MOST_DOUBTS = 20
Answer = dict[str, Any]
Write = Callable[[Answer], None]


def give(
    answers: Iterable[Answer],
    telling: Telling,
    plan: Plan,
    *,
    out: Path | None,
    as_json: bool,
    progress: Progress,
) -> None:
    """Write each answer as it comes; memory does not grow with their number.

    ``telling`` words the answers of the task that ``plan`` names.
    Raises: DataError when not one input could be answered; RunError when ``out`` is unwritable.
    """
    if out is None:
        to_people = _plain(sys.stdout, telling)
        good, bad = _pass(answers, [_json_line(sys.stdout) if as_json else to_people])
    else:
        with _file(out) as file:
            is_csv = out.suffix.lower() == ".csv"
            to_file = _csv(file, telling, plan) if is_csv else _json_line(file)
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


def enrolled(gallery: Gallery, as_json: bool, progress: Progress) -> None:
    """What a new gallery holds; one JSON document with ``as_json``."""
    facts = gallery.facts
    floor = "none: everybody gets a name" if facts.threshold is None else f"{facts.threshold:.3f}"
    progress.say(
        f"{len(facts.owner):,} items of {len(facts.names):,} identities enrolled; threshold {floor}"
    )
    for each in gallery.skipped:
        progress.say(clean(f"skipped {each.key}: {each.reason}"))
    if as_json:
        skipped = [{"key": each.key, "reason": each.reason} for each in gallery.skipped]
        told = {"items": len(facts.owner), "names": list(facts.names)}
        told |= {"threshold": facts.threshold, "skipped": skipped}
        print(json.dumps(told, indent=1, allow_nan=False))


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


def _plain(file: TextIO, telling: Telling) -> Write:
    def write(answer: Answer) -> None:
        said = answer.get("error") or telling.line(answer)
        line = clean(f"{answer['input']}  {said}".replace("\n", "; "))
        print(line.encode("utf-8", "backslashreplace").decode(), file=file)

    return write


def _csv(file: TextIO, telling: Telling, plan: Plan) -> Write:
    """A column for the input, then those of the task."""
    writer = csv.writer(file)
    columns = ("input", *telling.columns(plan))
    writer.writerow(columns)

    def write(answer: Answer) -> None:
        cells = answer if "error" in answer else telling.flat(answer)
        writer.writerow([cells.get(name, "") for name in columns])

    return write


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


def show_doubts(found: list[Doubt]) -> None:
    """How many labels are suspect, and the most doubtful ones."""
    from rich.console import Console
    from rich.table import Table

    wide = None if sys.stderr.isatty() else 120
    out = Console(stderr=True, width=wide, highlight=False, markup=False, emoji=False)
    suspect = sum(doubt.suspect for doubt in found)
    out.print(f"{suspect:,} of {len(found):,} labels are probably wrong", style="bold")
    table = Table(box=None, pad_edge=False)
    for head in ("sample", "given", "likely", "score", "why"):
        table.add_column(head, overflow="fold", justify="right" if head == "score" else "left")
    for doubt in found[:MOST_DOUBTS]:
        told = (doubt.sample, doubt.given, doubt.likely, f"{doubt.score:.2f}", doubt.why)
        table.add_row(*map(clean, told))
    out.print(table)
