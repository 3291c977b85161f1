"""The command `foveal` in a process of its own; `python -m foveal` is the same."""

import atexit
import os
import sys

from .cli import main

SPIN = "30000"  # turns, 1.7 ms on a Xeon of 2023, for which a thread waits awake for the others


def wait_briefly() -> None:
    """Threads that wait for each other soon leave their core to other processes.

    GNU's OpenMP, with which torch computes, waits ten times as long, on a core that the awaited
    thread may need. On two cores beside three busy processes a step took 465 ms so, 700 before;
    beside one, 310 and 500; alone, the same. It reads this once, when torch is first imported.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPIN)


def run() -> None:
    """`main`, and out at once: taking torch apart takes half a second, beside others two.

    What was registered for the end is done, and what was written is flushed.
    """
    code: object = 0
    wait_briefly()
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
