"""What a training cost: time, memory, operations."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..grid import time_of
from ..networks.build import build
from ..networks.cost import cost
from ..plan import Plan
from ..planner.machine import measure
from ..planner.network import macs
from ..tasks import Task

if TYPE_CHECKING:
    from ..training.history import History


def spent(plan: Plan, task: Task, history: History) -> dict[str, Any]:
    """The part "cost" of a report; its seconds are filled in at the very end."""
    machine = measure(plan.fit.device)
    size, along = plan.data.size, time_of(plan.axes)
    if task.sized is None:
        each = macs(plan.net, size, plan.data.channels, plan.outputs, along)
    else:
        whole = build(plan, task.head(plan, plan.net.features, None))
        each = cost(whole, plan.data.channels, size).macs
    each, rate = each * plan.fit.members, history.samples_per_second
    return {
        "seconds": 0.0,
        "training_seconds": round(history.seconds, 2),
        "samples_per_second": round(rate, 1),
        "peak_memory_mb": peak_memory_mb(),
        "macs_per_sample": each,
        "fraction_of_peak": round(6 * each * rate / (machine.gflops * 1e9), 3),
        "steps": history.steps,
        "device": plan.fit.device,
        "machine": machine.name,
        "threads": plan.fit.threads,
        "precision": plan.fit.precision,
    }


def peak_memory_mb() -> int:
    """Most resident memory this process ever had, in 2^20 bytes; 0 where it is not told."""
    try:
        # Not ru_maxrss: Linux carries it over from the program that started this one.
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        return round(int(status.partition("VmHWM:")[2].split()[0]) / 1024)
    except (OSError, IndexError, ValueError):  # not on every system
        pass
    try:
        import resource
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / 2**20) if sys.platform == "darwin" else round(peak / 1024)
