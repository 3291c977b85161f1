"""Listings and stores made up in memory, for tests that need no files."""

from pathlib import Path

import numpy as np

from foveal.datasets.listing import Listing, parts_present
from foveal.errors import DataError
from foveal.grid import IMAGE_AXES, Axis, Grid, Sample


def listing_of(
    items, labels=None, parts=None, *, modes=None, stamp="made", classes=None, seen=None
):
    """A listing of ``(C, *S)`` arrays; an item that is a string cannot be read, for that reason.

    ``seen`` is a list that notes which positions were read, in order.
    """
    count = len(items)
    labels = np.zeros(count, np.int32) if labels is None else np.asarray(labels, np.int32)
    parts = np.zeros(count, np.int8) if parts is None else np.asarray(parts, np.int8)

    def read(i):
        if seen is not None:
            seen.append(i)
        item = items[i]
        if isinstance(item, str):
            raise DataError(item, where=f"item {i}", mend="replace it")
        rank = item.ndim - 1
        axes = IMAGE_AXES if rank == 2 else tuple(Axis(n) for n in "zyx"[:rank])
        mode = modes[i] if modes else ""
        return Sample(f"item {i}", item, Grid(axes, item.shape[1:]), mode=mode)

    return Listing(
        path="made/up",
        name="made",
        layout="arrays",
        keys=[f"item {i}" for i in range(count)],
        labels=labels,
        parts=parts,
        has_parts=parts_present(parts),
        classes=classes or tuple(f"class {i}" for i in range(int(labels.max(initial=0)) + 1)),
        read=read,
        stamp=stamp,
    )


def pictures(count, size=(8, 8), channels=3, dtype=np.uint8, seed=0):
    """``count`` different random ``(C, *S)`` arrays."""
    values = np.random.default_rng(seed).integers(0, 256, (count, channels, *size))
    return list(values.astype(dtype))


def files_under(folder: Path):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
