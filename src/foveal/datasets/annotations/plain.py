"""Boxes in any number of axes, as plain JSON for each sample or as one table for all.

JSON is what `foveal predict --out FOLDER` writes: ``{"size": [...], "boxes": [{"label", "low",
"high"}, ...]}``, corners in cells of the sample, in the order of its axes as `look` tells them.

A table is csv with the columns file, label and, of each axis, ``low_NAME`` and ``high_NAME`` in
cells (low_time, or low_z to high_x); of signals also start and end, in seconds.
"""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import numpy as np

from ...errors import DataError
from ...readers import unreadable
from . import Noted, parsed, table

MOST_BYTES = 256 * 2**20
MOST_BOXES = 200_000  # of one sample
_ORDERS = (("z", "y", "x"), ("y", "x"), ("time",), ("x",))
_DEEPEST = 8


def read(content: bytes, key: str) -> Noted:
    """The boxes of one JSON file. Raises: DataError naming ``key`` for what is no such file."""
    values = parsed(content, key, MOST_BYTES)
    boxes = values.get("boxes") if isinstance(values, dict) else None
    if not isinstance(boxes, list) or len(boxes) > MOST_BOXES:
        raise unreadable('no list of "boxes" in it', key)
    size = _size(values.get("size"))
    found = [_corners(box) for box in boxes]
    rank = len(size) if size else next((len(row) // 2 for row in found if row), 1)
    good = [row if row is not None and len(row) == 2 * rank else None for row in found]
    names = tuple(str(box["label"]) for box, row in zip(boxes, good, strict=True) if row)
    broken = tuple(f"box {i}" for i, row in enumerate(good) if row is None)
    return Noted(names, table([row for row in good if row], rank), size, broken=broken)


def _corners(box: Any) -> list[float] | None:
    """Low and high corner; None for what is no box."""
    if not isinstance(box, dict) or not isinstance(box.get("label"), str | int):
        return None
    low, high = box.get("low"), box.get("high")
    if not isinstance(low, list) or not isinstance(high, list):
        return None
    if len(low) != len(high) or not 0 < len(low) <= _DEEPEST:
        return None
    right = all(type(v) is int or type(v) is float for v in (*low, *high))
    return [float(v) for v in (*low, *high)] if right else None


def _size(size: Any) -> tuple[int, ...] | None:
    right = isinstance(size, list) and 0 < len(size) <= _DEEPEST
    return tuple(size) if right and all(type(n) is int and 0 < n < 2**31 for n in size) else None


def is_table(head: bytes) -> bool:
    """Whether a file that begins so is a table of boxes."""
    line = head.decode("utf-8-sig", "replace").partition("\n")[0]
    names = {name.strip() for name in line.split(",")}
    return {"file", "label"} <= names and _axes(names) is not None


def read_table(content: bytes, key: str) -> tuple[dict[str, Noted], bool]:
    """The boxes of every file that a table names, and whether corners are in the unit of the axes.

    Raises: DataError naming ``key`` for what is no such table.
    """
    if len(content) > MOST_BYTES:
        raise unreadable(f"{len(content):,} bytes are more than a table of boxes may have", key)
    try:
        rows = csv.DictReader(io.StringIO(content.decode("utf-8-sig")), skipinitialspace=True)
        axes = _axes(set(rows.fieldnames or ()))
        if axes is None or not {"file", "label"} <= set(rows.fieldnames or ()):
            raise DataError(
                "no columns file, label, and low_NAME and high_NAME of each axis (or start, end)",
                where=key,
                mend="name them so in the first line",
            )
        return _table(rows, axes), axes == _SECONDS
    except (UnicodeDecodeError, csv.Error) as error:
        raise unreadable(f"no table that can be read ({str(error)[:60]})", key) from error


_SECONDS = ("start", "end")


def _axes(names: set[str]) -> tuple[str, ...] | None:
    """The columns of low, then of high corners, in the order of a sample's axes; None for none."""
    told = {name[4:] for name in names if name.startswith("low_")}
    for order in _ORDERS:
        if told == set(order) and all(f"high_{axis}" in names for axis in order):
            return (*(f"low_{axis}" for axis in order), *(f"high_{axis}" for axis in order))
    return _SECONDS if not told and set(_SECONDS) <= names else None


def _table(rows: csv.DictReader[str], axes: tuple[str, ...]) -> dict[str, Noted]:
    found: dict[str, tuple[list[str], list[list[float]], list[str]]] = {}
    for row in rows:
        name = (row.get("file") or "").strip().replace("\\", "/")
        names, boxes, broken = found.setdefault(name, ([], [], []))
        label = (row.get("label") or "").strip()
        try:
            corners = [float(row[axis] or "") for axis in axes]
        except (ValueError, TypeError):
            corners = []
        if corners and label and len(boxes) < MOST_BOXES:
            names.append(label)
            boxes.append(corners)
        elif label or any((row.get(axis) or "").strip() for axis in axes):  # else: a file without
            broken.append(f"line {rows.line_num}")
    rank = len(axes) // 2
    return {
        name: Noted(tuple(names), table(boxes, rank), broken=tuple(broken))
        for name, (names, boxes, broken) in found.items()
    }


def write(noted: Noted) -> bytes:
    """The JSON file of a sample."""
    pairs = zip(noted.names, np.asarray(noted.boxes).tolist(), strict=True)
    rank = noted.boxes.shape[1] // 2
    boxes = [{"label": n, "low": row[:rank], "high": row[rank:]} for n, row in pairs]
    size = {} if noted.size is None else {"size": list(noted.size)}
    return json.dumps({**size, "boxes": boxes}, indent=1).encode()
