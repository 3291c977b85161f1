"""Samples as small pictures that a page can carry inside itself."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL import Image

EDGE = 144  # pixels of the longer side at most: 40 of the noisiest then take 4 MB
LARGE = 320  # pixels of the longer side of a picture with boxes: their lines need room
STRIP = 16  # rows in which a single line of values is drawn


def picture(
    x: NDArray[Any], *, low: Sequence[float] = (0.0,), high: Sequence[float] = (255.0,)
) -> str:
    """``x`` (C, *S) as a data URI of a PNG.

    Values from ``low`` to ``high`` per channel (or one for all) become black to white. Of a grid
    with more than two axes the middle slice of the leading ones is shown; a single axis is drawn
    as a strip. Small pictures stay small: the page enlarges them without blurring.
    """
    from PIL import Image

    *leading, height, width = (1, *np.shape(x)[1:])
    slices = np.reshape(x, (len(x), prod(leading), height, width))
    cells = slices[:, slices.shape[1] // 2]
    if height == 1:
        cells = cells.repeat(STRIP, axis=1)
    colours = np.moveaxis(_bytes(cells, low, high), 0, -1)
    colours = colours[..., :3] if colours.shape[-1] >= 3 else colours[..., :1].repeat(3, axis=-1)
    image = Image.fromarray(np.ascontiguousarray(colours))
    if max(image.size) > EDGE:
        image.thumbnail((EDGE, EDGE), Image.Resampling.BOX)
    return _uri(image)


def _uri(image: Image.Image) -> str:
    content = io.BytesIO()
    image.save(content, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(content.getvalue()).decode("ascii")


COLOURS = (
    *((230, 25, 75), (60, 180, 75), (255, 225, 25), (0, 130, 200), (245, 130, 48), (145, 30, 180)),
    *((70, 240, 240), (240, 50, 230), (210, 245, 60), (250, 190, 212), (0, 128, 128)),
    *((220, 190, 255), (170, 110, 40), (255, 250, 200), (128, 0, 0), (170, 255, 195)),
    *((128, 128, 0), (255, 215, 180), (0, 0, 128)),
)


def boxed(
    x: NDArray[Any],
    boxes: Sequence[Sequence[float]],
    *,
    low: Sequence[float] = (0.0,),
    high: Sequence[float] = (255.0,),
) -> str:
    """``x`` (C, *S) with outlines over it, as a data URI of a PNG of at most 320 pixels.

    boxes: class and corners of each, ``1 + 2 R`` numbers in cells of ``x``; the class gives the
    colour. Of a grid with more than two axes the slice that most boxes cross is shown.
    """
    from PIL import Image, ImageDraw

    size = x.shape[1:]
    corners = np.array([box[1:] for box in boxes], np.float64).reshape(-1, 2 * len(size))
    front, back = np.split(corners, 2, axis=1)
    leading = max(len(size) - 2, 0)
    at = [_busiest(front[:, i], back[:, i], size[i]) for i in range(leading)]
    shown = [
        i for i in range(len(boxes)) if all(front[i, a] <= n < back[i, a] for a, n in enumerate(at))
    ]
    cells = np.asarray(x)
    for n in at:
        cells = cells[:, n]
    cells = cells if leading < len(size) - 1 else cells[:, None].repeat(STRIP, axis=1)
    seen = _bytes(cells, low, high)
    seen = seen[:3] if len(seen) >= 3 else seen[:1].repeat(3, axis=0)
    image = Image.fromarray(np.ascontiguousarray(np.moveaxis(seen, 0, -1)))
    scale = LARGE / max(image.size)
    whole = (max(1, round(image.size[0] * scale)), max(1, round(image.size[1] * scale)))
    image = image.resize(whole, Image.Resampling.BILINEAR)
    pen = ImageDraw.Draw(image)
    for i in shown:
        *_, top, left = (0.0, *front[i, leading:])
        *_, bottom, right = (float(STRIP), *back[i, leading:])
        edges = [left * scale, top * scale, right * scale - 1, bottom * scale - 1]
        edges[2:] = [max(edges[0], edges[2]), max(edges[1], edges[3])]
        pen.rectangle(edges, outline=COLOURS[int(boxes[i][0]) % len(COLOURS)], width=2)
    return _uri(image)


def _busiest(front: NDArray[np.float64], back: NDArray[np.float64], count: int) -> int:
    """The cell along an axis that most boxes cross, the middle one where there are none."""
    cells = np.arange(count)[:, None]
    crossed = ((front <= cells) & (cells < back)).sum(1)
    best = np.flatnonzero(crossed == crossed.max())
    return int(best[len(best) // 2])


def colour_of(position: int) -> str:
    """The colour of a class, as "#rrggbb"; classes far apart in the list may share one."""
    return "#{:02x}{:02x}{:02x}".format(*COLOURS[position % len(COLOURS)])


def overlaid(
    x: NDArray[Any],
    mask: NDArray[Any],
    *,
    void: int,
    low: Sequence[float] = (0.0,),
    high: Sequence[float] = (255.0,),
    bare: Sequence[int] = (),
    share: float = 0.55,
) -> str:
    """``x`` (C, *S) with the colour of each cell's class ``mask`` (*S) over it; void is grey.

    Drawn as `picture` does, with the slice that has most classes of a grid of many. bare: classes
    that are left without colour (a background).
    """
    *leading, height, width = (1, *mask.shape)
    flat = mask.reshape(prod(leading), height, width)
    busy = max(range(len(flat)), key=lambda i: (len(np.unique(flat[i])), -abs(i - len(flat) // 2)))
    seen = _bytes(x.reshape(len(x), prod(leading), height, width)[:, busy], low, high)
    seen = seen[:3] if len(seen) >= 3 else seen[:1].repeat(3, axis=0)
    table = np.array([COLOURS[i % len(COLOURS)] for i in range(256)], np.float64)
    table[void] = 128
    shares = np.full(256, share)
    shares[list(bare)] = 0.0
    over = shares[flat[busy]][..., None]
    mixed = (1 - over) * np.moveaxis(seen, 0, -1) + over * table[flat[busy]]
    return picture(np.moveaxis(mixed, -1, 0))


def _bytes(x: NDArray[Any], low: Sequence[float], high: Sequence[float]) -> NDArray[np.uint8]:
    dark = np.asarray(low, np.float64).reshape(-1, 1, 1)
    bright = np.asarray(high, np.float64).reshape(-1, 1, 1)
    if len(dark) not in (1, len(x)):
        dark, bright = dark[:1], bright[:1]
    span = np.where(bright > dark, bright - dark, 1.0)
    share = np.clip((np.nan_to_num(x.astype(np.float64)) - dark) / span, 0.0, 1.0)
    return np.asarray(np.rint(share * 255), np.uint8)
