"""YOLO: a text file of boxes for each picture, beside it or under labels/ for images/."""

from __future__ import annotations

from collections.abc import Sequence

from ...card import PARTS, Skipped
from ...errors import DataError
from ..annotations import Noted, table
from ..annotations import yolo as annotation
from ..listing import Listing
from ..names import paper
from ..source import Source
from . import Layout, Place
from ._boxes import Item, frame, listed, pictures, stem
from ._parts import part_of

_NAMES = ("data.yaml", "data.yml", "dataset.yaml", "classes.txt", "obj.names", "classes.names")
_LOOKED = 20
_PARTS = {"train": 0, "val": 1, "valid": 1, "test": 2}


def _fits(place: Place) -> bool:
    source = place.source
    if source is None:
        return False
    notes = _notes(source.names)
    beside = [notes[key] for i in pictures(source.names) if (key := _key(source.names[i])) in notes]
    told = [source.head(i, 4096) for i in beside[:_LOOKED]]
    lines = [line.split() for text in told for line in text.splitlines()[:3] if line.strip()]
    return bool(lines) and all(_is_box(words) for words in lines)


def _is_box(words: Sequence[bytes]) -> bool:
    try:
        kind, *values = (float(word) for word in words)
    except ValueError:
        return False
    return len(values) >= 4 and kind == int(kind)


def _notes(names: Sequence[str]) -> dict[str, int]:
    """Positions of label files by what they share with their picture."""
    return {
        _key(name): i
        for i, name in enumerate(names)
        if name.lower().endswith(".txt")
        and not paper(name.rpartition("/")[2])
        and name.rpartition("/")[2].lower() not in _NAMES
    }


def _key(name: str) -> str:
    """A path without its ending, in which "images" and "labels" are one."""
    folders = [
        "*" if step.lower() in ("images", "labels", "imgs") else step
        for step in name.split("/")[:-1]
    ]
    return "/".join([*folders, stem(name)])


def _listing(place: Place) -> Listing:
    assert place.source is not None, "a single file has no labels beside it"
    source, names = place.source, place.source.names
    notes, classes, lists = _notes(names), _classes(source), _lists(source)
    items: list[Item] = []
    left_out: list[Skipped] = []
    empty, used = 0, set()
    for position in pictures(names):
        key = _key(names[position])
        size, _ = frame(source, position)
        if size is None:
            left_out.append(Skipped(names[position], "cannot be read as a picture"))
            continue
        part = lists.get(names[position], _part(names[position]))
        noted = Noted((), table([], len(size)))
        if key in notes:
            used.add(key)
            try:
                noted = annotation.read(source.read(notes[key]), names[notes[key]], size, classes)
            except DataError as error:
                left_out.append(Skipped(names[notes[key]], error.what))
                continue
        else:
            empty += 1
        items.append(Item(position, noted, part))
    doubts = [f"{empty:,} pictures have no label file: they count as empty"] * bool(empty)
    alone = [
        names[i] for key, i in notes.items() if key not in used and not _is_list(source, names[i])
    ]
    left_out += [Skipped(name, "has no picture") for name in alone]
    if alone:
        doubts.append(f"{len(alone):,} label files have no picture and are left out")
    if not classes:
        doubts.append("no data.yaml or classes.txt names the classes: they are numbers")
    told = tuple(classes[n] for n in sorted(classes))
    return listed(place, source, "YOLO", items, left_out=left_out, doubts=doubts, classes=told)


def _classes(source: Source) -> dict[int, str]:
    """Names of the classes by number, from the first file that tells them."""
    for wanted in _NAMES:
        for position, name in enumerate(source.names):
            if name.rpartition("/")[2].lower() == wanted:
                text = source.head(position, 2**20).decode("utf-8", "replace")
                found = annotation.names_in(text)
                if found:
                    return found
    return {}


def _lists(source: Source) -> dict[str, int]:
    """Parts of pictures that train.txt, val.txt and test.txt list by path."""
    found: dict[str, int] = {}
    ends = {name.rpartition("/")[2]: name for name in source.names}
    for position, name in enumerate(source.names):
        part = _PARTS.get(stem(name).lower())
        if part is None or not _is_list(source, name) or "/" in name.strip("/"):
            continue
        for line in source.read(position).decode("utf-8", "replace").splitlines():
            there = ends.get(line.strip().replace("\\", "/").rpartition("/")[2])
            if there is not None:
                found.setdefault(there, part)
    return found


def _is_list(source: Source, name: str) -> bool:
    return stem(name).lower() in _PARTS and name.lower().endswith(".txt")


def _part(name: str) -> int:
    found = [part for step in name.split("/")[:-1] if (part := part_of(step)) is not None]
    return found[0] if found else 0


LAYOUT = Layout(
    order=33,
    says="YOLO: images/ and labels/ with a .txt per picture, with data.yaml or classes.txt, also "
    f"in {'/, '.join(PARTS)}/",
    fits=_fits,
    listing=_listing,
)
