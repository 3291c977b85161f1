"""COCO: one JSON file for many pictures, with lists of images, annotations and categories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from ...errors import DataError
from . import Noted, crossed, parsed, table
from .outlines import Outline, outline

MOST_BYTES = 2**30  # the instances of COCO's own training part have 450 MB


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """What one file says: the boxes of each picture by its file name (or the shapes), and the
    classes in the order of their numbers. strays: annotations that belong to no picture in it.
    drawn: annotations that have a shape, polygons or runs of cells."""

    pictures: dict[str, Noted]
    classes: tuple[str, ...]
    strays: int
    drawn: int = 0


def is_document(values: Any) -> bool:
    """Whether parsed JSON is such a file."""
    lists = ("images", "annotations", "categories")
    return isinstance(values, dict) and all(isinstance(values.get(k), list) for k in lists)


def read(content: bytes, key: str, *, outlines: bool = False) -> Document:
    """The whole file; with ``outlines`` the shapes in place of the boxes.

    Raises: DataError naming ``key`` for what is no such file.
    """
    values = parsed(content, key, MOST_BYTES)
    if not is_document(values):
        raise DataError(
            "lists of images, annotations and categories are not all there",
            where=key,
            mend="give a COCO file of detections",
        )
    return _document(values, key, outlines)


def _document(values: Mapping[str, Any], key: str, outlines: bool) -> Document:
    images = {i["id"]: i for i in values["images"] if _whole(i, "id") and _name(i)}
    kinds = {c["id"]: str(c["name"]) for c in values["categories"] if _whole(c, "id", "name")}
    found: dict[Any, _Things] = {number: _Things() for number in images}
    strays = drawn = 0
    for one in values["annotations"]:
        number = one.get("image_id") if isinstance(one, dict) else None
        if not isinstance(number, int | str) or number not in found:
            strays += 1
            continue
        drawn += bool(one.get("segmentation"))
        kind = kinds.get(_key(one.get("category_id")))
        found[number].add(one, kind, outlines)
    if not images:
        raise DataError("no image in it has a name", where=key, mend="give images a file_name")
    pictures = {_name(i): found[number].noted(_size(i)) for number, i in images.items()}
    return Document(pictures, tuple(kinds[n] for n in sorted(kinds, key=str)), strays, drawn)


class _Things:
    """What is said of one picture, as it is read."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.boxes: list[list[float]] = []
        self.outlines: list[Outline] = []
        self.broken: list[str] = []

    def add(self, one: Mapping[str, Any], kind: str | None, outlines: bool) -> None:
        """Note the box of an annotation, or its shape."""
        box = _corners(one.get("bbox"))
        shape = outline(kind or "", one.get("segmentation"), box) if outlines else None
        if kind is None or (shape is None if outlines else box is None):
            self.broken.append(f"annotation {one.get('id')!r:.20}")
        elif shape is not None:
            self.outlines.append(shape)
        elif box is not None and not one.get("iscrowd"):
            self.names.append(kind)
            self.boxes.append(box)

    def noted(self, size: tuple[int, ...] | None) -> Noted:
        boxes, broken = table(self.boxes, 2), tuple(self.broken)
        return Noted(tuple(self.names), boxes, size, broken=broken, outlines=tuple(self.outlines))


def _whole(values: Any, *keys: str) -> bool:
    return isinstance(values, dict) and all(isinstance(values.get(k), int | str) for k in keys)


def _key(value: Any) -> Any:
    return value if isinstance(value, int | str) else None


def _name(image: Mapping[str, Any]) -> str:
    """The file name, kept inside the data folder; "" where it is none."""
    name = image.get("file_name")
    if not isinstance(name, str):
        return ""
    steps = PurePosixPath(name.replace("\\", "/")).parts
    return "" if ".." in steps else "/".join(step for step in steps if step not in ("/", "."))


def _size(image: Mapping[str, Any]) -> tuple[int, ...] | None:
    sides = (image.get("height"), image.get("width"))
    whole = tuple(n for n in sides if isinstance(n, int) and 0 < n < 2**31)
    return whole if len(whole) == len(sides) else None


def _corners(box: Any) -> list[float] | None:
    if not isinstance(box, list) or len(box) != 4:
        return None
    if not all(isinstance(v, int | float) and not isinstance(v, bool) for v in box):
        return None
    x, y, width, height = (float(v) for v in box)
    return crossed(x, y, x + width, y + height)


def write(
    pictures: Mapping[str, Noted],
    classes: Sequence[str],
    scores: Mapping[str, Sequence[float]] | None = None,
) -> dict[str, Any]:
    """The document of these pictures, as plain JSON; ``scores`` of each box where it was said."""
    place = {name: i for i, name in enumerate(classes, start=1)}
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, (name, noted) in enumerate(pictures.items(), start=1):
        image: dict[str, Any] = {"id": number, "file_name": name}
        if noted.size is not None:
            image |= {"height": noted.size[0], "width": noted.size[1]}
        images.append(image)
        for row, (kind, box) in enumerate(zip(noted.names, noted.boxes, strict=True)):
            one = result(number, place[kind], box.tolist())
            one |= {"id": len(annotations) + 1, "area": one["bbox"][2] * one["bbox"][3]}
            one["iscrowd"] = 0
            if scores is not None:
                one["score"] = float(scores[name][row])
            annotations.append(one)
    names = [{"id": i, "name": name} for name, i in place.items()]
    return {"images": images, "annotations": annotations, "categories": names}


def result(image: int, category: int, corners: Sequence[float]) -> dict[str, Any]:
    """One box as COCO writes it: the corner at the top left, then width and height."""
    y0, x0, y1, x1 = np.round(np.asarray(corners, np.float64), 6).tolist()
    box = [x0, y0, round(x1 - x0, 6), round(y1 - y0, 6)]
    return {"image_id": image, "category_id": category, "bbox": box}
