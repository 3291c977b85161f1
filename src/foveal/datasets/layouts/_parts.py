"""What the layouts share: names of parts, and samples that carry their class."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ...grid import Sample
from ...readers import reader_for, readers

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_NAMES = {
    **dict.fromkeys(("train", "training"), 0),
    **dict.fromkeys(("val", "valid", "validation", "validate", "dev"), 1),
    **dict.fromkeys(("test", "testing", "t10k"), 2),
}


def part_of(name: str) -> int | None:
    """0 for a name that means train, 1 validation, 2 test; None for any other."""
    return _NAMES.get(name.strip().lower())


def items(names: Sequence[str]) -> list[bool]:
    """Which files are items: those that a reader knows. Texts are where there is nothing else;
    beside pictures or recordings they are notes about them."""
    found = [reader_for(name) for name in names]
    text = readers()["text"]
    others = any(reader is not None and reader is not text for reader in found)
    return [reader is not None and not (others and reader is text) for reader in found]


def wrapper(names: list[str]) -> str:
    """Folders that only wrap the set ("data/" above data/cat and data/dog), with the slash."""
    wrap = ""
    while True:
        rest = [name[len(wrap) :] for name in names]
        tops = {name.partition("/")[0] for name in rest}
        deep = any(name.count("/") > 1 for name in rest)
        if len(tops) != 1 or not deep or part_of(next(iter(tops))) is not None:
            return wrap
        wrap += f"{tops.pop()}/"


def has_parts(names: list[str]) -> bool:
    """Whether the top folders are parts of a split: they hold folders, and all are parts or
    train is among them with another one."""
    tops = {name.partition("/")[0] for name in names if "/" in name}
    deep = {name.partition("/")[0] for name in names if name.count("/") > 1}
    parts = {part_of(top) for top in tops & deep} - {None}
    return bool(parts) and (all(map(_is_part, tops)) or (0 in parts and len(parts) > 1))


def _is_part(name: str) -> bool:
    return part_of(name) is not None


def with_label(
    read: Callable[[int], Sample], labels: NDArray[np.int32], classes: tuple[str, ...]
) -> Callable[[int], Sample]:
    """``read`` whose samples also tell their class name as y."""

    def labelled(position: int) -> Sample:
        label, item = int(labels[position]), read(position)
        y = classes[label] if label >= 0 else None
        return replace(item, y=y)

    return labelled
