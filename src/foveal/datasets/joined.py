"""Two listings as one: a training set and the test set that the user named beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ..card import PARTS, Skipped
from ..grid import Sample
from ..target import Target
from .listing import Listing, check_classes, parts_present, stamp_of
from .names import Names, natural
from .targets import brought, matched, renaming
from .truths import truth_of

if TYPE_CHECKING:
    from numpy.typing import NDArray


def joined(first: Listing, test: Listing, *, apart: bool = False) -> Listing:
    """``first`` with ``test`` as its test part; its own test part, if any, is set aside.

    Of ``test`` its own test part is taken when it has one, else all of it. Classes are matched
    by name. Raises: DataError when ``test`` holds a class that ``first`` does not train, unless
    parts may lie ``apart``.
    """
    also: dict[Target, Callable[[], Listing]] = {
        kind: partial(_joined_as, kind, first, test, apart)
        for kind in first.also
        if kind in test.also or kind == test.target
    }
    test = brought(test, first.target)
    kept = np.flatnonzero(first.parts != PARTS.index("test"))
    mine = np.flatnonzero(test.parts == PARTS.index("test"))
    if not len(mine):
        mine = np.arange(len(test))
    classes = tuple(sorted({*first.classes, *test.classes}, key=natural))
    sides = ((first, kept), (test, mine))
    labels = np.concatenate([_renamed(side, classes)[rows] for side, rows in sides])
    values = None
    on_grid = truth_of(first.target) is not None
    if first.target != "label" and not on_grid:
        values = np.concatenate([matched(s, classes, first.outputs)[rows] for s, rows in sides])
    parts = np.concatenate([first.parts[kept], np.full(len(mine), 2, np.int8)])
    aside = len(first) - len(kept)
    note = (Skipped("the set's own test part", f"{aside} items: another test set was given"),)
    found = Listing(
        path=first.path,
        name=first.name,
        layout=first.layout,
        keys=Names(
            [first.keys[int(i)] for i in kept] + [f"{test.path}: {test.keys[int(i)]}" for i in mine]
        ),
        labels=labels,
        parts=parts,
        has_parts=parts_present(parts),
        classes=classes,
        read=_reader(_reads(first, classes), kept, _reads(test, classes), mine),
        stamp=stamp_of(first.stamp, test.stamp, "joined"),
        left_out=first.left_out + test.left_out + (note if aside else ()),
        target=first.target,
        values=values,
        outputs=first.outputs,
        groups=_groups(first, kept, test, mine),
        group_why=first.group_why or test.group_why,
        target_why=first.target_why,
        columns=first.columns,
        also=also,
    )
    return found if apart else check_classes(found)


def _joined_as(kind: Target, first: Listing, test: Listing, apart: bool) -> Listing:
    return joined(brought(first, kind), brought(test, kind), apart=apart)


def _groups(
    first: Listing, kept: NDArray[np.intp], test: Listing, mine: NDArray[np.intp]
) -> NDArray[np.int64] | None:
    """Groups of both; those of one set are none of the other's."""
    if first.groups is None and test.groups is None:
        return None
    one = np.full(len(first), -1, np.int64) if first.groups is None else first.groups
    two = np.full(len(test), -1, np.int64) if test.groups is None else test.groups
    above = int(one.max(initial=-1)) + 1
    return np.concatenate([one[kept], np.where(two < 0, -1, two + above)[mine]])


def _renamed(listing: Listing, classes: tuple[str, ...]) -> NDArray[np.int32]:
    """The labels of ``listing`` as positions in ``classes``; as they are where values count."""
    if listing.target != "label":
        return listing.labels
    place = np.array([*(classes.index(name) for name in listing.classes), -1], np.int32)
    return place[listing.labels]


def _reads(listing: Listing, classes: tuple[str, ...]) -> Callable[[int], Sample]:
    """How the listing reads, with targets on the grid as positions in ``classes``."""
    truth = truth_of(listing.target)
    if truth is None or listing.classes == classes:
        return listing.read
    table, renamed, read = renaming(listing, classes), truth.renamed, listing.read

    def matching(position: int) -> Sample:
        item = read(position)
        return item if item.y is None else replace(item, y=renamed(item.y, table))

    return matching


def _reader(
    first: Callable[[int], Sample],
    kept: NDArray[np.intp],
    test: Callable[[int], Sample],
    mine: NDArray[np.intp],
) -> Callable[[int], Sample]:
    def read(position: int) -> Sample:
        if position < len(kept):
            return first(int(kept[position]))
        return test(int(mine[position - len(kept)]))

    return read
