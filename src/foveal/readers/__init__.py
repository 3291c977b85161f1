"""A reader turns the bytes of one file into a Sample. One file per family of formats."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .. import find
from ..errors import DataError
from ..grid import Sample


@dataclass(frozen=True, slots=True)
class Reader:
    """What a reader file offers under the name ``READER``.

    suffixes: endings of file names, in small letters, that this family may wear. They only
    select the reader: the content decides what the file is. read: ``(content, key) -> Sample``,
    raising a DataError that names ``key`` for anything it cannot use. example: writes one tiny
    valid file into a folder and gives its path, for the contract suite. ends: whether a file
    tells where it ends, so that one cut short is refused; a text does not.
    """

    suffixes: tuple[str, ...]
    read: Callable[[bytes, str], Sample]
    example: Callable[[Path], Path]
    ends: bool = True


@functools.cache
def readers() -> dict[str, Reader]:
    """Every reader of the folder, by name."""
    package = sys.modules[__name__]
    return {name: find.load(package, name).READER for name in find.names(package)}


@functools.cache
def _by_suffix() -> dict[str, Reader]:
    return {suffix: reader for reader in readers().values() for suffix in reader.suffixes}


@functools.cache
def _lengths() -> tuple[int, ...]:
    """How long suffixes are, the longest first."""
    return tuple(sorted({len(suffix) for suffix in _by_suffix()}, reverse=True))


def reader_for(name: str) -> Reader | None:
    """The reader whose suffix ``name`` wears, or None. Case does not count."""
    known, low = _by_suffix(), name.lower()
    for length in _lengths():  # a few look-ups: a zip may hold a million names
        if (reader := known.get(low[-length:])) is not None:
            return reader
    return None


def read(content: bytes, key: str, *, moving: bool = False) -> Sample:
    """The item in ``content``, read by the family that the name ``key`` belongs to.

    Scanners write DICOM files without an ending; these are known by their mark.
    moving: a GIF is a clip and not its first picture.

    Raises: DataError naming ``key`` and the reason when no reader can use it.
    """
    reader = reader_for(key)
    if reader is None and content[128:132] == b"DICM":
        reader = readers()["dicom"]
    if reader is None:
        raise unreadable("no reader knows this kind of file", key)
    if moving and key.lower().endswith(".gif"):
        reader = readers()["video"]
    return reader.read(content, key)


def unreadable(reason: str, key: str) -> DataError:
    """The one shape of error for a file that cannot be used."""
    return DataError(
        reason, where=key, mend="replace the file by a good copy, or take it out of the set"
    )
