"""YOLO: one text file per picture, a line per box: class number, middle and size as shares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ...readers import unreadable
from . import Noted, crossed, table

MOST_BYTES = 16 * 2**20
MOST_LINES = 200_000


def read(content: bytes, key: str, size: tuple[int, ...], classes: Mapping[int, str]) -> Noted:
    """The boxes of one label file of a picture of ``size`` (height, width).

    A line of more numbers is a polygon (class, then points): its bounding box is taken. classes:
    names by number; a number without a name is its own. Nothing in it is an error but a file that
    is no text: a line that is no box is noted as broken.
    """
    if len(content) > MOST_BYTES:
        raise unreadable(f"{len(content):,} bytes are more than a label file may have", key)
    try:
        lines = content.decode("utf-8-sig").splitlines()[:MOST_LINES]
    except UnicodeDecodeError as error:
        raise unreadable("no text", key) from error
    names, rows, broken = [], [], []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        found = _corners(line.split())
        if found is None:
            broken.append(f"line {number}: {line[:40]!r}")
            continue
        kind, shares = found
        names.append(classes.get(kind, str(kind)))
        rows.append([share * n for share, n in zip(shares, size * 2, strict=True)])
    return Noted(tuple(names), table(rows, len(size)), broken=tuple(broken))


def _corners(words: Sequence[str]) -> tuple[int, list[float]] | None:
    """Class number, and corners as shares of height and width."""
    try:
        kind, *values = (float(word) for word in words)
    except ValueError:
        return None
    if kind != int(kind) or kind < 0 or len(values) < 4:
        return None
    if len(values) > 5 and len(values) % 2 == 0:
        across, down = values[::2], values[1::2]
        return int(kind), crossed(min(across), min(down), max(across), max(down))
    x, y, width, height = values[:4]
    return int(kind), crossed(x - width / 2, y - height / 2, x + width / 2, y + height / 2)


def write(noted: Noted, classes: Sequence[str]) -> bytes:
    """The label file of a picture, whose size ``noted.size`` must tell."""
    assert noted.size is not None, "shares need a size"
    height, width = noted.size
    place = {name: i for i, name in enumerate(classes)}
    lines = []
    for name, (y0, x0, y1, x1) in zip(noted.names, noted.boxes.tolist(), strict=True):
        middle = np.array([x0 + x1, y0 + y1]) / 2 / (width, height)
        side = np.array([x1 - x0, y1 - y0]) / (width, height)
        shares = " ".join(f"{value:.10g}" for value in (*middle, *side))
        lines.append(f"{place[name]} {shares}\n")
    return "".join(lines).encode()


def names_in(text: str) -> dict[int, str]:
    """Class names by number from the text of a data.yaml, or of one name a line.

    Of YAML the two forms that such files use are understood: ``names: [a, b]`` and a block of
    ``0: a`` or ``- a`` below ``names:``; nothing in it is executed.
    """
    lines = text.lstrip("\ufeff").splitlines()
    start = next((i for i, line in enumerate(lines) if line.startswith("names:")), None)
    if start is None:
        return dict(enumerate(line.strip() for line in lines if line.strip()))
    rest = _plain(lines[start].removeprefix("names:"))
    if rest:
        whole = rest
        for line in lines[start + 1 :]:
            if whole.rstrip().endswith(("]", "}")):
                break
            whole += " " + _plain(line)
        return _flow(whole.strip())
    found: dict[int, str] = {}
    for line in lines[start + 1 :]:
        words = _plain(line)
        if words and not line.startswith((" ", "\t", "-")):
            break
        if words.startswith("-"):
            found[len(found)] = _unquoted(words[1:])
        elif ":" in words and words.split(":", 1)[0].strip().isdecimal():
            number, name = words.split(":", 1)
            found[int(number)] = _unquoted(name)
    return found


def _flow(text: str) -> dict[int, str]:
    """``[a, b]`` or ``{0: a, 1: b}``."""
    items = [item for item in text.strip("[]{} ").split(",") if item.strip()]
    if not text.startswith("{"):
        return dict(enumerate(_unquoted(item) for item in items))
    pairs = [item.split(":", 1) for item in items if ":" in item]
    return {int(n): _unquoted(name) for n, name in pairs if n.strip().isdecimal()}


def _plain(line: str) -> str:
    """Without a comment behind it."""
    return line.split(" #", 1)[0].strip()


def _unquoted(word: str) -> str:
    word = word.strip()
    return word[1:-1] if len(word) > 1 and word[0] == word[-1] and word[0] in "'\"" else word
