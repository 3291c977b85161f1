"""A clip that lies as numbered pictures in a folder of its own: 0001.jpg, 0002.jpg, ..."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError
from ..grid import Axis, Sample
from ..readers import readers
from ..readers.video import as_clip, shrunk, spacing
from .prepare import ALPHA_MODES, has_colour, on_white, with_channels, with_depth

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST = 4  # pictures that make a clip
_FRAME = re.compile(r"(?:frame|image|img|f)?[-_ ]?(\d+)", re.IGNORECASE)


def frame_folders(names: Sequence[str]) -> dict[str, list[int]]:
    """Folders that are clips, with the positions of their frames in order.

    A clip's pictures are called by nothing but a number, or by "frame", "image", "img" or "f"
    and a number, and no number is missing (every second or every fifth will do).
    """
    numbered: dict[str, list[tuple[int, int]]] = {}
    endings = readers()["image"].suffixes
    other: set[str] = set()
    for position, name in enumerate(names):
        if not name.lower().endswith(endings):
            continue
        folder, _, file = name.rpartition("/")
        found = _FRAME.fullmatch(PurePosixPath(file).stem)
        if found is None:
            other.add(folder)
        else:
            numbered.setdefault(folder, []).append((int(found[1]), position))
    return {
        folder: [position for _, position in sorted(frames)]
        for folder, frames in numbered.items()
        if folder not in other and _gapless([number for number, _ in frames])
    }


def _gapless(numbers: list[int]) -> bool:
    steps = set(np.diff(np.sort(np.array(numbers, np.float64))).tolist())
    return len(numbers) >= LEAST and len(steps) == 1 and min(steps) > 0


def read_frames(read: Callable[[int], Sample], frames: Sequence[int], key: str) -> Sample:
    """The clip whose ``frames``, by position, ``read`` gives; as `readers.video.read` gives one.

    Of more than 63 frames 32 to 63 are read, at even distances; large ones are shrunk. The axis
    of time has steps of frames, for nothing tells how long one lasted.

    Raises: DataError for a frame that cannot be read, or is of another size than the first.
    """
    every = spacing(len(frames))
    found = [_pixels(read(position)) for position in frames[::every]]
    height, width = found[0].shape[1:]
    for number, x in enumerate(found):
        if x.shape[1:] != (height, width):
            raise DataError(
                f"frame {number * every + 1} has {x.shape[1]} x {x.shape[2]} pixels, "
                f"the first {height} x {width}",
                where=key,
                mend="give all frames of a clip one size, or take the clip out of the set",
            )
    channels = 3 if any(len(x) == 3 and has_colour(x) for x in found) else 1
    size = shrunk(height, width)
    alike = [_at(with_channels(x, channels, key), size) for x in found]
    time = Axis("time", float(every), "frame", "time", mirrors=False)
    return as_clip(alike, key, time)


def _pixels(sample: Sample) -> NDArray[Any]:
    """``(C, y, x)`` of 8 bits, C 1 or 3."""
    x = on_white(sample.x) if sample.mode in ALPHA_MODES and len(sample.x) in (2, 4) else sample.x
    x = with_depth(x, "uint8")
    return x if x.dtype == np.uint8 else np.clip(np.rint(x), 0, 255).astype(np.uint8)


def _at(x: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """``(y, x, C)`` at ``size``."""
    import torch

    from ..layers.resample import resize

    if x.shape[1:] != size:
        x = resize(torch.from_numpy(np.ascontiguousarray(x))[None], size)[0].numpy()
    return np.ascontiguousarray(x.transpose(1, 2, 0))
