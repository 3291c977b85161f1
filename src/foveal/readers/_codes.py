"""Files that hold a class per cell: pictures, volumes or arrays of whole numbers or of colours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from . import image, read, reader_for, readers, unreadable

COLOUR = 2**24  # added to red, green and blue in one number, where they differ


def codes(content: bytes, key: str) -> NDArray[np.int64]:
    """One whole number per cell ``(*S)``: the value, the place in the palette, or the colour.

    Equal values of red, green and blue count as that value; other colours as `COLOUR` + 65536 red
    + 256 green + blue. Alpha is not looked at.

    Raises: DataError for a file that no reader can use, or that holds other than whole numbers.
    """
    pictured = reader_for(key) is readers()["image"]
    sample = image.read(content, key, indices=True) if pictured else read(content, key)
    x = sample.x[: len(sample.x) - (len(sample.x) in (2, 4))]
    if len(x) not in (1, 3):
        raise unreadable(f"holds {len(x)} values per cell where one class is needed", key)
    whole = x.astype(np.int64)
    if x.dtype.kind == "f" and bool((whole != x).any()):
        raise unreadable("holds values that are no whole numbers, so no classes", key)
    if len(whole) == 1:
        return np.asarray(whole[0])
    red, green, blue = whole
    grey = (red == green) & (green == blue)
    return np.asarray(np.where(grey, red, COLOUR + 65536 * red + 256 * green + blue))


def said(code: int) -> str:
    """The value as people write it: "7" or "#ff0080"."""
    return str(code) if code < COLOUR else f"#{code - COLOUR:06x}"
