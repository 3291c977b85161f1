"""What file names tell: "7_jackson_3.wav" is of class 7, spoken by jackson, the third of its kind.

The rule, in order. A name without its ending is cut into fields at "_", "-", "." and spaces (or,
without those, between letters and digits); all names must have the same number of them.

* A field with one value everywhere tells nothing, nor does one most of whose values occur once.
* The last field of digits alone is a **counter** and tells nothing, unless names begin with it.
* The **class** is the first field left with 2 to 50 values, each in 4 files or more, the commonest
  at most 20 times as often as the rarest. Numbers of 5 digits and more (dates, times) are none.
* The **group** is the first of the others that is written with letters and has 3 values or more,
  most of which meet at least two classes: somebody who said or showed several things.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FEWEST_FILES = 4  # of each class
MOST_CLASSES = 50
MOST_UNEVEN = 20
_LONG = 5  # digits from which a number is a date, a time or an identity
_CUTS = re.compile(r"[_\-. ]+")
_LETTERS = re.compile(r"(?<=[A-Za-z])(?=\d)|(?<=\d)(?=[A-Za-z])")
_PLACES = ("first", "second", "third", "fourth", "fifth", "sixth")

Words = NDArray[np.str_]


@dataclass(frozen=True, slots=True)
class Told:
    """What names tell: a class and a group for each file, or None, and how each was told."""

    classes: list[str] | None = None
    groups: list[str] | None = None
    class_why: str = ""
    group_why: str = ""


def told_by_names(names: Sequence[str]) -> Told:
    """Class and group of each file by its name (folders and ending do not count)."""
    table = _table(names)
    useful = _useful(table)
    place = next((i for i in useful if _may_be_class(table[:, i])), None)
    if place is None:
        return Told()
    labels = table[:, place]
    counts = np.unique(labels, return_counts=True)[1]
    why = (
        f"the class is the {_nth(place)} field of the file names, as in {_short(names[0])}: "
        f"{len(counts)} values, {_between(counts.min(), counts.max())} files each"
    )
    group = _group(table, [i for i in useful if i != place], labels)
    return Told(labels.tolist(), group.groups, why, group.group_why)


def groups_by_names(names: Sequence[str], labels: Sequence[str]) -> Told:
    """The group of each file whose class is known already, from its folder."""
    table = _table(names)
    return _group(table, _useful(table), np.array(labels))


def _table(names: Sequence[str]) -> Words:
    """The fields of each name ``(N, F)``; F is 0 where they cannot be told."""
    stems = [name.rpartition("/")[2].rpartition(".")[0] or name for name in names]
    for cut in (_CUTS, _LETTERS):
        rows = [cut.split(stem) for stem in stems]
        if len({len(row) for row in rows}) == 1 and len(rows[0]) > 1:
            return np.array(rows)
    return np.empty((len(names), 0), np.str_)


def _useful(table: Words) -> list[int]:
    """Fields that differ, repeat, and are no counter."""
    found, numbers = [], []
    for place, column in enumerate(table.T):
        values, counts = np.unique(column, return_counts=True)
        if len(values) > 1 and _digits(values):
            numbers.append(place)
        if len(values) > 1 and (counts == 1).mean() <= 0.5:
            found.append(place)
    counter = numbers[-1] if numbers else 0
    return [place for place in found if not counter or place != counter]


def _digits(values: Words) -> bool:
    return all(value.isdecimal() for value in values.tolist())


def _may_be_class(column: Words) -> bool:
    values, counts = np.unique(column, return_counts=True)
    short = not any(v.isdecimal() and len(v) >= _LONG for v in values.tolist())
    few = 2 <= len(values) <= MOST_CLASSES and counts.min() >= FEWEST_FILES
    return bool(short and few and counts.max() <= MOST_UNEVEN * counts.min())


def _group(table: Words, places: list[int], labels: Words) -> Told:
    for place in places:
        values, member = np.unique(table[:, place], return_inverse=True)
        letters = sum(not value.isdecimal() for value in values.tolist())
        pairs = np.unique(np.stack([member.astype(str), labels]), axis=1)
        met = np.unique(pairs[0], return_counts=True)[1]  # classes of each value
        if len(values) >= 3 and letters > len(values) / 2 and (met >= 2).mean() > 0.5:
            shown = ", ".join(map(_short, values[:3].tolist()))
            why = (
                f"the {_nth(place)} field of the file names has {len(values)} values ({shown}, "
                "...) that meet several classes each: taken for who was recorded"
            )
            return Told(None, table[:, place].tolist(), "", why)
    return Told()


def _nth(place: int) -> str:
    return _PLACES[place] if place < len(_PLACES) else f"{place + 1}th"


def _between(least: int, most: int) -> str:
    return str(least) if least == most else f"{least} to {most}"


def _short(word: str) -> str:
    return repr(word.rpartition("/")[2][:40])
