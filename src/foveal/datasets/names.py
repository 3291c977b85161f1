"""Names of items: natural order, what is hidden, and 200,000 of them in a few megabytes."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, pairwise
from typing import overload

_DIGITS = re.compile(r"[0-9]+")
_SYSTEM = frozenset(
    {
        *("__macosx", "thumbs.db", "desktop.ini", "$recycle.bin", "__pycache__", "lost+found"),
        *("system volume information", "@eadir", "icon\r"),
    }
)
_PAPERS = ("readme", "license", "licence", "copying", "notice", "changelog", "citation")


def natural(name: str) -> tuple[str, str]:
    """A sort key that puts "s2" before "s10" and a folder's files together."""
    # A run of digits sorts by its length, then by its digits; leading zeros do not count.
    low = _DIGITS.sub(_sortable, name.casefold()).replace("/", "\0")
    return low, name


def _sortable(run: re.Match[str]) -> str:
    digits = run[0].lstrip("0")
    return f"{len(digits):05d}{digits}"


def hidden(part: str) -> bool:
    """Whether one step of a path belongs to the system or to a tool, not to the data."""
    return part.startswith(".") or part.lower() in _SYSTEM


def paper(name: str) -> bool:
    """Whether a file is about the set (README, licence) and not of it."""
    return name.lower().startswith(_PAPERS)


class Names(Sequence[str]):
    """Many strings in one: about 8 bytes each more than their letters, where a list takes 60."""

    def __init__(self, names: Iterable[str]) -> None:
        kept = names if isinstance(names, list) else list(names)
        self._text = "".join(kept)
        self._ends = array("q", accumulate(map(len, kept), initial=0))

    def __len__(self) -> int:
        return len(self._ends) - 1

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Names: ...
    def __getitem__(self, index: int | slice) -> str | Names:
        if isinstance(index, slice):
            return Names(self[i] for i in range(*index.indices(len(self))))
        place = range(len(self))[index]
        return self._text[self._ends[place] : self._ends[place + 1]]

    def __iter__(self) -> Iterator[str]:
        return (self._text[start:end] for start, end in pairwise(self._ends))

    @property
    def content(self) -> bytes:
        """Every name and where it ends: what a stamp hashes."""
        return self._text.encode("utf-8", "surrogatepass") + self._ends.tobytes()
