"""What a file is before any network sees it: values on a grid whose axes have meaning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

Kind = Literal["space", "time", "order"]


@dataclass(frozen=True, slots=True)
class Axis:
    """One direction of a grid.

    Args:
        name: "y", "x", "z", "time", "position".
        step: distance between neighbouring cells, in ``unit`` ("mm", "s", "char", "cell").
        kind: "space", "time" or "order" (text).
        mirrors: whether a flipped axis could occur in nature. Never for time or text.
    """

    name: str
    step: float = 1.0
    unit: str = "cell"
    kind: Kind = "space"
    mirrors: bool = True


@dataclass(frozen=True, slots=True)
class Grid:
    """Axes with meaning, and how many cells lie along each."""

    axes: tuple[Axis, ...]
    size: tuple[int, ...]

    @property
    def rank(self) -> int:
        """Number of axes: 1 text or signal, 2 picture, 3 volume or video."""
        return len(self.axes)


IMAGE_AXES = (Axis("y"), Axis("x"))
TEXT_AXES = (Axis("text", unit="byte", kind="order", mirrors=False),)

Data = Literal["text", "signal", "picture", "volume", "video", "rows"]


def time_axis(step: float) -> Axis:
    """The axis of a signal or of a clip: ``step`` seconds between neighbours, never mirrored."""
    return Axis("time", step, "s", "time", mirrors=False)


def time_of(axes: tuple[Axis, ...]) -> int | None:
    """Position of the axis of time in a grid that has space as well (a clip); None in others."""
    return next((i for i, a in enumerate(axes) if a.kind == "time"), None) if _film(axes) else None


def _film(axes: tuple[Axis, ...]) -> bool:
    return {"time", "space"} <= {axis.kind for axis in axes}


def data_of(axes: tuple[Axis, ...]) -> Data:
    """What people call a grid with these axes; told from their meaning, never from their number.

    "text", "signal" (time alone), "video" (time and space), "volume" (space with a "z"),
    "picture" (any other space) or "rows" (an order without a name, as in a table's row).
    """
    kinds = {axis.kind for axis in axes}
    if any(axis.name == "text" for axis in axes):
        return "text"
    if "time" in kinds:
        return "video" if _film(axes) else "signal"
    if "space" not in kinds:
        return "rows"
    return "volume" if any(axis.name == "z" for axis in axes) else "picture"


@dataclass(frozen=True, slots=True)
class Sample:
    """One item as read. ``x`` is ``(C, *grid.size)`` in the file's own dtype and units.

    Samples of one ``group`` never straddle a split. ``mode`` names the source's colour mode
    or layout ("RGB", "L", "I;16", "P", "CMYK", "MR", "CT"), for the card. ``affine`` of a scan
    takes cell numbers of the file's own array to millimetres; `readers._scan.restored` turns
    answers back onto that array.
    """

    key: str
    x: NDArray[np.generic]
    grid: Grid
    y: Any = None
    group: str | None = None
    mode: str = ""
    affine: NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """What the network eats. ``x`` ``(B, C, *S)`` raw cache values; ``y`` encoded targets.

    ``index`` ``(B,)`` tells the position of each row in its part. ``mask`` ``(B, 1, *S)`` is 1
    on real cells and 0 on padding; None where nothing was padded.
    """

    x: Tensor
    y: Tensor | None
    index: Tensor
    mask: Tensor | None = None
