"""A run is a folder: what it was made from, what it became, and how good that is."""

from __future__ import annotations

from pathlib import Path

from ..card import Card
from ..errors import RunError
from ..plan import Plan
from ..record import write_json
from .source import Source

KEPT_OUT = '/\\:*?"<>|'


def new_folder(out: str | Path | None, name: str) -> Path:
    """The folder for a new run: ``out``, or ``runs/<name>``, numbered when that is taken.

    Raises: RunError when ``out`` already holds a run, or cannot be made.
    """
    if out is None:
        plain = "".join("_" if c in KEPT_OUT or ord(c) < 32 else c for c in name).strip(". ")
        out = free_folder(Path("runs") / (plain[:60] or "run"))
    run = Path(out)
    if (run / "plan.json").exists():
        raise RunError(
            f"there is a run in {run} already",
            where="--out",
            mend=f"go on with `foveal train --resume {run}`, or give another folder",
        )
    try:
        run.mkdir(parents=True, exist_ok=True)
        (run / ".writable").write_bytes(b"")
        (run / ".writable").unlink()
    except OSError as error:
        raise RunError(
            f"cannot write to {run}: {error.strerror}",
            where="--out",
            mend="give a folder that you may write to",
        ) from error
    return run


def free_folder(wanted: Path) -> Path:
    """``wanted`` when nothing is there, else the first free of ``wanted-2``, ``wanted-3``, ..."""
    number, free = 1, wanted
    while free.exists():
        number += 1
        free = wanted.with_name(f"{wanted.name}-{number}")
    return free


def begin(run: Path, card: Card, plan: Plan, source: Source | None) -> None:
    """Write down what the run is made from, so that it can be resumed. The plan comes last."""
    write_json(run / "card.json", card.to_dict())
    if source is not None:
        # Resuming may happen in another working folder.
        full = Source(
            str(Path(source.path).absolute()),
            str(Path(source.test).absolute()) if source.test else None,
            source.bad_files,
        )
        write_json(run / "source.json", full.to_dict())
    write_json(run / "plan.json", plan.to_dict())
