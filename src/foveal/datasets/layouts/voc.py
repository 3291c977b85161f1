"""Pascal VOC: pictures and one XML file for each, with the parts in ImageSets/Main or folders."""

from __future__ import annotations

from collections.abc import Sequence

from ...card import PARTS, Skipped
from ...errors import DataError
from ..annotations import Noted
from ..annotations import voc as annotation
from ..listing import Listing
from ..source import Source
from . import Layout, Place
from ._boxes import Item, listed, pictures, stem
from ._parts import part_of

_HEAD = 1024
_SETS = {"train": 0, "val": 1, "test": 2}


def _fits(place: Place) -> bool:
    source = place.source
    if source is None:
        return False
    notes = _notes(source.names)
    if not notes or not pictures(source.names):
        return False
    return any(b"<annotation" in source.head(i, _HEAD) for i in list(notes.values())[:5])


def _notes(names: Sequence[str]) -> dict[str, int]:
    """Positions of XML files by part and stem."""
    return {_key(name): i for i, name in enumerate(names) if name.lower().endswith(".xml")}


def _key(name: str) -> str:
    return f"{_folder_part(name)}/{stem(name)}"


def _folder_part(name: str) -> int | None:
    """The part that a folder on the way names: the first that does."""
    found = [part for step in name.split("/")[:-1] if (part := part_of(step)) is not None]
    return found[0] if found else None


def _listing(place: Place) -> Listing:
    assert place.source is not None, "a single file has no annotations beside it"
    source, names = place.source, place.source.names
    notes, sets = _notes(names), _sets(source)
    items: list[Item] = []
    left_out: list[Skipped] = []
    doubts: list[str] = []
    lacking, used = 0, set()
    for position in pictures(names):
        key = _key(names[position])
        if key not in notes:
            left_out.append(Skipped(names[position], "has no annotation file"))
            lacking += 1
            continue
        used.add(key)
        part = sets.get(stem(names[position])) if sets else _folder_part(names[position]) or 0
        if part is None:
            left_out.append(Skipped(names[position], "is in none of the lists of ImageSets/Main"))
            continue
        try:
            items.append(Item(position, _read(source, notes[key]), part))
        except DataError as error:
            left_out.append(Skipped(names[notes[key]], error.what))
    alone = [names[i] for key, i in notes.items() if key not in used]
    left_out += [Skipped(name, "has no picture") for name in alone]
    if lacking:
        doubts.append(f"{lacking:,} pictures have no annotation file and are left out")
    if alone:
        doubts.append(f"{len(alone):,} annotation files have no picture and are left out")
    return listed(place, source, "Pascal VOC", items, left_out=left_out, doubts=doubts)


def _read(source: Source, position: int) -> Noted:
    return annotation.read(source.read(position), source.names[position])


def _sets(source: Source) -> dict[str, int]:
    """The part of each stem by the lists of ImageSets/Main; empty where there are none."""
    found: dict[str, int] = {}
    for position, name in enumerate(source.names):
        steps = name.split("/")
        part = _SETS.get(stem(name))
        if part is None or [s.lower() for s in steps[-3:-1]] != ["imagesets", "main"]:
            continue
        for line in source.read(position).decode("utf-8", "replace").splitlines():
            words = line.split()
            if words and words[-1] != "-1":
                found.setdefault(words[0], part)
    return found


LAYOUT = Layout(
    order=31,
    says="Pascal VOC: Annotations/*.xml beside JPEGImages/, with ImageSets/Main/ or in folders "
    f"{'/, '.join(PARTS)}/",
    fits=_fits,
    listing=_listing,
)
