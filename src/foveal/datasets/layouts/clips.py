"""Folders of numbered frames: class folder, clip folder, 0001.jpg and so on, also in parts."""

from __future__ import annotations

import numpy as np

from ...card import PARTS, Skipped
from ...grid import Sample
from ...readers import read, reader_for
from ..frames import frame_folders, read_frames
from ..listing import Listing, encode, parts_present, stamp_of
from ..names import Names
from ..source import Source
from . import Layout, Place
from ._clips import sources
from ._parts import with_label
from .folders import Arranged, arranged, outer

_MOST = 0.95  # share of the pictures that must lie in such clips
_LEAST = 4  # clips: fewer folders of pictures may be anything


def _fits(place: Place) -> bool:
    if place.source is None or not any(name.count("/") > 1 for name in place.source.names):
        return False  # a frame lies in a clip in a class
    folders, found = _clips(place.source)
    if len(found.items) < _LEAST or len(set(found.labels)) < 2:
        return False
    names = list(folders)
    frames = sum(len(folders[names[i]]) for i in found.items)
    readable = sum(reader_for(name) is not None for name in place.source.names)
    return frames >= _MOST * readable


def _clips(source: Source) -> tuple[dict[str, list[int]], Arranged]:
    """The folders of frames by name, and where each belongs."""
    folders = frame_folders(source.names)
    readable = [reader_for(name) is not None for name in source.names]
    # Told from the files: train/cat/1.png is a picture of a part, and no clip of the class "train".
    outside = outer(source.names, readable)
    return folders, arranged(list(folders), [True] * len(folders), *outside)


def _listing(place: Place) -> Listing:
    assert place.source is not None, "a single file has no folders"
    source, path = place.source, str(place.path)
    folders, found = _clips(source)
    names = list(folders)
    frames = [folders[names[i]] for i in found.items]
    used = {position for clip in frames for position in clip}
    left_out = [
        Skipped(name, "lies in no folder of numbered frames without a gap")
        for position, name in enumerate(source.names)
        if position not in used and reader_for(name) is not None
    ]
    labels, classes = encode(found.labels, path)
    keys = Names(names[i] for i in found.items)
    parts = np.asarray(found.parts, np.int8)
    groups, group_why = sources(keys, labels, classes)

    def clip(position: int) -> Sample:
        return read_frames(
            lambda at: read(source.read(at), source.names[at]), frames[position], keys[position]
        )

    return Listing(
        path=path,
        name=place.name,
        layout="class folders of frame folders",
        keys=keys,
        labels=labels,
        parts=parts,
        has_parts=parts_present(parts),
        classes=classes,
        read=with_label(clip, labels, classes),
        stamp=stamp_of(source.stamp, "frames", labels, parts, classes),
        left_out=tuple(left_out),
        groups=groups,
        group_why=group_why,
    )


LAYOUT = Layout(
    order=35,
    says="a folder or zip with one folder per class, in it one folder of numbered frames per "
    f"clip, also under {'/, '.join(PARTS)}/",
    fits=_fits,
    listing=_listing,
)
