"""DICOM series: class folders of scans, one folder per series or all in one; also in a zip."""

from __future__ import annotations

from collections import Counter

import numpy as np

from ...card import Skipped
from ...errors import DataError
from ..listing import Listing, encode, parts_present, stamp_of
from ..names import Names
from ..series import Series, find_series, holds_series
from ..source import FolderSource, Source
from . import Layout, Place
from ._parts import has_parts, part_of, with_label, wrapper


def _fits(place: Place) -> bool:
    return place.source is not None and holds_series(place.source)


def _listing(place: Place) -> Listing:
    source = place.source
    assert source is not None, "a single file holds no series"
    series, no_pictures = find_series(source)
    kept, left_out = _of_one_kind(series)
    if not kept:
        raise DataError(
            "none of the DICOM files holds a picture",
            where=str(place.path),
            mend="give the folder with the images, not only with plans, reports or directories",
        )
    names = [source.names[item.files[0]] for item in kept]
    classes, parts, beside = _placed(names)
    items = [i for i in range(len(kept)) if i not in beside]
    return _build(
        place,
        source,
        [kept[i] for i in items],
        [classes[i] for i in items],
        [parts[i] for i in items],
        [*no_pictures, *left_out, *(Skipped(kept[i].key, reason) for i, reason in beside.items())],
    )


def _of_one_kind(series: tuple[Series, ...]) -> tuple[list[Series], list[Skipped]]:
    """The items of the commoner kind, volumes or single files; what has a fault stays."""
    good = [item for item in series if not item.fault]
    volumes = sum(item.affine is not None for item in good)
    stacks = 2 * volumes >= len(good)
    kept, left_out = [], []
    for item in series:
        if item.fault or (item.affine is not None) == stacks:
            kept.append(item)
        else:
            reason = "a single picture among volumes" if stacks else "a volume among pictures"
            left_out.append(Skipped(item.key, reason))
    return kept, left_out


def _placed(names: list[str]) -> tuple[list[str | None], list[int], dict[int, str]]:
    """Class and part of each item, told from its folders; and which items lie beside them.

    Where every top folder holds one item (one folder per scan), folders are no classes.
    """
    wrap = wrapper(names)
    split = has_parts([name[len(wrap) :] for name in names])
    classes: list[str | None] = []
    parts: list[int] = []
    beside: dict[int, str] = {}
    for i, name in enumerate(names):
        steps = name[len(wrap) :].split("/")
        part = part_of(steps[0]) if split else 0
        inside = steps[1:] if split and part is not None else steps
        classes.append(inside[0] if len(inside) > 1 else None)
        parts.append(part or 0)
        if part is None:
            beside[i] = "lies beside the folders of the parts, not inside one"
    known = Counter(name for i, name in enumerate(classes) if name and i not in beside)
    if len(known) < 2 or max(known.values()) == 1:
        return [None] * len(names), parts, beside
    for i, found in enumerate(classes):
        if found is None and i not in beside:
            beside[i] = "lies beside the class folders, not inside one"
    return classes, parts, beside


def _build(
    place: Place,
    source: Source,
    items: list[Series],
    names: list[str | None],
    parts: list[int],
    left_out: list[Skipped],
) -> Listing:
    where = np.asarray(parts, np.int8)
    classes: tuple[str, ...] = ()
    labels = np.full(len(items), -1, np.int32)
    if any(names):
        labels, classes = encode(names, str(place.path))
    patients = np.array([item.patient for item in items], np.int64)
    told = bool((patients >= 0).any())
    kind = "DICOM series" if any(item.affine is not None for item in items) else "DICOM files"
    if not isinstance(source, FolderSource):
        kind = f"zip of {kind}"
    return Listing(
        path=str(place.path),
        name=place.name,
        layout=kind,
        keys=Names(item.key for item in items),
        labels=labels,
        parts=where,
        has_parts=parts_present(where),
        classes=classes,
        read=with_label(lambda i: items[i].read(source), labels, classes),
        stamp=stamp_of(source.stamp, kind, labels, where, classes),
        left_out=tuple(left_out),
        groups=patients if told else None,
        group_why="scans of one patient, by the patient id in the headers" if told else "",
    )


LAYOUT = Layout(
    order=35,
    says="a folder or zip with DICOM files, one folder per class",
    fits=_fits,
    listing=_listing,
)
