"""Recordings side by side in one folder, with the class in their names: 7_jackson_3.wav."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...card import Skipped
from ...readers import read, reader_for, readers
from ..fields import Told, told_by_names
from ..listing import Listing, encode, numbered, parts_present, stamp_of
from ..names import Names, paper
from ..source import Source
from . import Layout, Place
from ._parts import part_of, with_label


def _fits(place: Place) -> bool:
    if place.source is None:
        return False
    items, _ = _items(place.source)
    return bool(items) and _told(place.source, items).classes is not None


def _items(source: Source) -> tuple[list[tuple[int, int]], list[Skipped]]:
    """Position and part of each recording, in one folder or in train/ and test/; and the rest.

    A folder around all of them tells nothing. No items where a recording lies deeper: folders
    then mean something.
    """
    sounds = {i for i, name in enumerate(source.names) if reader_for(name) is readers()["sound"]}
    wrap = _wrap([source.names[i] for i in sorted(sounds)])
    found: list[tuple[int, int]] = []
    rest: list[Skipped] = []
    for position, name in enumerate(source.names):
        *folders, last = name.removeprefix(wrap).split("/")
        if position not in sounds:
            if not paper(last):
                rest.append(Skipped(name, "no recording among recordings"))
            continue
        part = part_of(folders[-1]) if folders else 0
        if len(folders) > 1 or part is None:
            return [], []
        found.append((position, part))
    return found, rest


def _wrap(names: Sequence[str]) -> str:
    """The folders that hold everything and are no part of a split, with a slash behind."""
    wrap = ""
    while True:
        tops = {name[len(wrap) :].partition("/")[:2] for name in names}
        top, slash = next(iter(tops), ("", ""))
        if len(tops) != 1 or not slash or part_of(top) is not None:
            return wrap
        wrap += f"{top}/"


def _told(source: Source, items: Sequence[tuple[int, int]]) -> Told:
    return told_by_names([source.names[position] for position, _ in items])


def _listing(place: Place) -> Listing:
    source = place.source
    assert source is not None, "a single file has no names beside it"
    items, rest = _items(source)
    told = _told(source, items)
    assert told.classes is not None, "only names that tell a class come here"
    labels, classes = encode(told.classes, str(place.path))
    positions = [position for position, _ in items]
    parts = np.array([part for _, part in items], np.int8)
    keys = Names(source.names[position] for position in positions)
    groups = None if told.groups is None else numbered(told.groups)
    return Listing(
        path=str(place.path),
        name=place.name,
        layout="recordings with the class in their names",
        keys=keys,
        labels=labels,
        parts=parts,
        has_parts=parts_present(parts),
        classes=classes,
        read=with_label(lambda i: read(source.read(positions[i]), keys[i]), labels, classes),
        stamp=stamp_of(source.stamp, "named", labels, parts, classes),
        left_out=tuple(rest),
        groups=groups,
        group_why=told.group_why,
        doubts=(told.class_why,),
    )


LAYOUT = Layout(
    order=35,
    says="recordings in one folder with the class in their names (7_jackson_3.wav)",
    fits=_fits,
    listing=_listing,
)
