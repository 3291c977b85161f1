"""What the readers of scans share: one orientation, millimetres, exact scaling, a limit."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ..grid import Axis, Grid, Sample
from . import unreadable

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_CELLS = 2**27  # of one volume, channels counted: 512 x 512 x 512
NAMES = ("z", "y", "x")
_LARGEST_STEP = 1e4  # millimetres: more is a damaged header
_CHUNK = 2**20

Turn = tuple[tuple[int, int, int], tuple[bool, bool, bool]]


def volume(key: str, values: NDArray[np.generic], affine: NDArray[np.float64], mode: str) -> Sample:
    """A volume in one orientation, whatever way round the file holds it.

    Axes come out as z, y, x, which grow towards the head, the front and the right of the patient
    (the closest canonical orientation "RAS", slowest axis first): cells are moved, never
    resampled, so an oblique scan stays oblique. Steps are in millimetres.

    Args:
        values: ``(C, I, J, K)`` as the file holds them.
        affine: ``(4, 4)``, takes (i, j, k, 1) to millimetres right, front, up. It is kept in the
            sample; `restored` turns answers back.

    Raises: DataError when the affine is not finite or flat, or a step is absurd.
    """
    steps = _steps(affine, key)
    order, flips = turn(affine)
    x = _turned(values, order, flips)
    axes = tuple(Axis(name, float(steps[i]), "mm") for name, i in zip(NAMES, order, strict=True))
    return Sample(key, x, Grid(axes, x.shape[1:]), mode=mode, affine=affine)


def turn(affine: NDArray[np.float64]) -> Turn:
    """Which axis of the file becomes z, y and x, and which of these must be turned round.

    Of the six ways to pair the file's axes with the patient's, the one whose directions agree
    best (the largest sum of cosines).
    """
    matrix = affine[:3, :3]
    cosines = matrix / np.linalg.norm(matrix, axis=0)
    # rows of the matrix are right, front, up: up comes first here
    best = max(
        itertools.permutations(range(3)),
        key=lambda order: sum(abs(cosines[2 - row, i]) for row, i in enumerate(order)),
    )
    flips = [bool(cosines[2 - row, i] < 0) for row, i in enumerate(best)]
    return (best[0], best[1], best[2]), (flips[0], flips[1], flips[2])


def restored(x: NDArray[np.generic], affine: NDArray[np.float64]) -> NDArray[np.generic]:
    """``x`` ``(C, z, y, x)`` on the array of the file that ``affine`` belongs to."""
    order, flips = turn(affine)
    x = x[(slice(None), *[slice(None, None, -1 if f else 1) for f in flips])]
    back = np.argsort(order)
    return x.transpose(0, *(1 + back))


def _turned(
    values: NDArray[np.generic], order: tuple[int, ...], flips: tuple[bool, ...]
) -> NDArray[np.generic]:
    x = values.transpose(0, *(1 + i for i in order))
    return x[(slice(None), *[slice(None, None, -1 if f else 1) for f in flips])]


def _steps(affine: NDArray[np.float64], key: str) -> NDArray[np.float64]:
    """Length of one cell along each axis of the file, in millimetres."""
    matrix = affine[:3, :3]
    if not np.isfinite(affine).all() or np.abs(affine).max() > 1e9:
        raise unreadable("the place of its cells in space is not told by finite numbers", key)
    steps: NDArray[np.float64] = np.linalg.norm(matrix, axis=0)
    if steps.min() <= 1e-6 or steps.max() > _LARGEST_STEP:
        shown = " x ".join(f"{s:g}" for s in steps)
        raise unreadable(f"cells of {shown} mm make no sense", key)
    if abs(np.linalg.det(matrix / steps)) < 1e-3:
        raise unreadable("two of its axes point the same way", key)
    return steps


def scaled(
    values: NDArray[np.generic], slope: float, intercept: float, key: str
) -> NDArray[np.generic]:
    """``values * slope + intercept``: whole numbers where all results are, else float32.

    Raises: DataError when slope or intercept are not finite.
    """
    if not (math.isfinite(slope) and math.isfinite(intercept)):
        raise unreadable(f"its values are scaled by {slope:g} and {intercept:g}", key)
    if (slope == 1 and intercept == 0) or not values.size:
        return values
    kind, wide = _result(values, slope, intercept)
    flat = values.reshape(-1)
    out = np.empty(flat.shape, kind)
    with np.errstate(all="ignore"):  # what overflows is found to be infinite afterwards
        for at in range(0, len(flat), _CHUNK):  # a whole copy in 64 bits is never held
            part = flat[at : at + _CHUNK].astype(wide)
            out[at : at + _CHUNK] = part * wide(slope) + wide(intercept)
    return out.reshape(values.shape)


def _result(values: NDArray[np.generic], slope: float, intercept: float) -> tuple[Any, Any]:
    """The type that holds every result, and the one to work it out in."""
    if values.dtype.kind in "iu" and slope.is_integer() and intercept.is_integer():
        parts = [int(v) * int(slope) for v in (values.min(), values.max())]
        ends = [part + int(intercept) for part in parts]
        safe = max(map(abs, parts)) < 2**62 and abs(intercept) < 2**62
        for kind in (np.int16, np.int32):
            limits = np.iinfo(kind)
            if safe and limits.min <= min(ends) and max(ends) <= limits.max:
                return kind, np.int64
    return np.float32, np.float64


def finite(values: NDArray[np.generic], key: str) -> NDArray[np.generic]:
    """``values``, when every one is finite. Raises: DataError otherwise."""
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise unreadable("it holds values that are not finite (NaN or infinite)", key)
    return values


def within(shape: tuple[int, ...], key: str) -> None:
    """Raises: DataError for a shape without cells, or with more than one item may have."""
    if min(shape, default=0) < 1:
        raise unreadable(f"it has no cells: its shape is {shape}", key)
    if math.prod(shape) > MOST_CELLS:
        raise unreadable(
            f"{' x '.join(map(str, shape))} cells are more than the limit of {MOST_CELLS:,}", key
        )
