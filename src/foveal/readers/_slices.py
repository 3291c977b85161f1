"""Slices of one scan: their order in space, whether they make a volume, and where its cells lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from . import unreadable

if TYPE_CHECKING:
    from numpy.typing import NDArray

UNEVEN = 0.05  # share of the usual step by which a step between two slices may differ
_ALIKE = 1e-3  # of directions, whose length is 1, and of steps in millimetres


@dataclass(frozen=True, slots=True)
class Plane:
    """Where one slice lies, as DICOM tells it: millimetres left, back, up of the patient.

    place: of the middle of the first cell. along, down: directions, of length 1, in which columns
    and rows are counted. step: between columns, and between rows.
    """

    place: tuple[float, float, float]
    along: tuple[float, float, float]
    down: tuple[float, float, float]
    step: tuple[float, float]

    @property
    def normal(self) -> NDArray[np.float64]:
        return np.cross(self.along, self.down)


def stack(planes: list[Plane], key: str) -> tuple[list[int], NDArray[np.float64]]:
    """The order of the slices along their common normal, and the affine of the volume.

    The affine ``(4, 4)`` takes (column, row, position in that order, 1) to millimetres right,
    front, up. Slices are ordered by where they lie, never by their numbers or names.

    Raises: DataError when the slices look different ways, differ in step, repeat a place (several
        times or echoes in one series) or are not evenly spaced (one is missing).
    """
    first = planes[0]
    for plane in planes:
        turned = np.abs(np.subtract((plane.along, plane.down), (first.along, first.down))).max()
        if turned > _ALIKE:
            raise unreadable("its slices look different ways: no volume", key)
        if np.abs(np.subtract(plane.step, first.step)).max() > _ALIKE:
            raise unreadable(
                f"its slices differ in step: {first.step} and {plane.step} mm: no volume", key
            )
    places = np.array([plane.place for plane in planes])
    height = places @ first.normal
    order = np.argsort(height, kind="stable")
    _check_even(np.diff(height[order]), key)
    last, start = places[order[-1]], places[order[0]]
    affine = np.eye(4)
    affine[:3, 0] = np.multiply(first.along, first.step[0])
    affine[:3, 1] = np.multiply(first.down, first.step[1])
    affine[:3, 2] = (last - start) / (len(planes) - 1) if len(planes) > 1 else first.normal
    affine[:3, 3] = start
    # DICOM counts towards left and back, every affine here towards right and front.
    return order.tolist(), np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine


def _check_even(steps: NDArray[np.float64], key: str) -> None:
    if not len(steps):
        return
    usual = float(np.median(steps))
    if steps.min() < max(1e-4, 0.02 * usual):
        at = int(np.count_nonzero(steps < max(1e-4, 0.02 * usual)))
        raise unreadable(
            f"{at} of {len(steps) + 1} slices lie where another one lies: several times, echoes or "
            "copies in one series",
            key,
        )
    if np.abs(steps - usual).max() > UNEVEN * usual:
        missing = int(np.rint(steps / usual - 1).clip(0).sum())
        told = f"; about {missing} are missing" if missing else ""
        raise unreadable(
            f"its {len(steps) + 1} slices are not evenly spaced: {steps.min():.3g} to "
            f"{steps.max():.3g} mm apart{told}",
            key,
        )


def plane(place: object, directions: object, spacing: object) -> Plane | None:
    """A `Plane` from the three values of a header, each a sequence of numbers; None where one is
    missing or makes no sense.

    place: 3 numbers; directions: 6; spacing: between rows, then between columns.
    """
    values = [np.asarray(v, np.float64).reshape(-1) for v in (place, directions, spacing)]
    if [len(v) for v in values] != [3, 6, 2] or not all(np.isfinite(v).all() for v in values):
        return None
    at, (along, down), step = values[0], values[1].reshape(2, 3), values[2]
    lengths = np.linalg.norm((along, down), axis=1)
    if np.abs(lengths - 1).max() > 0.01 or abs(float(along @ down)) > 0.01 or step.min() <= 0:
        return None
    if np.abs(at).max() > 1e6 or step.max() > 1e4:
        return None
    along, down = along / lengths[0], down / lengths[1]
    return Plane(_three(at), _three(along), _three(down), (float(step[1]), float(step[0])))


def _three(values: NDArray[np.float64]) -> tuple[float, float, float]:
    return float(values[0]), float(values[1]), float(values[2])
