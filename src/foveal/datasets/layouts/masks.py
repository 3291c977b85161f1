"""Pictures, volumes or signals beside masks of the same name: a class for every cell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ...card import Skipped
from ...errors import DataError
from ...grid import Sample
from ...readers import read, reader_for, readers, unreadable
from ...readers._codes import codes
from ..listing import Listing, parts_present, stamp_of
from ..names import Names
from ..source import Source
from . import Layout, Place
from ._codebook import Codebook, distinct, names_in, tells_names, told
from ._pairs import Pair, Pairs, pairs_of

MOST_LOOKED_AT = 512  # masks from which the values are told
PAIRED = 0.5  # of the masks must have a picture, or folders of such names mean something else
_SHOWN = 3


def _fits(place: Place) -> bool:
    if place.source is None or not any("/" in name for name in place.source.names):
        return False
    pairs = _pairs(place.source)
    return len(pairs.found) >= PAIRED * max(1, len(pairs.found) + len(pairs.no_image))


def _pairs(source: Source) -> Pairs:
    names = list(source.names)
    return pairs_of(names, [_readable(name) for name in names])


def _readable(name: str) -> bool:
    reader = reader_for(name)
    known = readers()
    return reader in (known["image"], known["nifti"], known["array"])


def _listing(place: Place) -> Listing:
    source = place.source
    assert source is not None, "a single file has no masks beside it"
    pairs = _pairs(source)
    book = _book(source, pairs, str(place.path))
    # Files for which answers are wanted are no fault; pictures in the midst of others are.
    parts = np.array([pair.part for pair in pairs.found], np.int8)
    count = len(pairs.found)
    return Listing(
        path=str(place.path),
        name=place.name,
        layout="pictures beside masks",
        keys=Names(source.names[pair.images[0]] for pair in pairs.found),
        labels=np.zeros(count, np.int32),
        parts=parts,
        has_parts=parts_present(parts),
        classes=book.names,
        read=_reader(source, pairs.found, book),
        stamp=stamp_of(source.stamp, "masks", parts, book.values, book.names, book.void),
        left_out=tuple(_left_out(source, pairs)),
        target="mask",
        target_why=book.why,
        doubts=tuple(_doubts(source, pairs)),
    )


def _book(source: Source, pairs: Pairs, where: str) -> Codebook:
    """The table of values, from at most 512 masks spread over the set and the set's own words."""
    named: dict[int, str] = {}
    told_by = ""
    for position, name in enumerate(source.names):
        if not named and tells_names(name):
            named, told_by = names_in(name, source.read(position)), name
    met, faults = [], []
    spread = np.unique(np.linspace(0, len(pairs.found) - 1, MOST_LOOKED_AT).astype(int))
    for i in spread.tolist():
        position = pairs.found[i].mask
        try:
            met.append(distinct([codes(source.read(position), source.names[position])]))
        except DataError as error:
            faults.append(error)
    if not met:
        raise faults[0]
    return told(distinct(met), named, pairs.camvid, where, told_by)


def _reader(source: Source, pairs: list[Pair], book: Codebook) -> Callable[[int], Sample]:
    def one(position: int) -> Sample:
        pair = pairs[position]
        names = [source.names[i] for i in pair.images]
        items = [read(source.read(i), n) for i, n in zip(pair.images, names, strict=True)]
        x = items[0].x
        if len(items) > 1:
            if len({item.x.shape[1:] for item in items}) > 1:
                raise unreadable("its channels differ in size", names[0])
            x = np.concatenate([item.x for item in items])
        found = codes(source.read(pair.mask), source.names[pair.mask])
        mask = book.mask(found, source.names[pair.mask])
        return replace(items[0], x=x, y=mask)

    return one


def _left_out(source: Source, pairs: Pairs) -> list[Skipped]:
    lost = [Skipped(source.names[i], "has no mask of its name") for i in pairs.no_mask]
    return lost + [Skipped(source.names[i], "is a mask of no picture") for i in pairs.no_image]


def _doubts(source: Source, pairs: Pairs) -> list[str]:
    """What has no partner, with the first few names."""
    found = []
    for lost, what in (
        (pairs.no_mask, "without a mask of the same name"),
        (pairs.no_image, "that are masks of no picture"),
    ):
        if lost:
            shown = ", ".join(repr(source.names[i]) for i in lost[:_SHOWN])
            more = f" and {len(lost) - _SHOWN} more" if len(lost) > _SHOWN else ""
            found.append(f"{len(lost):,} files {what} are left out: {shown}{more}")
    return found


LAYOUT = Layout(
    order=33,
    says="pictures, volumes or arrays beside masks of the same name (images/ with labels/ or "
    "masks/, train/ with trainannot/, imagesTr/ with labelsTr/)",
    fits=_fits,
    listing=_listing,
)
