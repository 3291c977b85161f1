"""The command `foveal` in a process of its own; `python -m foveal` is the same."""

import atexit
import os
import sys

from .cli import main


def run() -> None:
    """`main`, and out at once: taking torch apart takes half a second, beside others two.

    What was registered for the end is done, and what was written is flushed.
    """
    code: object = 0
    try:
        main()
    except SystemExit as ended:
        code = ended.code or 0
    if not isinstance(code, int):
        raise SystemExit(code)
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:  # nobody reads any more
        code = code or 1
    os._exit(code)


if __name__ == "__main__":
    run()
