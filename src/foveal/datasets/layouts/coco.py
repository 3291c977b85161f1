"""COCO: one JSON file of boxes for many pictures, or one for each part."""

from __future__ import annotations

from collections.abc import Sequence

from ...card import PARTS, Skipped
from ..annotations import coco as annotation
from ..listing import Listing
from ..source import Source
from . import Layout, Place
from ._boxes import Item, listed, pictures
from ._parts import part_of

_HEAD, _TAIL = 4096, 2**20
_KEYS = (b'"images"', b'"annotations"', b'"categories"')


def _fits(place: Place) -> bool:
    return place.source is not None and bool(_documents(place.source))


def _documents(source: Source) -> list[int]:
    """Positions of the JSON files that hold boxes of pictures."""
    found = [i for i, name in enumerate(source.names) if name.lower().endswith(".json")]
    return [i for i in found if _is_document(source, i)] if pictures(source.names) else []


def _is_document(source: Source, position: int) -> bool:
    """Small files by all of their text; of larger ones the beginning names one of the lists."""
    if source.sizes[position] <= _TAIL:
        content = source.read(position)
        return all(key in content for key in _KEYS) and b'"bbox"' in content
    return any(key in source.head(position, _HEAD) for key in (*_KEYS, b'"info"'))


def _listing(place: Place) -> Listing:
    assert place.source is not None, "a single file has no pictures beside it"
    source, names = place.source, place.source.names
    by_name = _by_ends(names)
    items: list[Item] = []
    left_out: list[Skipped] = []
    classes: dict[str, None] = {}
    strays, lacking = 0, 0
    used: set[int] = set()
    documents = _documents(source)
    for position in documents:
        found = annotation.read(source.read(position), names[position])
        classes |= dict.fromkeys(found.classes)
        strays += found.strays
        part = _part(names[position]) if len(documents) > 1 else None
        for name, noted in found.pictures.items():
            at = _place(by_name, name, names[position], names)
            if at is None or at in used:
                why = "is not there" if at is None else "is annotated a second time"
                left_out.append(Skipped(name, why))
                lacking += at is None
                continue
            used.add(at)
            items.append(Item(at, noted, _part(names[at]) or 0 if part is None else part))
    doubts = [f"{lacking:,} annotated pictures are not there and are left out"] * bool(lacking)
    if strays:
        doubts.append(f"{strays:,} annotations belong to no picture in their file: left out")
    alone = [names[i] for i in pictures(names) if i not in used]
    left_out += [Skipped(name, "no annotation file names it") for name in alone]
    if alone:
        doubts.append(f"{len(alone):,} pictures are named in no annotation file and are left out")
    return listed(
        place, source, "COCO", items, left_out=left_out, doubts=doubts, classes=tuple(classes)
    )


def _by_ends(names: Sequence[str]) -> dict[str, list[int]]:
    """Positions of pictures by their file name without folders."""
    found: dict[str, list[int]] = {}
    for i in pictures(names):
        found.setdefault(names[i].rpartition("/")[2], []).append(i)
    return found


def _place(
    by_name: dict[str, list[int]], name: str, document: str, names: Sequence[str]
) -> int | None:
    """The picture that a document means: of those of that name, the one whose path ends alike;
    else the one in the folder of the same part."""
    found = by_name.get(name.rpartition("/")[2], [])
    exact = [i for i in found if names[i] == name or names[i].endswith("/" + name)]
    if len(exact) > 1:
        same = [i for i in exact if _part(names[i]) == _part(document)]
        return (same or exact)[0]
    return exact[0] if exact else None


def _part(name: str) -> int | None:
    """The part that a folder or the file's own name tells ("instances_val2017.json")."""
    steps = name.replace("_", "/").replace(".", "/").replace("-", "/").split("/")
    found = [part for step in steps if (part := part_of(step.rstrip("0123456789"))) is not None]
    return found[-1] if found else None


LAYOUT = Layout(
    order=32,
    says="COCO: pictures and a .json with images, annotations and categories, one or one for each "
    f"of {', '.join(PARTS)}",
    fits=_fits,
    listing=_listing,
)
