"""Class folders: one folder per class, also under train/ val/ test/, also inside a zip."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...card import PARTS, Skipped
from ...errors import DataError
from ...grid import Sample
from ...readers import read, reader_for
from ..listing import Listing, encode, parts_present, stamp_of
from ..names import Names, paper
from ..source import FolderSource, Source
from . import Layout, Place
from ._parts import has_parts, items, part_of, with_label, wrapper


def _fits(place: Place) -> bool:
    return place.source is not None and any(
        "/" in name and reader_for(name) for name in place.source.names
    )


def _listing(place: Place) -> Listing:
    assert place.source is not None, "a single file has no class folders"
    names = list(place.source.names)
    readable = items(names)
    wrap = wrapper([n for n, good in zip(names, readable, strict=True) if good])
    split = has_parts([n[len(wrap) :] for n, good in zip(names, readable, strict=True) if good])
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
    return _build(place, place.source, kept, labels, parts, left_out)


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


def _build(
    place: Place,
    source: Source,
    items: list[int],
    names: list[str],
    parts: list[int],
    left_out: list[Skipped],
) -> Listing:
    labels, classes = encode(names, str(place.path))
    if len(classes) < 2:
        raise DataError(
            f"only one class folder, {classes[0]!r}, holds files that can be read",
            where=str(place.path),
            mend="give a folder with one folder per class, two at least "
            "(or train/ and test/ with those inside)",
        )
    positions = np.asarray(items, np.int64)
    where = np.asarray(parts, np.int8)
    keys = Names(source.names[i] for i in items)
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
        read=with_label(_reader(source, positions, keys), labels, classes),
        stamp=stamp_of(source.stamp, kind, labels, where, classes),
        left_out=tuple(left_out),
    )


def _reader(source: Source, positions: np.ndarray, keys: Names) -> Callable[[int], Sample]:
    return lambda i: read(source.read(int(positions[i])), keys[i])


LAYOUT = Layout(
    order=40,
    says=f"a folder or zip with one folder of pictures per class, also under {'/, '.join(PARTS)}/",
    fits=_fits,
    listing=_listing,
)
