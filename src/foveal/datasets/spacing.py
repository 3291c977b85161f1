"""Samples whose cells have a length: one step for all, and a box that holds them. Pure rules.

Two scans of one organ at different steps must come out at one scale, or its size is lost. So each
is brought to the same step along each axis, then laid into a box of the same size: what does not
reach its border is filled with the sample's own mean, what sticks out is cut at both ends.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..grid import Axis
from .size import ABOVE, most_cells

Floats = NDArray[np.float64]
Scale = Literal["set", "sample"]

COARSE = 3.0  # an axis this much coarser than the others is looked at on its own
WHOLE = 0.95  # share of the samples that the box holds whole, along each axis
LARGEST = 1.5  # times the median extent: one long scan must not make the box of all
FINER = 2.0  # axes this much finer than the coarsest give way first
AIR = -200.0  # Hounsfield units; magnitudes, such as those of MR, are never negative
_GROWTH = 1.01


def measured(axes: tuple[Axis, ...]) -> bool:
    """Whether the cells along every axis have a length in millimetres."""
    return all(axis.unit == "mm" for axis in axes)


def common_step(steps: Floats, sizes: NDArray[np.integer]) -> tuple[tuple[float, ...], str]:
    """The step that all samples are brought to along each axis, and why.

    The median; but where one axis is over three times as coarse as the others and has over three
    times fewer cells, its tenth percentile, and not less than the coarsest of the others: the
    median would blur the finer half of the scans along the axis that is worst resolved.

    Args:
        steps: ``(N, rank)`` millimetres; sizes: ``(N, rank)`` cells.

    Source: Isensee et al. 2021, doi:10.1038/s41592-020-01008-z (nnU-Net's target spacing).
    """
    step, cells = np.median(steps, axis=0), np.median(sizes, axis=0)
    worst = int(np.argmax(step))
    others = np.delete(step, worst)
    told = "the median step of the scans"
    if (
        len(others)
        and step[worst] > COARSE * others.max()
        and COARSE * cells[worst] < np.delete(cells, worst).min()
    ):
        tenth = float(np.percentile(steps[:, worst], 10))
        step[worst] = max(tenth, float(others.max()) + 1e-5)
        told += "; along the coarse axis their tenth percentile"
    return tuple(float(f"{s:.6g}") for s in step), told


def working_box(
    sizes: NDArray[np.integer], steps: Floats
) -> tuple[tuple[int, ...], tuple[float, ...], str]:
    """Cells of the box, the step between them, and why.

    The box holds 19 of 20 samples whole, and is at most 1.5 times the median along an axis. Where
    that takes over 1.56 times the cap (`size.most_cells`), the step grows until the cells are as
    many as the cap, along axes over twice as fine as the coarsest first.

    Args:
        sizes: ``(N, rank)`` cells; steps: ``(N, rank)`` millimetres, N at least 1.
    """
    step, told = common_step(steps, sizes)
    extents = sizes * steps
    box = np.minimum(np.quantile(extents, WHOLE, axis=0), LARGEST * np.median(extents, axis=0))
    cells = _cells(box, step)
    cap = most_cells(len(step))
    words = " x ".join(f"{s:g}" for s in step)
    if math.prod(cells) > ABOVE * cap:
        fine = np.array(step)
        while math.prod(_cells(box, tuple(fine))) > cap:
            first = fine * FINER < fine.max()
            fine[first if first.any() else slice(None)] *= _GROWTH
        step = tuple(float(f"{s:.6g}") for s in fine)
        cells = _cells(box, step)
        told += f" is {words} mm; a box of that needs more cells than a net of this kind: coarsened"
    extent = " x ".join(f"{n * s:.0f}" for n, s in zip(cells, step, strict=True))
    shown = " x ".join(f"{s:.3g}" for s in step)
    many = " x ".join(map(str, cells))
    return (
        cells,
        step,
        (f"{many} cells of {shown} mm: {extent} mm hold 19 of 20 scans whole ({told})"),
    )


def _cells(box: Floats, step: tuple[float, ...]) -> tuple[int, ...]:
    return tuple(max(1, math.ceil(b / s - 1e-6)) for b, s in zip(box, step, strict=True))


def lowest(x: NDArray[Any]) -> float:
    """The least value of ``x`` without the lowest two hundredth, from at most 100,000 cells."""
    flat = x.reshape(-1)
    return float(np.quantile(flat[:: max(1, len(flat) // 100_000)], 0.005))


def working_scale(modes: set[str], low: float) -> tuple[Scale, str]:
    """Whether values mean the same in every sample ("set") or not ("sample"), and why.

    Args:
        modes: what the files tell of how they were made ("CT", "MR", ...).
        low: the least value met, without the lowest two hundredth, where nothing is told.
    """
    if modes == {"CT"}:
        return "set", "CT: Hounsfield units mean the same in every scan"
    if modes <= {"NIfTI", "CT"} and low < AIR:
        return "set", f"values reach down to {low:.0f}, as air does in Hounsfield units"
    told = " and ".join(sorted(modes))
    return (
        "sample",
        f"{told}: values have no unit, so each scan is brought to its own mean and spread",
    )
