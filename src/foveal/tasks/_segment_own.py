"""Masks on a sample's own grid: brought back from the prepared one, counted, drawn and written."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import replace
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..datasets.placement import Placement, placed
from ..datasets.prepare import prepare
from ..drawing.pictures import overlaid
from ..grid import Sample, data_of
from ..metrics.cells import count_cells
from ..plan import Plan
from ..readers._scan import restored
from ..target import VOID
from . import Ask, Calibration
from ._segment_judge import judged_classes
from ._tiles import slabs, whole
from ._windows import mask_of, windowed

SLAB = 2**22  # numbers held while answers are brought back


def answer(ask: Ask, sample: Sample, plan: Plan, calibration: Calibration) -> dict[str, Any]:
    """``{"shares", "mask"}``: the share of each class, and the class of each of the sample's own
    cells, uint8 ``(*S)``."""
    mask = mask_of(ask, sample, plan) if windowed(sample, plan) else _mask(ask, sample, plan)
    cells, counts = mask.reshape(-1), np.zeros(len(plan.classes), np.int64)
    for at in range(0, len(cells), SLAB):  # part by part: counting takes eight bytes of a cell
        counts += np.bincount(cells[at : at + SLAB], minlength=len(counts))
    total = max(int(counts.sum()), 1)
    share = {n: round(int(c) / total, 6) for n, c in zip(plan.classes, counts, strict=True)}
    return {"shares": share, "mask": mask}


def _mask(ask: Ask, sample: Sample, plan: Plan) -> NDArray[np.uint8]:
    """The class of each of the sample's own cells.

    Samples of unlike sizes are brought to one, and the answer back. Where samples keep their
    scale (scans brought to one step, signals) and this one is larger
    than the network's grid, nothing is cut off: it is answered in overlapping tiles.
    """
    size, data = sample.x.shape[1:], plan.data
    if data.fit in ("spacing", "ragged") and data.sound is None:
        scale = placed(size, data, sample.grid).scale
        full = tuple(max(1, ceil(n * s - 1e-6)) for n, s in zip(size, scale, strict=True))
        if any(n > t for n, t in zip(full, data.size, strict=True)):
            data = replace(data, size=tuple(map(max, full, data.size)))
    x = prepare(sample.x, data, key=sample.key, grid=sample.grid)
    where = placed(size, data, sample.grid)
    if data.size == plan.data.size:
        return brought_back(ask(x[None])[0], where)
    if not where.whole:
        return brought_back(whole(ask, x, plan.data.size), where)
    out = np.empty(size, np.uint8)
    for start, slab in slabs(ask, x, plan.data.size):
        out[start : start + slab.shape[1]] = slab.argmax(0)
    return out


def brought_back(raw: NDArray[np.float32], where: Placement) -> NDArray[np.uint8]:
    """The class of each cell of the sample's own grid, ``(K, *T) -> (*S)``.

    Raw answers are interpolated between prepared cells, a slab of the first axis at a time, and
    the largest is said. Cells that were cut off by preparing take the nearest.
    """
    if where.whole:
        return np.asarray(raw.argmax(0), np.uint8)
    out = np.empty(where.before, np.uint8)
    others = int(np.prod(where.before[1:], dtype=np.int64)) * len(raw)
    step = max(1, SLAB // max(others, 1))
    for start in range(0, where.before[0], step):
        rows = range(start, min(start + step, where.before[0]))
        slab = where.between(raw, 0, np.array(rows))
        for axis in range(1, len(where.before)):
            slab = where.between(slab, axis, np.arange(where.before[axis]))
        out[start : start + step] = slab.argmax(0)
    return out


def tally(answer: Mapping[str, Any], y: Any, plan: Plan) -> tuple[NDArray[Any], NDArray[Any]]:
    """Cells of class i that were called j, ``(K, K)``, twice."""
    counts = count_cells(answer["mask"], np.asarray(y), len(plan.classes)).astype(np.float32)
    return counts, counts


def files(answer: Mapping[str, Any], sample: Sample) -> tuple[str, bytes]:
    """Ending and content of a label file with the sample's geometry: a PNG with the class's
    position in each pixel, NIfTI with the scan's own affine, .npy for what is neither."""
    mask = answer["mask"]
    content = io.BytesIO()
    if sample.affine is not None and data_of(sample.grid.axes) == "volume":
        return ".nii.gz", _nifti(restored(mask[None], sample.affine)[0], sample)
    if data_of(sample.grid.axes) == "picture" and mask.ndim == len(("y", "x")):
        from PIL import Image

        Image.fromarray(np.ascontiguousarray(mask)).save(content, format="PNG")
        return ".png", content.getvalue()
    np.save(content, np.ascontiguousarray(mask))
    return ".npy", content.getvalue()


def _nifti(mask: NDArray[Any], sample: Sample) -> bytes:
    import gzip

    import nibabel

    make: Any = nibabel.Nifti1Image
    image = make(np.ascontiguousarray(mask), sample.affine)
    image.header.set_xyzt_units("mm")
    # A header holds single precision. What came from its quaternion goes back into that: as a
    # matrix it would be off by some 1e-7 mm.
    assert sample.affine is not None, "asked only of scans"
    if (sample.affine != sample.affine.astype(np.float32)).any():
        turned = make(np.ascontiguousarray(mask), None, image.header)
        turned.set_sform(None, code=0)
        turned.set_qform(sample.affine, code=1)
        image = turned if (turned.header.get_best_affine() == sample.affine).all() else image
    whole: bytes = image.to_bytes()
    return gzip.compress(whole, mtime=0)


def drawn(said: Any, sample: Sample, plan: Plan) -> str:
    """The mask of an answer, or a mask, over the sample, as a data URI."""
    mask = said["mask"] if isinstance(said, Mapping) else said
    low, high = plan.data.low, plan.data.high
    x = sample.x
    if plan.data.scale == "sample" or len(low) != len(x):
        low, high = (float(x.min()),), (float(x.max()) or 1.0,)
    bare = np.flatnonzero(~judged_classes(plan)).tolist()
    return overlaid(x, np.asarray(mask), void=VOID, low=low, high=high, bare=bare)
