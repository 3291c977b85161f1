"""What this machine can do with a convolution, measured once per process in about a second."""

from __future__ import annotations

import functools
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from ..layers.convolution import Convolution, tiled
from ..layers.memory import channels_last, kernels_channels_last

CHANNELS, EDGE, KERNEL = 64, 28, 3
WIDE, SMALL = 128, 8  # channels and edge of the layer that tells whether fewer products pay
T = TypeVar("T")
GAIN = 1.15  # at which they are taken
CROWDED = 0.8  # of a core for each thread: with less, others are at work too
PATIENCE = 0.5  # seconds after which nothing is repeated: a busy machine is not to be measured long


@dataclass(frozen=True, slots=True)
class Machine:
    """The measured machine.

    gflops: useful rate of a 64-channel 3x3 convolution, forward and backward, in 10^9 floating
    point operations per second (two per multiply-add), at the precision and layout that won.
    tried: the rate of every candidate. winograd: whether wide layers gain by fewer products;
    wide: their rates without and with them, None where that was not tried. memory_mb: memory
    of the device, in 2^20 bytes.
    """

    device: str
    name: str
    threads: int
    precision: str
    channels_last: bool
    gflops: float
    tried: dict[str, float]
    memory_mb: int
    winograd: bool = False
    wide: tuple[float, float] | None = None

    @property
    def why(self) -> str:
        """One sentence with the figures behind the choice."""
        rates = ", ".join(f"{k} {v:.0f}" for k, v in self.tried.items())
        return f"measured GFLOP/s of a 3x3 convolution, forward and backward: {rates}"

    @property
    def why_winograd(self) -> str:
        """One sentence on fewer products, with its figures."""
        if self.wide is None:
            return "tried for fp32 on a CPU alone"
        plain, fewer = self.wide
        return (
            f"{WIDE} channels on {SMALL} x {SMALL} cells: {plain:.0f} GFLOP/s the plain way, "
            f"{fewer:.0f} by Winograd's; from {GAIN:g} times on it is taken"
        )


def measure(device: str = "auto", threads: int | None = None) -> Machine:
    """The machine's convolution rates; the fastest precision and layout is chosen.

    bf16 must win by a tenth to be taken (its rounding is not free). On a CPU without bf16
    instructions it loses by an order of magnitude, so it is tried on a small batch first.
    """
    return _measured(pick_device(device), threads)


@functools.lru_cache(maxsize=4)
def _measured(device: str, threads: int | None) -> Machine:
    batch = 512 if device.startswith("cuda") else 32
    threads, last = _threads(device, batch) if threads is None else (threads, None)
    torch.set_num_threads(threads)
    tried = {
        "fp32": _rate(device, batch, False, False),
        "fp32 channels-last": last or _rate(device, batch, False, True),
    }
    if _rate(device, max(batch // 8, 1), True, True, repeats=1) > 0.5 * tried["fp32"]:
        tried["bf16 channels-last"] = _rate(device, batch, True, True)
    bf16 = tried.get("bf16 channels-last", 0.0)
    fp32 = max(tried["fp32"], tried["fp32 channels-last"])
    halves = bf16 > 1.1 * fp32
    # Pooling, norms and activations gain from channels-last too, so a tie goes to it.
    last_wins = halves or tried["fp32 channels-last"] > 0.9 * tried["fp32"]
    wide = None if halves or device.startswith("cuda") else _wide(device, 64)
    return Machine(
        device=device,
        name=_name(device),
        threads=threads,
        precision="bf16" if halves else "fp32",
        channels_last=last_wins,
        gflops=bf16 if halves else (tried["fp32 channels-last"] if last_wins else tried["fp32"]),
        tried={k: round(v, 1) for k, v in tried.items()},
        memory_mb=_memory(device),
        winograd=wide is not None and wide[1] > GAIN * wide[0],
        wide=wide,
    )


def _wide(device: str, batch: int) -> tuple[float, float]:
    """Rates of a wide layer, the plain way and by fewer products."""
    rates = [
        _rate(device, batch, False, True, channels=WIDE, edge=SMALL, fewer=fewer)
        for fewer in (False, True)
    ]
    return rates[0], rates[1]


def _threads(device: str, batch: int) -> tuple[int, float | None]:
    """All cores, unless one thread is faster or others are at work too.

    With the rate of fp32 in channels-last memory, where that was measured on the way. Threads meet
    after every small piece of work, so one that another process keeps from its core holds up all:
    on two cores with two other processes, steps of a small network took between 0.16 and 3 s on two
    threads and 0.02 s on one.
    """
    most = cores()
    if most == 1 or device.startswith("cuda"):
        return most, None
    rates, shares = {}, {}
    for threads in (1, most):
        torch.set_num_threads(threads)
        rates[threads], got = cores_got(lambda: _rate(device, batch, False, True))
        shares[threads] = got / threads
    alone = min(shares.values()) > CROWDED
    best = most if alone and rates[most] > rates[1] else 1
    return best, rates[best]


def cores_got(work: Callable[[], T]) -> tuple[T, float]:
    """What ``work`` gives, and how many cores this process had meanwhile."""
    began, used = time.perf_counter(), time.process_time()
    found = work()
    return found, (time.process_time() - used) / (time.perf_counter() - began)


def pick_device(device: str = "auto") -> str:
    """ "cuda" when a GPU is there and none was named, else "cpu"."""
    if device != "auto":
        return device
    return "cuda" if torch.cuda.is_available() else "cpu"


def cores() -> int:
    """Processor cores this process may use."""
    try:
        return max(1, len(os.sched_getaffinity(0)))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1


def median_seconds(work: Callable[[], object], repeats: int, device: str = "cpu") -> float:
    """Median wall time of ``work`` after one warm-up call; of fewer repeats where they are slow."""
    took: list[float] = []
    began = time.perf_counter()
    for turn in range(repeats + 1):
        start = time.perf_counter()
        if took and start - began > PATIENCE:
            break
        work()
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        if turn:
            took.append(time.perf_counter() - start)
    return statistics.median(took)


def _rate(
    device: str,
    batch: int,
    halves: bool,
    last: bool,
    repeats: int = 3,
    *,
    channels: int = CHANNELS,
    edge: int = EDGE,
    fewer: bool = False,
) -> float:
    layer = Convolution(2, channels, channels, KERNEL, bias=False).to(device)
    x = torch.randn(batch, channels, edge, edge, device=device)
    if last:
        kernels_channels_last(layer)
        x = channels_last(x)
    if fewer:
        tiled(layer)
    x.requires_grad_()
    kind = torch.device(device).type

    def work() -> None:
        with torch.autocast(kind, torch.bfloat16, enabled=halves):
            y: Tensor = layer(x)
        y.float().mean().backward()  # type: ignore[no-untyped-call]

    work_done = 3 * 2 * batch * channels * channels * KERNEL * KERNEL * edge * edge
    return work_done / median_seconds(work, repeats, device) / 1e9


def _name(device: str) -> str:
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _memory(device: str) -> int:
    if device.startswith("cuda"):
        return int(torch.cuda.get_device_properties(device).total_memory // 2**20)
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    except (AttributeError, ValueError, OSError):
        return 4096
