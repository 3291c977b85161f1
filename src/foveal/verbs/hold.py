"""Holding a run folder: one process at a time, every way of stopping, every failed write."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from ..errors import RunError

if sys.platform != "win32":
    import fcntl

LOCK = ".lock"


@contextmanager
def held(run: Path) -> Iterator[None]:
    """The folder for this process alone, swept of what a killed one left half written.

    The system gives the lock back when its owner dies, so none is ever stale.
    Raises: RunError when another process has it, or the folder cannot be written.
    """
    try:
        file = _locked(run / LOCK)
        for part in run.glob(".*.part"):
            part.unlink(missing_ok=True)
    except OSError as error:
        raise refused(run, str(run), error) from error
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            (run / LOCK).unlink()  # while it is held, so that nobody gets one that goes away
        os.close(file)


@contextmanager
def stoppable(run: Path) -> Iterator[None]:
    """Ctrl-C and SIGTERM end what is inside with `Interrupted`, which says how to go on."""
    from ..training.stop import Interrupted

    reasons: list[str] = []

    def heard(number: int, frame: FrameType | None) -> None:
        reasons.append("SIGTERM")
        # Not an `Exception`: code that asks whether a file can be read would swallow it.
        raise KeyboardInterrupt

    listens = threading.current_thread() is threading.main_thread()
    before: Any = signal.signal(signal.SIGTERM, heard) if listens else None
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(
            f"stopped by {reasons[0] if reasons else 'Ctrl-C'}; what was saved so far is whole",
            where=str(run),
            mend=f"foveal train --resume {run}",
        ) from None
    finally:
        if listens:
            signal.signal(signal.SIGTERM, before)


@contextmanager
def writing(run: Path) -> Iterator[None]:
    """Around every write of a verb. Raises: RunError for a full disk and the like."""
    try:
        yield
    except OSError as error:
        raise RunError(
            f"cannot write to the run folder: {error.strerror or error}",
            where=str(run),
            mend=f"free some disk space, then foveal train --resume {run}",
        ) from error


@contextmanager
def giving(folder: Path | None) -> Iterator[None]:
    """Around what is written where ``--out`` says. Raises: RunError when it cannot be."""
    try:
        yield
    except OSError as error:
        raise RunError(
            f"cannot write to {folder}: {error.strerror}",
            where="--out",
            mend="give a folder that you may write to",
        ) from error


def _locked(path: Path) -> int:
    """A descriptor of ``path`` that no other process can lock, with our number in the file."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            if _lock(file):
                # Its last owner may have removed the file that we opened.
                there = path.stat() if path.exists() else None
                if there is not None and os.path.samestat(os.fstat(file), there):
                    os.truncate(file, 0)
                    os.write(file, str(os.getpid()).encode())
                    return file
                os.close(file)
                continue
            owner = os.read(file, 20).decode("ascii", "replace") or "unknown"
        except BaseException:
            os.close(file)
            raise
        os.close(file)
        raise RunError(
            f"another process (number {owner}) is at work in {path.parent}",
            where=str(path.parent),
            mend="wait until it is done, or give another --out",
        )


def _lock(file: int) -> bool:
    """Whether the lock was free. True where there are none: on Windows and some file systems."""
    if sys.platform == "win32":
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def refused(run: Path, where: str, error: OSError | ValueError) -> RunError:
    """The error of a folder that cannot be made or written."""
    return RunError(
        f"cannot write to {run}: {getattr(error, 'strerror', None) or error}",
        where=where,
        mend="give a folder that you may write to",
    )


def try_writing(run: Path) -> None:
    """Raises: OSError when nothing can be written to the folder."""
    (run / f".{os.getpid()}.part").write_bytes(b"")
    (run / f".{os.getpid()}.part").unlink(missing_ok=True)
