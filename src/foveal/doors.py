"""The door between a command and its user: every way out has its words and its exit code."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stderr, redirect_stdout

import typer

from .errors import DataError, FovealError, PlanError
from .progress import Progress

DONE, MISTAKE, INTERRUPTED = 0, 1, 130


def usage(text: str) -> Exception:
    """The error of a wrong call: raised, it prints the usage line and exits with 2."""
    return typer.BadParameter(text)


@contextmanager
def door(*, reuse_memory: bool = False) -> Iterator[Progress]:
    """Progress to hand to a verb; what the verb raises becomes one message and an exit code.

    Args:
        reuse_memory: keep freed memory for the next step (see `memory.keep_freed`).
    """
    from .bars import clean, progress

    quiet = follows()
    if reuse_memory:
        from .memory import keep_freed

        keep_freed()
    try:
        with _mute() if quiet else nullcontext():
            yield progress()
    except FovealError as error:
        # What befalls all processes is said by the first one.
        if not quiet or isinstance(error, DataError | PlanError):
            _say(clean(str(error)))
        raise typer.Exit(_code(error)) from None
    except KeyboardInterrupt:
        _say("stopped by Ctrl-C; a run that had started goes on with: foveal train --resume RUN")
        raise typer.Exit(INTERRUPTED) from None
    except BrokenPipeError:
        # The reader of our output left (`| head`). Nothing more can be said on it, not even
        # by the interpreter's last flush.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(128 + signal.SIGPIPE) from None
    except OSError as error:
        _say(clean(str(_refused(error))))
        raise typer.Exit(MISTAKE) from None
    except typer.Exit:
        raise
    except Exception as error:
        _say(clean(_fault(error)))
        raise typer.Exit(MISTAKE) from None


def follows() -> bool:
    """Whether `torchrun` started this process to help another one, which alone speaks."""
    started = {"WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"} <= os.environ.keys()
    return started and os.environ.get("RANK", "0") != "0"


@contextmanager
def _mute() -> Iterator[None]:
    """Within it nothing that is printed goes anywhere."""
    with (
        open(os.devnull, "w", encoding="utf-8") as nowhere,
        redirect_stdout(nowhere),
        redirect_stderr(nowhere),
    ):
        yield


def _code(error: FovealError) -> int:
    """A run stopped on request is no mistake: 0 for SIGTERM, 130 for Ctrl-C."""
    stop = sys.modules.get("foveal.training.stop")  # not loaded: then it raised nothing
    if stop is None or not isinstance(error, stop.Interrupted):
        return MISTAKE
    return DONE if "SIGTERM" in error.what else INTERRUPTED


def _refused(error: OSError) -> FovealError:
    """What the system would not do: a full disk, a folder that is not there or not ours."""
    return FovealError(
        error.strerror or str(error),
        where=str(error.filename or "the files of this command"),
        mend="free some space, or give a place that exists and that you may write to",
    )


def _fault(error: Exception) -> str:
    """Our own fault, in the same three parts; the traceback only for those who ask."""
    from .memory import ran_out

    if os.environ.get("FOVEAL_DEBUG") == "1":
        return "".join(traceback.format_exception(error))
    if ran_out(error):
        told = str(error).strip().partition("\n")[0][:200]
        return str(
            FovealError(
                "the memory of this machine ran out",
                where=told or "this command",
                mend="close what else uses it, or give smaller samples or a smaller network "
                "(--set data.size=..., --set net.widths=...)",
            )
        )
    last = traceback.extract_tb(error.__traceback__)[-1]
    text = str(error).strip().partition("\n")[0][:300]
    return (
        f"{type(error).__name__}: {text}\n"
        f"  where: {last.filename}:{last.lineno}, in {last.name}\n"
        "  mend:  this is a fault in Foveal; please report it, with what FOVEAL_DEBUG=1 prints"
    )


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
