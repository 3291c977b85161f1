"""What the layouts share: names of parts, and samples that carry their class."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ...grid import Sample

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


def with_label(
    read: Callable[[int], Sample], labels: NDArray[np.int32], classes: tuple[str, ...]
) -> Callable[[int], Sample]:
    """``read`` whose samples also tell their class name as y."""

    def labelled(position: int) -> Sample:
        label, item = int(labels[position]), read(position)
        y = classes[label] if label >= 0 else None
        return Sample(item.key, item.x, item.grid, y, item.group, item.mode)

    return labelled
