"""Class folders: one folder per class, also under train/ val/ test/, also inside a zip."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...card import PARTS, Skipped
from ...errors import DataError
from ...grid import Sample
from ...readers import read, reader_for, readers
from ..fields import groups_by_names
from ..frame_names import owners_or_clips
from ..listing import Listing, encode, numbered, parts_present, stamp_of
from ..names import Names, paper
from ..source import FolderSource, Source
from . import Layout, Place
from ._clips import moves, sources
from ._parts import has_parts, items, part_of, with_label, wrapper

if TYPE_CHECKING:
    from numpy.typing import NDArray


def _fits(place: Place) -> bool:
    return place.source is not None and any(
        "/" in name and reader_for(name) for name in place.source.names
    )


def _listing(place: Place) -> Listing:
    assert place.source is not None, "a single file has no class folders"
    names = list(place.source.names)
    readable = items(names)
    wrap, split = outer(names, readable)
    return _build(place, place.source, arranged(names, readable, wrap, split))


@dataclass(frozen=True, slots=True)
class Arranged:
    """Items by their position among the names, each with its class and its part."""

    items: list[int]
    labels: list[str]
    parts: list[int]
    left_out: list[Skipped]


def arranged(names: Sequence[str], readable: Sequence[bool], wrap: str, split: bool) -> Arranged:
    """Which of ``names`` are items: in class folders below ``wrap``, in parts where ``split``."""
    kept: list[int] = []
    labels: list[str] = []
    parts: list[int] = []
    left_out: list[Skipped] = []
    for position, name in enumerate(names):
        steps = name[len(wrap) :].split("/") if name.startswith(wrap) else [name]
        part = (part_of(steps[0]) if len(steps) > 1 else None) if split else 0
        inside = steps[1:] if split and part is not None else steps
        reason = _reason(inside, part, readable[position])
        if reason is None and part is not None:
            kept.append(position)
            labels.append(inside[0])
            parts.append(part)
        elif reason:
            left_out.append(Skipped(name, reason))
    return Arranged(kept, labels, parts, left_out)


def _reason(inside: list[str], part: int | None, readable: bool) -> str | None:
    """Why a file is no item; "" for one that is not worth a word; None for an item."""
    if len(inside) < 2 and (paper(inside[0]) or not readable):
        return ""
    if part is None:
        return "lies beside the folders of the parts, not inside one"
    if len(inside) < 2:
        return "lies beside the class folders, not inside one"
    if not readable:
        return "" if paper(inside[-1]) else "no reader knows this kind of file"
    return None


def outer(names: Sequence[str], readable: Sequence[bool]) -> tuple[str, bool]:
    """The folders that only wrap the set, and whether those below them are parts of a split."""
    good = [name for name, reads in zip(names, readable, strict=True) if reads]
    wrap = wrapper(good)
    return wrap, has_parts([name[len(wrap) :] for name in good])


def _build(
    place: Place,
    source: Source,
    found: Arranged,
) -> Listing:
    labels, classes = encode(found.labels, str(place.path))
    if len(classes) < 2:
        raise DataError(
            f"only one class folder, {classes[0]!r}, holds files that can be read",
            where=str(place.path),
            mend="give a folder with one folder per class, two at least "
            "(or train/ and test/ with those inside)",
        )
    positions = np.asarray(found.items, np.int64)
    where = np.asarray(found.parts, np.int8)
    keys = Names(source.names[i] for i in found.items)
    moving = moves(keys)
    groups, group_why = _groups(keys, labels, classes, moving)
    kind = "class folders" if isinstance(source, FolderSource) else "zip of class folders"
    return Listing(
        path=str(place.path),
        name=place.name,
        layout=kind,
        keys=keys,
        labels=labels,
        parts=where,
        has_parts=parts_present(where),
        classes=classes,
        read=with_label(_reader(source, positions, keys, moving), labels, classes),
        stamp=stamp_of(source.stamp, kind, labels, where, classes),
        left_out=tuple(found.left_out),
        groups=groups,
        group_why=group_why,
    )


def _groups(
    keys: Names, labels: NDArray[np.int32], classes: Sequence[str], moving: bool
) -> tuple[NDArray[np.int64] | None, str]:
    """Clips of one video, frames of one clip, pictures or recordings of one person, as far as names
    tell; -1 for the rest."""
    if moving:
        return sources(keys, labels, classes)
    sound = readers()["sound"]
    if not all(reader_for(key) is sound for key in keys):
        return owners_or_clips(keys, labels)
    told = groups_by_names(keys, [classes[k] for k in labels])
    return (None, "") if told.groups is None else (numbered(told.groups), told.group_why)


def _reader(
    source: Source, positions: np.ndarray, keys: Names, moving: bool
) -> Callable[[int], Sample]:
    return lambda i: read(source.read(int(positions[i])), keys[i], moving=moving)


LAYOUT = Layout(
    order=40,
    says="a folder or zip with one folder of pictures or clips per class, also under "
    f"{'/, '.join(PARTS)}/",
    fits=_fits,
    listing=_listing,
)
