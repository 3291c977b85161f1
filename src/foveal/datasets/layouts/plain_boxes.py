"""Boxes in any number of axes: plain JSON beside each sample, or one table of them (boxes.csv)."""

from __future__ import annotations

from collections.abc import Sequence

from ...card import PARTS, Skipped
from ...errors import DataError
from ..annotations import Noted, plain, table
from ..listing import Listing
from ..source import Source
from . import Layout, Place
from ._boxes import Item, listed, pictures, stem
from ._parts import part_of

_HEAD = 4096
_LOOKED = 20
_KEYS = (b'"boxes"', b'"label"', b'"low"', b'"high"')
_TABLES = ("boxes.csv", "events.csv", "intervals.csv")
_FOLDERS = ("images", "labels", "boxes", "signals", "volumes", "annotations")


def _fits(place: Place) -> bool:
    source = place.source
    if source is None or not pictures(source.names):
        return False
    if _table(source) is not None:
        return True
    notes = list(_notes(source.names).values())[:_LOOKED]
    return any(all(key in source.head(i, _HEAD) for key in _KEYS) for i in notes)


def _table(source: Source) -> int | None:
    """Position of the one table of boxes; None where there is none."""
    for position, name in enumerate(source.names):
        if name.rpartition("/")[2].lower() in _TABLES and plain.is_table(
            source.head(position, _HEAD)
        ):
            return position
    return None


def _notes(names: Sequence[str]) -> dict[str, int]:
    """Positions of JSON files by what they share with their sample."""
    return {_key(name): i for i, name in enumerate(names) if name.lower().endswith(".json")}


def _key(name: str) -> str:
    """A path without its ending, in which folders of samples and of notes are one."""
    folders = ["*" if s.lower() in _FOLDERS else s for s in name.split("/")[:-1]]
    return "/".join([*folders, stem(name.removesuffix(".gz"))])


def _listing(place: Place) -> Listing:
    assert place.source is not None, "a single file has no boxes beside it"
    position = _table(place.source)
    if position is None:
        return _from_notes(place, place.source)
    return _from_table(place, place.source, position)


def _from_notes(place: Place, source: Source) -> Listing:
    names, notes = source.names, _notes(source.names)
    items: list[Item] = []
    left_out: list[Skipped] = []
    used: set[str] = set()
    for position in pictures(names):
        key = _key(names[position])
        if key not in notes:
            left_out.append(Skipped(names[position], "has no annotation file"))
            continue
        used.add(key)
        try:
            noted = plain.read(source.read(notes[key]), names[notes[key]])
        except DataError as error:
            left_out.append(Skipped(names[notes[key]], error.what))
            continue
        items.append(Item(position, noted, _part(names[position])))
    doubts = [f"{len(left_out):,} samples have no usable annotation file and are left out"]
    alone = [names[i] for key, i in notes.items() if key not in used]
    left = [*left_out, *(Skipped(name, "has no sample") for name in alone)]
    return listed(
        place, source, "plain boxes", items, left_out=left, doubts=doubts * bool(left_out)
    )


def _from_table(place: Place, source: Source, position: int) -> Listing:
    names = source.names
    told, measured = plain.read_table(source.read(position), names[position])
    rank = next((one.boxes.shape[1] // 2 for one in told.values()), 1)
    items: list[Item] = []
    used: set[str] = set()
    for at in pictures(names):
        if at != position:
            name = next((n for n in _ends(names[at]) if n in told), None)
            used |= {name} if name is not None else set()
            noted = told[name] if name is not None else Noted((), table([], rank))
            items.append(Item(at, noted, _part(names[at])))
    empty = sum(not len(item.noted.boxes) for item in items)
    doubts = [f"{empty:,} samples have no box in {names[position]}: they count as empty"]
    lost = [name for name in told if name not in used]
    if lost:
        doubts.append(f"{len(lost):,} files of {names[position]} are not there: {lost[0]!r} first")
    return listed(
        place,
        source,
        "table of boxes",
        items,
        left_out=[Skipped(name, "is not there") for name in lost],
        doubts=doubts if empty else doubts[1:],
        measured=measured,
    )


def _ends(name: str) -> list[str]:
    """The path, and what is left of it without its first folders: how a table may name it."""
    steps = name.split("/")
    return ["/".join(steps[i:]) for i in range(len(steps))]


def _part(name: str) -> int:
    found = [part for step in name.split("/")[:-1] if (part := part_of(step)) is not None]
    return found[0] if found else 0


LAYOUT = Layout(
    order=29,
    says='boxes in any number of axes: NAME.json ({"boxes": [{"label", "low", "high"}]}) beside '
    "each sample, or boxes.csv with file, label, low_z, high_z, ... (signals: start, end), also in "
    f"{'/, '.join(PARTS)}/",
    fits=_fits,
    listing=_listing,
)
