"""A layout is a way in which people keep data sets. One file per layout."""

from __future__ import annotations

import functools
import os
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ... import find
from ...errors import DataError
from ...readers.text import is_text
from ..joined import joined
from ..listing import Listing, check_classes
from ..source import FolderSource, Source, open_source
from ._memory import from_arrays

__all__ = ["Layout", "Place", "find_listing", "from_arrays"]

_ALONE = (".csv", ".tsv", ".jsonl", ".ndjson", ".npz", ".npy", ".ts")
_HEAD = 4096


@dataclass(frozen=True, slots=True)
class Place:
    """What the user pointed at. ``source`` holds the files of a folder or an archive; it is
    None where ``path`` is a single file (a table, an array). ``target`` names the columns that
    the user wants to be learned, ``group`` the one that tells what must stay together; without
    any the choice is the layout's."""

    path: Path
    source: Source | None
    target: tuple[str, ...] = ()
    group: str = ""

    @property
    def name(self) -> str:
        """A short name for people: that of the folder, or of the file without its ending."""
        path = self.path.resolve()
        return path.name if path.is_dir() else path.name.split(".")[0]


@dataclass(frozen=True, slots=True)
class Layout:
    """What a layout file offers under the name ``LAYOUT``.

    order: the layout with the smallest that fits is taken, so what is more explicit comes
    first. says: one line for the message to a user whose data fits none.
    """

    order: int
    says: str
    fits: Callable[[Place], bool]
    listing: Callable[[Place], Listing]


def find_listing(
    path: str | Path,
    *,
    test: str | Path | None = None,
    target: Sequence[str] = (),
    apart: bool = False,
    group: str = "",
) -> Listing:
    """Every item found at ``path``, by the first layout that fits.

    test: a test set kept elsewhere. target: the columns of a table to be learned; what is no
    table goes by its own way. apart: parts may hold classes that training lacks. group: the
    column of ``path``'s table that tells which items must stay together.
    Raises: DataError when nothing is there, no layout fits, or the classes do not match.
    """
    listing = _one(Path(path), target, group)
    if test is None:
        return listing if apart else check_classes(listing)
    return joined(listing, _one(Path(test), target), apart=apart)


def _one(path: Path, target: Sequence[str], group: str = "") -> Listing:
    single = os.path.isfile(path) and (path.suffix.lower() in _ALONE or _reads_as_text(path))
    place = Place(path, None if single else open_source(path), tuple(target), group)
    for layout in _layouts():
        if layout.fits(place):
            return layout.listing(place)
    if (archive := _only_archive(place)) is not None:
        return _one(archive, target, group)
    raise DataError(
        f"no known data set: {_seen(place)}",
        where=str(path),
        mend="arrange it as one of: " + "; ".join(layout.says for layout in _layouts()),
    )


def _only_archive(place: Place) -> Path | None:
    """The one zip of a folder that holds no data but it; what was downloaded often lies so."""
    if not isinstance(place.source, FolderSource):
        return None
    zips = [n for n in place.source.names if n.lower().endswith(".zip") and "/" not in n]
    return place.path / zips[0] if len(zips) == 1 else None


def _reads_as_text(path: Path) -> bool:
    try:
        with open(path, "rb") as file:
            return is_text(file.read(_HEAD))
    except OSError:
        return False  # opening it as a source says what is wrong


@functools.cache
def _layouts() -> tuple[Layout, ...]:
    package = sys.modules[__name__]
    found: list[Layout] = [find.load(package, name).LAYOUT for name in find.names(package)]
    return tuple(sorted(found, key=lambda layout: layout.order))


def _seen(place: Place) -> str:
    """What is there, for the message that it is not enough."""
    if place.source is None:
        return f"a single file {place.path.name!r}"
    names = place.source.names
    if not len(names):
        return "there is no visible file in it"
    tops = Counter(name.split("/")[0] for name in names if "/" in name)
    kinds = Counter(PurePosixPath(name).suffix.lower() or "no ending" for name in names)
    files = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(4))
    folders = ", ".join(repr(top) for top in list(tops)[:5]) or "none"
    return f"{len(names)} files ({files}); folders: {folders}"
