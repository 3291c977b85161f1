"""Lines of a label and a text: one file, or one for each part; "train" and "test" in the names."""

from __future__ import annotations

import re
from collections import Counter

from ...errors import DataError
from ...readers.text import decode, is_text
from ..listing import Listing
from ..names import paper
from ..source import read_file
from . import Layout, Place
from ._parts import part_of
from ._targets import of_classes
from ._texts import Texts

LAYOUT_NAME = "lines of label and text"
_HEAD, _LOOKED_AT, _LEAST = 2**16, 2000, 4
_LONGEST_LABEL = 60
_MARK = "__label__"  # how fastText marks its labels
_BETWEEN = re.compile(r"[._\- ]+")
_NUMBER = re.compile(r"[-+]?[0-9.]+([eE][-+]?[0-9]+)?")


def _fits(place: Place) -> bool:
    return bool(_files(place))


def _files(place: Place) -> list[tuple[str, int | None]]:
    """Names of the files that hold such lines, and their places in the source."""
    if place.source is None:
        content = read_file(place.path, str(place.path))
        return [(place.path.name, None)] if _holds_lines(content, place.path.name) else []
    names = place.source.names
    top = [i for i, n in enumerate(names) if "/" not in n and not paper(n)]
    if not top or len(top) > 20 or len(top) < len(names) - 2:
        return []
    return [(names[i], i) for i in top if _holds_lines(place.source.read(i), names[i])]


def _holds_lines(content: bytes, name: str) -> bool:
    """Whether most lines begin with one of a few labels."""
    if name.lower().endswith((".csv", ".tsv", ".json", ".jsonl", ".ndjson")):
        return False
    if not is_text(content[:_HEAD]):
        return False
    try:
        text, _ = decode(content[:_HEAD], name)
    except DataError:
        return False
    lines = text.split("\n")
    lines = [line for line in (lines[:-1] or lines)[:_LOOKED_AT] if line.strip()]
    pairs = [_parted(line) for line in lines]
    good = [(label, rest) for label, rest in pairs if rest and len(label) <= _LONGEST_LABEL]
    if len(good) < _LEAST or len(good) < 0.9 * len(lines):
        return False
    count = Counter(label for label, _ in good)
    worded = sum(any(not _NUMBER.fullmatch(w) for w in rest.split()) for _, rest in good)
    often = sum(n for n in count.values() if n > 1)
    return worded > 0.5 * len(good) and often >= 0.9 * len(good) and 2 * len(count) <= len(good)


def _parted(line: str) -> tuple[str, str]:
    """Label and text of a line: the first field, up to a tab where there is one, and the rest."""
    line = line.strip()
    label, _, rest = line.partition("\t") if "\t" in line else line.partition(" ")
    return label.strip().removeprefix(_MARK), rest.strip()


def _listing(place: Place) -> Listing:
    files = _files(place)
    parts = [_part(name) for name, _ in files]
    if len(files) > 1 and (None in parts or len(set(parts)) < len(parts)):
        shown = ", ".join(repr(name) for name, _ in files[:6])
        raise DataError(
            f"{len(files)} files hold lines of label and text: {shown}",
            where=str(place.path),
            mend="give the path of one, or keep only those of one set, with train, dev and test "
            "in their names",
        )
    found = Texts()
    # A single file is trained on, whatever it is called.
    for (name, position), part in zip(files, parts, strict=True):
        where = str(place.path) if position is None else str(place.path / name)
        content = (
            read_file(place.path, where)
            if position is None or place.source is None
            else place.source.read(position)
        )
        text, mode = decode(content, where)
        # Only "\n" ends a line: in Latin-1 texts other signs of that kind are letters' remains.
        for number, line in enumerate(text.split("\n"), 1):
            if line.strip():
                label, rest = _parted(line)
                key = f"{name} line {number}"
                found.add(key, rest, label, 0 if len(files) == 1 else part or 0, mode)
    targets = of_classes(found.values, str(place.path), "the first field of each line")
    return found.listing(place, LAYOUT_NAME, targets)


def _part(name: str) -> int | None:
    """The part that a word of the file's name means, if there is one."""
    found = {part_of(word) for word in _BETWEEN.split(name)} - {None}
    return found.pop() if len(found) == 1 else None


LAYOUT = Layout(
    order=60,
    says="a text file whose lines are a label, a blank and a text",
    fits=_fits,
    listing=_listing,
)
