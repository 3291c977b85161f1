"""What is wrong with boxes, and what is done about it: one set of rules for every format.

In order, for every sample:
* a file that states another size than its picture has: where only width and height are swapped,
  the boxes are turned along if the picture wears an EXIF turn (they were drawn before it was
  turned); else they stay if they fit the picture as it is, and are left out if they do not. Where
  the stated size has the picture's proportions, boxes are scaled with it. Any other is only told.
* corners the wrong way round are exchanged;
* what lies outside the picture is cut off;
* a box that then has no extent is left out; so is one that is no number.
Where boxes stick out, and none would with x and y exchanged, that is told of most such samples.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from . import Noted

Boxes = NDArray[np.float64]
ALIKE = 0.02  # proportions that differ by less are one: sizes are rounded
OUTSIDE = 0.5  # cells that a box may stick out: rounding, not a fault

# Faults by name, as `look` tells them: what was found, and what is done.
FAULTS = {
    "swapped": "width and height swapped in the annotation, boxes kept as they fit the picture",
    "misfit": "width and height swapped and boxes that do not fit the picture: they are left out",
    "turned": "been turned by its EXIF mark after its boxes were drawn: they are turned along",
    "scaled": "another size in the annotation, of the same proportions: its boxes are scaled",
    "other": "another size in the annotation, of other proportions: boxes are taken as they stand",
    "order": "boxes with corners in the wrong order: they are exchanged",
    "outside": "boxes that stick out of the frame: they are cut off",
    "gone": "boxes that lie outside the frame: they are left out",
    "flat": "boxes without area: they are left out",
    "crossed": "boxes that stick out of the frame, and would not with x and y exchanged, so these "
    "may be in the wrong order: they are taken as they stand",
    "number": "boxes that are no numbers: they are left out",
    "broken": "things in its annotation that are no boxes: they are left out",
    "named": "an annotation that names another picture: files may be shifted",
    "copy": "the same box twice: the second is left out",
}


@dataclass(frozen=True, slots=True, eq=False)
class Settled:
    """Boxes that can be used ``(n, 2 R)``, which of the noted ones they are ``(n,)``, and how
    often each of `FAULTS` was met."""

    boxes: Boxes
    kept: NDArray[np.int64]
    faults: dict[str, int]


def settled(noted: Noted, size: tuple[int, ...] | None, turn: int = 1) -> Settled:
    """The boxes of a sample of ``size`` cells, by the rules above.

    size: None where it is not known: then nothing is cut. turn: the picture's EXIF orientation,
    1 to 8, already applied to ``size``.
    """
    faults: dict[str, int] = {}
    boxes, rank = noted.boxes, noted.boxes.shape[1] // 2
    if noted.broken:
        faults["broken"] = len(noted.broken)
    kept = np.flatnonzero(np.isfinite(boxes).all(axis=1))
    _note(faults, "number", len(boxes) - len(kept))
    boxes = boxes[kept]
    if size is not None and noted.size is not None and noted.size != size and min(noted.size) > 0:
        fault, boxes = _resized(boxes, noted.size, size, turn)
        faults[fault] = 1
        kept = kept[: len(boxes)]
    low, high = boxes[:, :rank], boxes[:, rank:]
    _note(faults, "order", int((low > high).any(axis=1).sum()))
    boxes = np.concatenate([np.minimum(low, high), np.maximum(low, high)], axis=1)
    flat = (boxes[:, rank:] <= boxes[:, :rank]).any(axis=1)
    _note(faults, "flat", int(flat.sum()))
    boxes, kept = boxes[~flat], kept[~flat]
    if size is not None:
        boxes, kept = _inside(boxes, kept, size, faults)
    first = _first(noted, boxes, kept)
    _note(faults, "copy", len(boxes) - len(first))
    return Settled(boxes[first], kept[first], faults)


def _resized(
    boxes: Boxes, stated: tuple[int, ...], size: tuple[int, ...], turn: int
) -> tuple[str, Boxes]:
    """The fault of a stated size that differs, and the boxes on the sample as it is."""
    if stated == size[::-1] and len(set(size)) > 1:
        if turn > 4:
            return "turned", turned(boxes, stated, turn)
        fits = bool((boxes <= np.array(size * 2) + OUTSIDE).all())
        return ("swapped", boxes) if fits else ("misfit", boxes[:0])
    scale = np.array(size) / np.array(stated)
    if scale.max() <= (1 + ALIKE) * scale.min():
        return "scaled", boxes * np.tile(scale, 2)
    return "other", boxes


def turned(boxes: Boxes, size: tuple[int, ...], turn: int) -> Boxes:
    """Boxes ``(n, 4)`` of a picture of ``size`` (height, width) after its EXIF orientation."""
    y0, x0, y1, x1 = boxes.T
    height, width = size
    if turn in (2, 3, 7, 8):  # mirrored from left to right, before rows and columns change place
        x0, x1 = width - x1, width - x0
    if turn in (3, 4, 6, 7):
        y0, y1 = height - y1, height - y0
    if turn > 4:
        y0, x0, y1, x1 = x0, y0, x1, y1
    return np.stack([y0, x0, y1, x1], axis=1)


def _inside(
    boxes: Boxes, kept: NDArray[np.int64], size: tuple[int, ...], faults: dict[str, int]
) -> tuple[Boxes, NDArray[np.int64]]:
    rank, limit = len(size), np.array(size, np.float64)
    cut = np.clip(boxes, 0, np.tile(limit, 2))
    beyond = (boxes > np.tile(limit, 2) + OUTSIDE).any(axis=1)
    if beyond.any() and bool((boxes <= np.tile(limit[::-1], 2) + OUTSIDE).all()):
        _note(faults, "crossed", int(beyond.sum()))
    out = (np.abs(cut - boxes) > OUTSIDE).any(axis=1)
    gone = (cut[:, rank:] <= cut[:, :rank]).any(axis=1)
    _note(faults, "outside", int((out & ~gone).sum()))
    _note(faults, "gone", int(gone.sum()))
    return cut[~gone], kept[~gone]


def _first(noted: Noted, boxes: Boxes, kept: NDArray[np.int64]) -> NDArray[np.int64]:
    """Positions of boxes that no earlier one of the same class equals."""
    seen: set[tuple[object, ...]] = set()
    first = []
    for i, (box, place) in enumerate(zip(boxes.tolist(), kept.tolist(), strict=True)):
        one = (noted.names[place], *box)
        if one not in seen:
            first.append(i)
        seen.add(one)
    return np.array(first, np.int64)


def _note(faults: dict[str, int], fault: str, count: int) -> None:
    if count:
        faults[fault] = count
