"""Pascal VOC: one XML file per picture. Read without entities, and within limits.

Corners are taken as edges counted from 0, as the tools that write such files today mean them.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from xml.parsers import expat
from xml.sax.saxutils import escape

from ...errors import DataError
from ...readers import unreadable
from . import Noted, crossed, table

MOST_BYTES = 16 * 2**20
MOST_ELEMENTS = 200_000
DEEPEST = 16
_LONGEST = 1000  # characters of one text that are kept
_CORNERS = ("xmin", "ymin", "xmax", "ymax")


class _Reader:
    """Collects the texts of the few elements that matter, one object at a time."""

    def __init__(self, key: str) -> None:
        self.key, self.path, self.text, self.count = key, [""], "", 0
        self.found: dict[str, str] = {}
        self.object: dict[str, str] | None = None
        self.objects: list[dict[str, str]] = []

    def start(self, name: str, _: object) -> None:
        self.count += 1
        if self.count > MOST_ELEMENTS or len(self.path) > DEEPEST:
            raise unreadable("more elements than any annotation has", self.key)
        self.path.append(name)
        self.text = ""
        if self.path[1:] == ["annotation", "object"]:
            self.object = {}

    def end(self, name: str) -> None:
        place = "/".join(self.path[2:])
        if self.object is not None and place.startswith("object/"):
            self.object.setdefault(place.removeprefix("object/"), self.text.strip())
        elif self.object is not None and place == "object":
            self.objects.append(self.object)
            self.object = None
        elif place:
            self.found.setdefault(place, self.text.strip())
        self.path.pop()
        self.text = ""

    def data(self, text: str) -> None:
        self.text = (self.text + text)[:_LONGEST]

    def refuse(self, *_: object) -> None:
        raise unreadable(
            "it declares a document type or entities, which no annotation needs", self.key
        )


def read(content: bytes, key: str) -> Noted:
    """The boxes of one annotation file.

    Raises: DataError naming ``key`` for what is no XML, holds declarations, or is too large.
    """
    if len(content) > MOST_BYTES:
        raise unreadable(f"{len(content):,} bytes are more than an annotation may have", key)
    reader, parser = _Reader(key), expat.ParserCreate()
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.data
    parser.StartDoctypeDeclHandler = reader.refuse
    parser.EntityDeclHandler = reader.refuse
    try:
        parser.Parse(content, True)
    except DataError:
        raise
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise unreadable(f"no XML that can be read ({str(error)[:60]})", key) from error
    return _noted(reader)


def _noted(reader: _Reader) -> Noted:
    names, rows, broken = [], [], []
    for one in reader.objects:
        corners = [_number(one.get(f"bndbox/{side}", "")) for side in _CORNERS]
        x0, y0, x1, y1 = corners
        if x0 is None or y0 is None or x1 is None or y1 is None or not one.get("name"):
            broken.append(f"an object {one.get('name', '')!r:.40} without its corners")
            continue
        names.append(one["name"])
        rows.append(crossed(x0, y0, x1, y1))
    size = [_number(reader.found.get(f"size/{side}", "")) for side in ("height", "width")]
    stated = tuple(int(n) for n in size if n and 0 < n < 2**31)
    says = PurePosixPath(reader.found.get("filename", "").replace("\\", "/")).name
    return Noted(
        tuple(names), table(rows, 2), stated if len(stated) == len(size) else None, says,
        tuple(broken),
    )  # fmt: skip


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def write(noted: Noted, name: str) -> bytes:
    """The annotation file of a picture called ``name``."""
    lines = ["<annotation>", f"  <filename>{_text(name)}</filename>"]
    if noted.size is not None:
        height, width = noted.size
        lines += [f"  <size><width>{width}</width><height>{height}</height></size>"]
    for label, (y0, x0, y1, x1) in zip(noted.names, noted.boxes.tolist(), strict=True):
        sides = zip(_CORNERS, (x0, y0, x1, y1), strict=True)
        box = "".join(f"<{side}>{value:.10g}</{side}>" for side, value in sides)
        lines.append(f"  <object><name>{_text(label)}</name><bndbox>{box}</bndbox></object>")
    return "\n".join([*lines, "</annotation>", ""]).encode()


def _text(words: str) -> str:
    """Safe within an element; what XML cannot hold becomes a question mark."""
    return escape("".join(c if c >= " " and c.isprintable() else "?" for c in words))
