"""Pictures whose things are drawn as polygons or runs of cells: a class for every cell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...card import Skipped
from ...errors import DataError
from ...grid import Sample
from ...readers import read
from ...readers.image import upright
from ..annotations import Noted
from ..annotations.outlines import Outline, painted
from ..annotations.rules import ALIKE, OUTSIDE
from ..listing import Listing, parts_present, stamp_of
from ..names import Names
from ..source import Source
from . import Place
from ._boxes import MOST_CLASSES, SHOWN, Item, frame

BACKGROUND = "background"

_FAULTS = {
    "swapped": "width and height swapped in the annotation, shapes kept as they fit the picture",
    "turned": "been turned by its EXIF mark after its shapes were drawn: they are turned along",
    "scaled": "another size in the annotation, of the same proportions: its shapes are scaled",
    "misfit": "another size in the annotation, which its shapes do not fit: it is left out",
    "broken": "annotations that are neither a shape nor a box: they are left out",
    "bare": "a box without a usable shape: its cells count as void",
}


@dataclass(frozen=True, slots=True, eq=False)
class _Drawn:
    """Shapes on a grid of ``size`` cells, and the EXIF turn that brings that grid upright."""

    outlines: tuple[Outline, ...]
    size: tuple[int, int]
    turn: int = 1


def outlined(
    place: Place,
    source: Source,
    layout: str,
    items: Sequence[Item],
    *,
    left_out: Sequence[Skipped] = (),
    doubts: Sequence[str] = (),
    classes: Sequence[str] = (),
) -> Listing:
    """The listing of pictures with a class for every cell, from the shapes of their things.

    classes: as the format lists them; cells without a thing are "background", the first.
    Raises: DataError where no shape is left at all, or for too many classes.
    """
    names = tuple(dict.fromkeys((BACKGROUND, *classes)))
    met: Counter[str] = Counter()
    where: dict[str, list[str]] = {}
    kept: list[tuple[Item, _Drawn]] = []
    gone: list[Skipped] = []
    for item in items:
        key = source.names[item.position]
        drawn, faults = _fitted(item.noted, *frame(source, item.position))
        for fault, count in faults.items():
            met[fault] += count
            where.setdefault(fault, []).append(key)
        if drawn is None:
            gone.append(Skipped(key, "its shapes do not fit it"))
        else:
            kept.append((item, drawn))
    known = sum(o.known for _, drawn in kept for o in drawn.outlines)
    if not known or len(names) > MOST_CLASSES:
        raise _unusable(len(items), len(names), known, str(place.path))
    keys = Names(source.names[item.position] for item, _ in kept)
    parts = np.array([item.part for item, _ in kept], np.int8)
    shown = ", ".join(f"{i} {name}" for i, name in enumerate(names[:24]))
    return Listing(
        path=str(place.path),
        name=place.name,
        layout=f"{layout}, shapes as masks",
        keys=keys,
        labels=np.zeros(len(kept), np.int32),
        parts=parts,
        has_parts=parts_present(parts),
        classes=names,
        read=_reader(source, kept, keys, {name: i for i, name in enumerate(names)}),
        stamp=stamp_of(source.stamp, layout, "outlines", parts, names),
        left_out=(*left_out, *gone),
        target="mask",
        target_why=f"{known:,} shapes in {len(kept):,} samples, the smaller on top where they "
        f"overlap: {shown}{', ...' if len(names) > 24 else ''}",
        doubts=(*doubts, *_told(met, where)),
    )


def _fitted(
    noted: Noted, size: tuple[int, int] | None, turn: int
) -> tuple[_Drawn | None, dict[str, int]]:
    """Shapes laid onto the picture of ``size`` cells as it is read; None where they do not fit.

    A size of None is told when the picture is read.
    """
    faults = {"broken": len(noted.broken), "bare": sum(not o.known for o in noted.outlines)}
    faults = {fault: count for fault, count in faults.items() if count}
    stated = None if noted.size is None else (noted.size[0], noted.size[1])
    if stated is None and size is not None:
        stated = next((o.size for o in noted.outlines if o.runs is not None), size)
    if stated is None or size is None or stated == size:
        return _Drawn(noted.outlines, size or stated or (0, 0)), faults
    if stated == size[::-1] and turn > 4:
        return _Drawn(noted.outlines, stated, turn), {**faults, "turned": 1}
    plain = all(o.runs is None for o in noted.outlines)
    if stated == size[::-1] and plain and all(_inside(o, size) for o in noted.outlines):
        return _Drawn(noted.outlines, size), {**faults, "swapped": 1}
    scale = np.array(size) / np.array(stated)
    if plain and scale.max() <= (1 + ALIKE) * scale.min():
        return _Drawn(tuple(_scaled(o, scale) for o in noted.outlines), size), {
            **faults,
            "scaled": 1,
        }
    return None, {**faults, "misfit": 1}


def _inside(one: Outline, size: tuple[int, int]) -> bool:
    ends = [ring.max(0) for ring in one.rings] or [np.array(one.box[2:])]
    return all(bool((end <= np.array(size) + OUTSIDE).all()) for end in ends)


def _scaled(one: Outline, scale: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Outline:
    box = tuple((np.array(one.box) * np.tile(scale, 2)).tolist()) if one.box else ()
    return replace(one, rings=tuple(ring * scale for ring in one.rings), box=box)


def _reader(
    source: Source, kept: Sequence[tuple[Item, _Drawn]], keys: Names, place: dict[str, int]
) -> Callable[[int], Sample]:
    def reading(i: int) -> Sample:
        item, drawn = kept[i]
        sample = read(source.read(item.position), keys[i])
        mask = painted(drawn.outlines, place, drawn.size, keys[i])
        return replace(sample, y=upright(mask, drawn.turn))

    return reading


def _told(met: Counter[str], where: dict[str, list[str]]) -> list[str]:
    """A sentence for each fault: how often, what is done, and where first."""
    told = []
    for fault, words in _FAULTS.items():
        if fault in met:
            files, many = where[fault], len(where[fault])
            shown = ", ".join(files[:SHOWN]) + (", ..." if many > SHOWN else "")
            noun = "sample" if many == 1 else "samples"
            if fault in ("broken", "bare"):
                told.append(f"{met[fault]:,} in {many:,} {noun}: {words} ({shown})")
            else:
                told.append(f"{many:,} {noun} {'has' if many == 1 else 'have'} {words} ({shown})")
    return told


def _unusable(items: int, classes: int, known: int, path: str) -> DataError:
    if not known:
        return DataError(
            f"not one shape in {items} annotated pictures can be used",
            where=path,
            mend='give polygons or runs under "segmentation", or learn boxes with --task detect',
        )
    return DataError(
        f"{classes} classes of cells are more than {MOST_CLASSES}",
        where=path,
        mend="join rare classes",
    )
