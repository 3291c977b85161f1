"""When this process was started: a budget counts from there, with the imports."""

from __future__ import annotations

import os
import time

_IMPORTED = time.monotonic()
_LONGEST = 10.0  # seconds from the start of the process to the import of this file


def process_began() -> float:
    """The `time.monotonic` value at which this process was started.

    That of the first import of this file where the system does not tell, or where the process
    is so old that it must have been something else before (a shell that ran ``exec foveal``).
    """
    try:
        with open("/proc/self/stat", "rb") as file:
            # The name of the program, in brackets, may hold blanks; the start is field 22.
            ticks = int(file.read().rpartition(b")")[2].split()[19])
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError, AttributeError):
        return _IMPORTED
    began = time.monotonic() - age
    return began if 0.0 <= _IMPORTED - began <= _LONGEST else _IMPORTED
