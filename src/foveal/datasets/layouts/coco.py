"""COCO: one JSON file of boxes for many pictures, or one for each part.

Where it has boxes these are what is to be learned; its shapes are where masks are asked for, or
where there is nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from ...card import PARTS, Skipped
from ..annotations import coco as annotation
from ..listing import Listing
from ..source import Source
from . import Layout, Place
from ._boxes import Item, listed, pictures
from ._outlined import outlined
from ._parts import part_of

_HEAD, _TAIL = 4096, 2**20
_KEYS = (b'"images"', b'"annotations"', b'"categories"')
_PLACES = (b'"bbox"', b'"segmentation"')


def _fits(place: Place) -> bool:
    return place.source is not None and bool(_documents(place.source))


def _documents(source: Source) -> list[int]:
    """Positions of the JSON files that hold boxes or shapes of pictures."""
    found = [i for i, name in enumerate(source.names) if name.lower().endswith(".json")]
    return [i for i in found if _is_document(source, i)] if pictures(source.names) else []


def _is_document(source: Source, position: int) -> bool:
    """Small files by all of their text; of larger ones the beginning names one of the lists."""
    if source.sizes[position] <= _TAIL:
        content = source.read(position)
        return all(key in content for key in _KEYS) and any(key in content for key in _PLACES)
    return any(key in source.head(position, _HEAD) for key in (*_KEYS, b'"info"'))


def _listing(place: Place) -> Listing:
    assert place.source is not None, "a single file has no pictures beside it"
    found = _gathered(place.source, outlines=False)
    if found.drawn and not any(len(item.noted.boxes) for item in found.items):
        return _masks(place)
    boxes = _as(listed, place, found)
    if not found.drawn:
        return boxes
    why = f"{boxes.target_why}; {found.drawn:,} have shapes, of which --task segment learns masks"
    return replace(boxes, target_why=why, also={"mask": partial(_masks, place)})


def _masks(place: Place) -> Listing:
    """The same pictures with a class for every cell."""
    assert place.source is not None, "a single file has no pictures beside it"
    return _as(outlined, place, _gathered(place.source, outlines=True))


@dataclass(slots=True)
class _Gathered:
    """What all documents say together. drawn: annotations that have a shape."""

    items: list[Item] = field(default_factory=list)
    left_out: list[Skipped] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    classes: dict[str, None] = field(default_factory=dict)
    drawn: int = 0


def _as(make: Callable[..., Listing], place: Place, found: _Gathered) -> Listing:
    return make(
        place,
        place.source,
        "COCO",
        found.items,
        left_out=found.left_out,
        doubts=found.doubts,
        classes=tuple(found.classes),
    )


def _gathered(source: Source, *, outlines: bool) -> _Gathered:
    names, out = source.names, _Gathered()
    by_name = _by_ends(names)
    strays, lacking = 0, 0
    used: set[int] = set()
    documents = _documents(source)
    for position in documents:
        found = annotation.read(source.read(position), names[position], outlines=outlines)
        out.classes |= dict.fromkeys(found.classes)
        out.drawn += found.drawn
        strays += found.strays
        part = _part(names[position]) if len(documents) > 1 else None
        for name, noted in found.pictures.items():
            at = _place(by_name, name, names[position], names)
            if at is None or at in used:
                why = "is not there" if at is None else "is annotated a second time"
                out.left_out.append(Skipped(name, why))
                lacking += at is None
                continue
            used.add(at)
            out.items.append(Item(at, noted, _part(names[at]) or 0 if part is None else part))
    if lacking:
        out.doubts.append(f"{lacking:,} annotated pictures are not there and are left out")
    if strays:
        out.doubts.append(f"{strays:,} annotations belong to no picture in their file: left out")
    alone = [names[i] for i in pictures(names) if i not in used]
    out.left_out += [Skipped(name, "no annotation file names it") for name in alone]
    if alone:
        out.doubts.append(
            f"{len(alone):,} pictures are named in no annotation file and are left out"
        )
    return out


def _by_ends(names: Sequence[str]) -> dict[str, list[int]]:
    """Positions of pictures by their file name without folders."""
    found: dict[str, list[int]] = {}
    for i in pictures(names):
        found.setdefault(names[i].rpartition("/")[2], []).append(i)
    return found


def _place(
    by_name: dict[str, list[int]], name: str, document: str, names: Sequence[str]
) -> int | None:
    """The picture that a document means: of those of that name, the one whose path ends alike
    (either may begin farther up); else the one in the folder of the same part."""
    found = by_name.get(name.rpartition("/")[2], [])
    exact = [i for i in found if _ends(names[i], name) or _ends(name, names[i])]
    if len(exact) > 1:
        same = [i for i in exact if _part(names[i]) == _part(document)]
        return (same or exact)[0]
    return exact[0] if exact else None


def _ends(name: str, end: str) -> bool:
    return name == end or name.endswith("/" + end)


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
