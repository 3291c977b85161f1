"""Which values of label files are which classes: the table, told from files and names."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError
from ...readers import unreadable
from ...readers._codes import said
from ...target import VOID

MOST_CLASSES = 254
_UNKNOWN = 254
_NO_CLASS = ("void", "ignore", "ignored", "unlabeled", "unlabelled", "unknown", "don't care")
_CAMVID = (
    *("Sky", "Building", "Pole", "Road", "Pavement", "Tree", "SignSymbol", "Fence", "Car"),
    *("Pedestrian", "Bicyclist"),
)
_CAMVID_VOID = 11
_LISTS = ("classes.txt", "labels.txt", "codes.txt", "class_names.txt")
_MOST_TEXT = 2**20


@dataclass(frozen=True, slots=True)
class Codebook:
    """values: of class i the value ``values[i]``; names: of the classes. void: values of cells
    without a known class. why: how that was told, with the table in words."""

    values: tuple[int, ...]
    names: tuple[str, ...]
    void: tuple[int, ...]
    why: str

    def mask(self, found: NDArray[np.int64], key: str) -> NDArray[np.uint8]:
        """Values ``(*S)`` as positions of classes, `VOID` where there is none.

        Raises: DataError naming a value that is in no table.
        """
        known = np.array((*self.values, *self.void), np.int64)
        place = np.array((*range(len(self.values)), *[VOID] * len(self.void)), np.uint8)
        order = np.argsort(known)
        known, place = known[order], place[order]
        low, high = int(found.min(initial=0)), int(found.max(initial=0))
        if low >= 0 and high < 2**16:  # a look-up is ten times as fast as a search
            table = np.full(2**16, _UNKNOWN, np.uint8)
            small = (known >= 0) & (known < 2**16)
            table[known[small]] = place[small]
            mask = table[found]
        else:
            at = np.minimum(np.searchsorted(known, found), len(known) - 1)
            mask = np.where(known[at] == found, place[at], _UNKNOWN).astype(np.uint8)
        strange = mask == _UNKNOWN
        if strange.any():
            value = said(int(found[strange][0]))
            raise unreadable(
                f"its mask holds the value {value}, which is no class: they are {self.table()}", key
            )
        return mask

    def table(self) -> str:
        """Values and names, as "0 sky, 1 road, void 11"."""
        pairs = [f"{said(v)} {n}" for v, n in zip(self.values, self.names, strict=True)]
        shown = pairs[:24] + [f"and {len(pairs) - 24} more"] * (len(pairs) > 24)
        return ", ".join(shown + [f"void {said(v)}" for v in self.void])


def told(
    met: NDArray[np.int64], named: Mapping[int, str], camvid: bool, where: str, source: str
) -> Codebook:
    """The table for files that hold the values ``met`` (ascending).

    named: names by value, where a file of the set tells them; source: that file. camvid: the
    folders are called as in SegNet's copy of CamVid, which says 11 where nothing is known.
    Raises: DataError where there are too many values for classes.
    """
    values = [int(v) for v in met]
    void: list[int] = []
    how = "each value is a class"
    if named:
        void = [v for v, n in named.items() if n.lower() in _NO_CLASS]
        values = sorted({*values, *named} - set(void))
        how = f"named in {source}"
    elif camvid and values[-1] == _CAMVID_VOID and set(values) <= set(range(_CAMVID_VOID + 1)):
        values, void = list(range(len(_CAMVID))), [_CAMVID_VOID]
        named = dict(enumerate(_CAMVID))
        how = "folders and values are those of CamVid, where 11 is no class"
    elif len(values) > 2 and values[-1] == VOID and values[-2] < VOID - 1:
        values, void = values[:-1], [VOID]
        how = "each value is a class, but 255, which commonly marks what is not known"
    if len(values) > MOST_CLASSES:
        raise DataError(
            f"the masks hold {len(values)} values, which are too many for classes",
            where=where,
            mend=f"give label files with at most {MOST_CLASSES} whole numbers; pictures or JPEGs "
            "cannot be masks",
        )
    names = [named.get(v) or said(v) for v in values]
    if len(values) == 2 and not named:
        names = ["background", "foreground"]
    elif values and values[0] == 0 and not named and "0" in names and len(values) < 5 and not void:
        names[0] = "background"
    book = Codebook(tuple(values), tuple(names), tuple(void), how)
    return Codebook(book.values, book.names, book.void, f"{book.table()}: {how}")


def names_in(name: str, content: bytes) -> dict[int, str]:
    """Names by value in a ``dataset.json`` ("labels" either way round) or a list of lines.

    Empty where the file tells none.
    """
    if len(content) > _MOST_TEXT:
        return {}
    text = content.decode("utf-8", "replace")
    if name.rpartition("/")[2].lower() in _LISTS:
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return dict(enumerate(lines)) if 2 <= len(lines) <= MOST_CLASSES else {}
    try:
        labels = json.loads(text).get("labels")
        pairs = labels.items() if isinstance(labels, dict) else []
        if all(str(key).isdecimal() for key, _ in pairs):
            return {int(key): str(value) for key, value in pairs}
        return {int(value): str(key) for key, value in pairs}
    except (ValueError, TypeError, AttributeError, RecursionError):
        return {}


def tells_names(name: str) -> bool:
    """Whether a file may hold the names of classes."""
    low = name.rpartition("/")[2].lower()
    return low == "dataset.json" or low in _LISTS


def distinct(masks: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """All values that occur, ascending."""
    return np.unique(np.concatenate([_values(mask) for mask in masks]))


def _values(mask: NDArray[np.int64]) -> NDArray[np.int64]:
    flat = mask.reshape(-1)
    if len(flat) and flat.min() >= 0 and flat.max() < 2**16:  # counting is far faster than sorting
        return np.flatnonzero(np.bincount(flat)).astype(np.int64)
    return np.unique(flat)
