"""From a file's values to the network's: one function on every road, so none can differ.

Rules, in order:
* **Depth.** The set has one depth (``data.dtype``). 8-bit values meet a 16-bit set times 257 and
  the reverse divided, so white stays white; other values are taken as they stand.
* **Alpha** is composited on white, as on a page: drawings on a clear ground are mostly dark.
* **Channels.** Grey is repeated for a colour net; colour becomes ITU-R 601 luma for a grey one.
  Channels of a recording are mixed, or its one channel is repeated.
* **Sound** becomes one waveform at the plan's rate, and that a picture of pitch and time.
* **Scale.** "sample" brings each channel of each sample to zero mean and unit spread first.
* **Frames** of a clip are picked, one from the middle of each of ``data.size`` equal spans: blended
  frames would show what never was.
* **Shape.** "stretch" scales each axis; "pad" scales to fit inside and fills the rest with the
  sample's own mean; "crop" scales to cover and keeps the centre; "ragged" scales nothing: what is
  too long is cut, and behind what is too short stands NaN (0 where values are whole), from which
  the network tells its mask (networks/ragged.py); "spacing" brings every sample to one step
  between cells (``data.step``), cuts what then sticks out of the box around its centre and fills
  the rest with its own mean. A sample without steps counts as one that has them already.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..grid import Grid, data_of
from ..plan import DataPart
from .boxed import boxed
from .mel import heard
from .tokens import ids

Values = NDArray[Any]

# Modes of picture files whose second or fourth channel is alpha; arrays name theirs otherwise.
ALPHA_MODES = frozenset(
    {"LA", "La", "PA", "RGBA", "RGBa", "LA;16", "RGBA;16", "P", "1", "L", "RGB", "RGB;16"}
)
_PART = 2**20
_TOP = {"uint8": 255, "uint16": 65535}


def prepare(
    x: Values, data: DataPart, *, key: str = "this sample", grid: Grid | None = None
) -> Values:
    """What the cache holds and the network eats.

    Args:
        x: ``(C, *S)`` as read, of any number type.
        key: names the sample in an error. grid: its axes, whose steps count for "spacing".

    Shapes: ``(C, *S) -> (data.channels, *data.size)`` of `stored_as` (data).
    Raises: DataError when channels or axes do not fit, or a value is not finite.
    """
    wanted = len(data.size) if data.sound is None else 1
    if x.ndim != 1 + wanted or 0 in x.shape:
        raise DataError(
            f"has the shape {x.shape[1:]} where {wanted} axes are needed",
            where=key,
            mend="give samples like those that the model was trained on",
        )
    if x.dtype.kind not in "buif" or (x.dtype.kind == "f" and not np.isfinite(x).all()):
        raise DataError(
            "holds values that are not finite numbers",
            where=key,
            mend="replace NaN and infinity before saving the file",
        )
    if data.text is not None:
        return ids(x, data.text, data.size[0])
    if data.sound is not None:
        x = heard(x, data.sound, grid)
    elif grid is not None and data_of(grid.axes) == "signal":
        x = _mixed(x, data.channels)
    x = with_channels(with_depth(x, data.dtype), data.channels, key)
    x = shaped(standardised(x) if data.scale == "sample" else x, data, grid)
    if stored_as(data) == "uint8":
        return x if x.dtype == np.uint8 else np.clip(np.rint(x), 0, 255).astype(np.uint8)
    return x.astype(np.float32, copy=False)


def stored_as(data: DataPart) -> str:
    """The dtype of prepared samples: "uint8", "float32", or "int32" for the tokens of a text."""
    if data.text is not None:
        return "int32"
    return "uint8" if data.dtype == "uint8" and data.scale == "set" else "float32"


def standardised(x: Values) -> Values:
    """Each channel of ``(C, *S)`` at zero mean and unit spread, float32; a constant one at zero."""
    out = np.empty(x.shape, np.float32)
    for values, wide in zip(x, out, strict=True):
        np.subtract(values, values.mean(dtype=np.float64), out=wide, casting="unsafe")
        # Part by part: a whole volume in 64 bits would be the largest thing in memory.
        parts = np.array_split(wide.reshape(-1), 1 + wide.size // _PART)
        square = sum(float(np.square(part, dtype=np.float64).sum()) for part in parts)
        spread = (square / wide.size) ** 0.5
        wide /= spread if spread > 1e-12 else 1.0
    return out


def _mixed(x: Values, channels: int) -> Values:
    """A recording ``(C, L)`` with ``channels`` channels where that is mono; else as it is."""
    if channels == 1 and len(x) > 1:
        return np.asarray(x.mean(axis=0, dtype=np.float64, keepdims=True), np.float32)
    return np.repeat(x, channels, axis=0) if len(x) == 1 else x


def with_depth(x: Values, dtype: str) -> Values:
    """``x`` on the scale of a set of ``dtype``."""
    if x.dtype == bool:
        return x.astype(np.uint8)
    if dtype == "uint16" and x.dtype == np.uint8:
        return x.astype(np.uint16) * np.uint16(257)
    if dtype == "uint8" and x.dtype == np.uint16:
        return ((x.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return x


def with_channels(x: Values, channels: int, key: str = "this sample") -> Values:
    """``x`` ``(C, *S)`` with ``channels`` channels. Raises: DataError when there is no rule."""
    if x.shape[0] != channels and channels in (1, 3) and x.shape[0] in (2, 4):
        x = on_white(x)
    if x.shape[0] == channels:
        return x
    if x.shape[0] == 1 and channels == 3:
        return np.repeat(x, 3, axis=0)
    if x.shape[0] == 3 and channels == 1:
        return grey(x) if has_colour(x) else x[:1]
    raise DataError(
        f"has {x.shape[0]} channels where the set has {channels}",
        where=key,
        mend="give every sample the same channels, or remove it",
    )


def on_white(x: Values) -> Values:
    """The channels before the last, composited on white by the last, which is their alpha."""
    top = _TOP.get(x.dtype.name, 1)
    wide = x.astype(np.uint64 if x.dtype.kind == "u" else np.float64)
    mixed = wide[:-1] * wide[-1:] + top * (top - wide[-1:])
    if x.dtype.kind == "u":
        return ((mixed + top // 2) // top).astype(x.dtype)
    return (mixed / top).astype(x.dtype)


def grey(x: Values) -> Values:
    """Luma ``(1, *S)`` of ``(3, *S)``; equal channels come out unchanged, to the last bit.

    Source: ITU-R BT.601-7, section 2.5.1, in 16-bit fixed point for whole numbers.
    """
    if x.dtype.name not in _TOP:
        wide = x.astype(np.float64)
        mixed = wide[:1] + 0.587 * (wide[1:2] - wide[:1]) + 0.114 * (wide[2:3] - wide[:1])
        return (mixed if x.dtype.kind == "f" else np.rint(mixed)).astype(x.dtype)
    fixed = x.astype(np.uint32)  # 65,536 x 65,535 + 32,768 just fits
    fixed = (
        np.uint32(19595) * fixed[:1] + np.uint32(38470) * fixed[1:2] + np.uint32(7471) * fixed[2:]
    )
    luma: Values = (fixed + np.uint32(32768)) >> np.uint32(16)
    return luma.astype(x.dtype)


def has_colour(x: Values) -> bool:
    """Whether the three channels of ``x`` ``(3, *S)`` differ anywhere."""
    return bool((x[0] != x[1]).any() or (x[0] != x[2]).any())


def cells_first(x: Values) -> Values:
    """``(C, *S)`` seen as ``(*S, C)``; contiguous where ``x`` was read cell by cell."""
    return x.transpose(*range(1, x.ndim), 0)


def shaped(x: Values, data: DataPart, grid: Grid | None = None) -> Values:
    """``x`` ``(C, *S)`` brought to ``data.size`` by ``data.fit``; ``x`` itself when it fits."""
    if data.fit == "spacing":
        return boxed(x, data.size, steps_of(data, grid))
    for axis in data.sampled:
        x = picked(x, axis, data.size[axis])
    if x.shape[1:] == data.size:
        return x
    if data.fit == "stretch":
        return _resized(x, data.size)
    if data.fit == "ragged":
        return _cut_or_filled(x, data.size)
    inner = inner_size(x.shape[1:], data)
    x = _resized(x, inner)
    if data.fit == "pad":
        return _padded(x, data.size)
    starts = [(i - t) // 2 for i, t in zip(inner, data.size, strict=True)]
    return x[(slice(None), *[slice(a, a + t) for a, t in zip(starts, data.size, strict=True)])]


def inner_size(size: tuple[int, ...], data: DataPart) -> tuple[int, ...]:
    """Cells that a sample of ``size`` is scaled to, before it is padded or cropped."""
    if data.fit == "stretch":
        return data.size
    pairs = list(enumerate(zip(size, data.size, strict=True)))
    scales = [t / s for axis, (s, t) in pairs if axis not in data.sampled]
    scale = min(scales) if data.fit == "pad" else max(scales)
    return tuple(
        t if axis in data.sampled else _near(s * scale, t, data.fit) for axis, (s, t) in pairs
    )


def steps_of(data: DataPart, grid: Grid | None) -> tuple[float, ...]:
    """Old cells per new cell along each axis, where cells have a length."""
    if grid is None or any(axis.unit != "mm" for axis in grid.axes):
        return (1.0,) * len(data.size)
    return tuple(new / axis.step for new, axis in zip(data.step, grid.axes, strict=True))


def picked(x: Values, axis: int, count: int) -> Values:
    """``count`` cells of ``x`` ``(C, *S)`` along one grid axis: the middles of as many spans.

    A short axis gives some cells twice. Source: Wang et al., arXiv:1608.00859, section 3.1.
    """
    there = x.shape[1 + axis]
    if there == count:
        return x
    middles = (np.arange(count) * 2 + 1) * there // (2 * count)
    chosen: Values = np.take(x, middles, axis=1 + axis)
    return chosen


def _cut_or_filled(x: Values, size: tuple[int, ...]) -> Values:
    """The first cells along each axis; NaN, or 0 for whole numbers, behind those there are."""
    x = x[(slice(None), *[slice(0, n) for n in size])]
    if x.shape[1:] == size:
        return x
    whole = x.dtype == np.uint8
    out = np.full((len(x), *size), 0 if whole else np.nan, np.uint8 if whole else np.float32)
    out[(slice(None), *[slice(0, n) for n in x.shape[1:]])] = x
    return out


def _near(cells: float, target: int, fit: str) -> int:
    return max(1, min(round(cells), target)) if fit == "pad" else max(round(cells), target)


def _padded(x: Values, size: tuple[int, ...]) -> Values:
    fill = x.reshape(x.shape[0], -1).mean(axis=1, dtype=np.float64)
    if x.dtype.kind in "ui":
        fill = np.rint(fill)
    out = np.empty((x.shape[0], *size), x.dtype)
    out[:] = fill.astype(x.dtype).reshape(-1, *[1] * len(size))
    starts = [(t - s) // 2 for t, s in zip(size, x.shape[1:], strict=True)]
    out[(slice(None), *[slice(a, a + s) for a, s in zip(starts, x.shape[1:], strict=True)])] = x
    return out


def _resized(x: Values, size: tuple[int, ...]) -> Values:
    """Antialiased. uint8 stays uint8, all else becomes float32."""
    import torch

    from ..layers.resample import resize

    if x.shape[1:] == size:
        return x
    if x.dtype != np.uint8:
        x = x.astype(np.float32)
    out: Values = resize(torch.from_numpy(np.ascontiguousarray(x))[None], size)[0].numpy()
    return out
