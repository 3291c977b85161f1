"""A run is a folder: what it was made from, what it became, and how good that is.

One process at a time works in it. Whatever moment it is killed at, every file there is whole.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..card import Card
from ..errors import RunError
from ..plan import Plan
from ..record import from_plain, read_json, to_plain, write_json
from .hold import held, refused, stoppable, try_writing, writing
from .plan import Wish
from .source import Source

KEPT_OUT = '/\\:*?"<>|'
REPEATS = "repeats.json"  # how many trainings with other seeds a run holds
NOTES = ("source.json", "wish.json", "begun.json", "card.json", REPEATS)  # before the plan


@dataclasses.dataclass(frozen=True, slots=True)
class Begun:
    """What resuming needs beside the checkpoint.

    plan: with which training began. before: seconds that all sittings so far took before their
    training (reading, measuring), which a budget includes.
    """

    plan: Plan
    before: float


@contextmanager
def new_run(out: str | Path | None, name: str) -> Iterator[Path]:
    """The folder of a new run, for this process alone.

    When something is wrong before there is a plan, the folder is left as it was; a kill or a
    stop leaves it, to be resumed.

    Raises: RunError when a run is there, another process works in it, or it cannot be written.
    """
    run, made = new_folder(out, name)
    try:
        with held(run), stoppable(run):
            _check_free(run)  # when it is ours: who works in it is said before what is there
            try:
                yield run
            except Exception as error:
                if not (run / "plan.json").exists() and not _stopped(error):
                    for note in NOTES:
                        (run / note).unlink(missing_ok=True)
                raise
    finally:
        if made:
            with contextlib.suppress(OSError):  # not empty: as it should be
                run.rmdir()


def new_folder(out: str | Path | None, name: str) -> tuple[Path, bool]:
    """The folder for a new run, and whether it is new: ``out``, or a free ``runs/<name>``.

    Raises: RunError when it cannot be made or written.
    """
    plain = "".join("_" if c in KEPT_OUT or ord(c) < 32 else c for c in name).strip(". ")
    # Cut by bytes, as file systems count; what is no Unicode stays behind.
    short = plain.encode("utf-8", "ignore")[:60].decode("utf-8", "ignore") or "run"
    try:
        while True:
            run = free_folder(Path("runs") / short) if out is None else Path(out)
            try:
                run.mkdir(parents=True)
                return run, True
            except FileExistsError:  # for ``runs/<name>``: another process took it just now
                if out is not None:
                    try_writing(run)
                    return run, False
    except (OSError, ValueError) as error:
        raise refused(run, "--out", error) from error


def free_folder(wanted: Path) -> Path:
    """``wanted`` when nothing is there, else the first free of ``wanted-2``, ``wanted-3``, ..."""
    number, free = 1, wanted
    while os.path.lexists(free):
        number += 1
        free = wanted.with_name(f"{wanted.name}-{number}")
    return free


def note(run: Path, source: Source, wish: Wish) -> None:
    """Write down what was asked for, so that a run killed before its plan can be resumed."""
    # Resuming may happen in another working folder.
    test = str(Path(source.test).absolute()) if source.test else None
    given = (source.exclude, source.relabel)
    exclude, relabel = (str(Path(file).absolute()) if file else None for file in given)
    full = dataclasses.replace(
        source,
        path=str(Path(source.path).absolute()),
        test=test,
        exclude=exclude,
        relabel=relabel,
    )
    with writing(run):
        write_json(run / "source.json", full.to_dict())
        write_json(run / "wish.json", to_plain(wish))


def noted(run: Path) -> tuple[Source, Wish]:
    """What `note` wrote. Raises: RunError when the folder is no run."""
    if not (run / "wish.json").exists():
        raise RunError(
            f"{run} is no run" if run.exists() else f"there is no folder {run}",
            where="--resume",
            mend="give the folder of a run, or begin one with `foveal train DATA`",
        )
    wish = from_plain(Wish, read_json(run / "wish.json"), str(run / "wish.json"))
    return source_of(run), wish


def source_of(run: Path) -> Source:
    """Where the data of a run comes from. Raises: RunError when it was in memory alone."""
    if not (run / "source.json").exists():
        raise RunError(
            "this run was trained on arrays in memory, which are gone",
            where=str(run),
            mend="call fit again with the same arrays",
        )
    return Source.from_dict(read_json(run / "source.json"), str(run / "source.json"))


def begin(run: Path, card: Card, plan: Plan) -> None:
    """Write down what the run is made from. The plan comes last: it makes the folder a run."""
    with writing(run):
        write_json(run / "card.json", card.to_dict())
        begun(run, Begun(plan, 0.0))
        write_json(run / "plan.json", plan.to_dict())
        (run / "wish.json").unlink(missing_ok=True)  # the plan holds all of it now


def begun(run: Path, facts: Begun) -> None:
    """Write down how training began."""
    with writing(run):
        write_json(run / "begun.json", to_plain(facts))


def how_begun(run: Path, plan: Plan) -> Begun:
    """What `begun` wrote; ``plan`` as it stands where nothing was."""
    path = run / "begun.json"
    return from_plain(Begun, read_json(path), str(path)) if path.exists() else Begun(plan, 0.0)


def check_plan(run: Path, plan: Plan, before: Plan) -> None:
    """Raises: RunError when the plan was edited where that would make it another training."""
    now, then = (_course(p.to_dict()) for p in (plan, before))
    changed = sorted(key for key in now | then if now.get(key) != then.get(key))
    if changed:
        key = changed[0]
        raise RunError(
            f"{key} was {then.get(key)} when this run began and is {now.get(key)} now",
            where=str(run / "plan.json"),
            mend="put it back, or train anew with `foveal train DATA --set key=value`",
        )


def _course(values: dict[str, Any]) -> dict[str, Any]:
    """What decides the course of a training, by dotted key: not where it runs, nor its judging."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        inner = value.items() if isinstance(value, dict) else [("", value)]
        flat |= {f"{key}.{name}".rstrip("."): held for name, held in inner}
    free = ("why.", "judge.", *(f"fit.{n}" for n in ("device", "threads", "precision", "channels")))
    return {key: value for key, value in flat.items() if not key.startswith(free)}


def _check_free(run: Path) -> None:
    if (run / "plan.json").exists():
        raise RunError(
            f"there is a run in {run} already",
            where="--out",
            mend=f"go on with `foveal train --resume {run}`, or give another folder",
        )


def _stopped(error: Exception) -> bool:
    from ..training.stop import Interrupted

    return isinstance(error, Interrupted)
