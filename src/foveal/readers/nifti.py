"""NIfTI volumes (.nii, .nii.gz; versions 1 and 2), as scanners' pictures are kept for research."""

from __future__ import annotations

import math
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError
from ..grid import Axis, Grid, Sample
from . import Reader, unreadable
from ._scan import finite, scaled, volume, within

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_VALUES = 16  # of one cell: modalities or directions, not the hundreds of a time series
MOST_HEADER = 2**20  # bytes before the values
MOST_BEHIND = 2**20  # bytes behind them
MOST_MEMBERS = 100_000
_MARK = b"\x1f\x8b"
_GZIP = 16 + zlib.MAX_WBITS
_PIECE = 2**16
_HEAD = 544  # the longer of the two headers, with the mark of extensions
_UNITS = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}  # unknown, metre, millimetre, micrometre
_COLOUR = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])


def read(content: bytes, key: str) -> Sample:
    """The volume in ``content``: x ``(C, z, y, x)`` towards head, front and right, in mm.

    Slope and intercept are applied; values that stay whole keep a whole type. A fourth axis of
    at most 16 holds values of one cell (modalities), and becomes channels. A file of two axes is
    a picture. See ``_scan.volume`` for the orientation.

    Raises: DataError for a file that is damaged, too large, of more axes, not of real numbers,
        or not finite; and when nibabel is not installed.
    """
    if not content:
        raise unreadable("the file is empty", key)
    packed = content.startswith(_MARK)
    header = _header(_first(content, key) if packed else content[:_HEAD], key)
    try:
        shape, dtype, start = _layout(header, key)
        slope, intercept = _scaling(header)
        with np.errstate(all="ignore"):
            affine = np.asarray(header.get_best_affine(), np.float64)
    except DataError:
        raise
    except Exception as error:  # nibabel raises what numpy and its own parts raise
        raise unreadable(f"its header makes no sense ({_short(error)})", key) from error
    need = start + math.prod(shape) * dtype.itemsize
    if packed:
        content = _unpacked(content, need, key)
    if len(content) < need:
        raise unreadable(
            f"{_words(shape)} cells of {dtype} need {need:,} bytes, {len(content):,} are there", key
        )
    flat = np.frombuffer(content, dtype, math.prod(shape), start)
    return _sample(flat, shape, (slope, intercept), affine, header, key)


def _header(head: bytes, key: str) -> Any:
    """The header, once it is sure that it is one of a single NIfTI file."""
    nifti1, nifti2 = _library(key)
    for kind, mark, at in ((nifti1, b"n+1\0", 344), (nifti2, b"n+2\0", 4)):
        if head[at : at + 4] == mark and len(head) >= kind.template_dtype.itemsize:
            # Whatever its checks would complain of is asked for below, in our words.
            return kind(head[: kind.template_dtype.itemsize], check=False)
    if head[344:348] == b"ni1\0" or head[4:8] == b"ni2\0":
        raise unreadable("the header of a pair of files; save it as one .nii or .nii.gz", key)
    raise unreadable("not a NIfTI file (its mark is missing)", key)


def _library(key: str) -> tuple[Any, Any]:
    try:
        from nibabel.nifti1 import Nifti1Header
        from nibabel.nifti2 import Nifti2Header
    except ImportError as error:
        raise DataError(
            "NIfTI files are read by nibabel, which is not installed",
            where=key,
            mend="pip install 'foveal[medical]'",
        ) from error
    return Nifti1Header, Nifti2Header


def _layout(header: Any, key: str) -> tuple[tuple[int, ...], np.dtype[np.generic], int]:
    """Cells along the file's axes (three, or four with values of a cell), dtype, first byte."""
    count = int(header["dim"][0])
    sizes = [int(n) for n in header["dim"][1 : count + 1]]
    while len(sizes) > 3 and sizes[-1] == 1:
        sizes.pop()
    if not 2 <= count <= 7 or len(sizes) > 5:
        raise unreadable(f"{count} axes; a volume has three, and values of a cell at most", key)
    if len(sizes) == 5 and sizes[3] == 1:  # vectors lie along the fifth axis
        sizes.pop(3)
    if len(sizes) > 4 or (len(sizes) == 4 and sizes[3] > MOST_VALUES):
        raise unreadable(
            f"{_words(tuple(sizes))} cells along {len(sizes)} axes are not one volume: "
            f"at most {MOST_VALUES} values in a cell are read, no series in time",
            key,
        )
    within(tuple(sizes), key)
    dtype = np.dtype(header.get_data_dtype())
    if dtype != _COLOUR and (dtype.kind not in "iuf" or dtype.itemsize > 8):
        raise unreadable(f"values of {dtype} are not real numbers of at most 64 bits", key)
    start = float(header["vox_offset"])
    least = int(header.template_dtype.itemsize)
    if not math.isfinite(start) or not start.is_integer() or start > MOST_HEADER or start < 0:
        raise unreadable(f"its values begin at byte {start:g}, which cannot be", key)
    return tuple(sizes), dtype, max(int(start), least + 4)


def _scaling(header: Any) -> tuple[float, float]:
    """Slope and intercept; a slope of 0 or NaN means that values stand as they are."""
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    return (1.0, 0.0) if slope == 0 or not math.isfinite(slope) else (slope, intercept)


def _sample(
    flat: NDArray[np.generic],
    shape: tuple[int, ...],
    scaling: tuple[float, float],
    affine: NDArray[np.float64],
    header: Any,
    key: str,
) -> Sample:
    if flat.dtype == _COLOUR:
        flat, shape = flat.view(np.uint8).reshape(-1, 3).T.reshape(-1), (*shape, 3)
    if not flat.dtype.isnative:
        flat = flat.astype(flat.dtype.newbyteorder("="))
    flat = finite(scaled(flat, *scaling, key), key)
    unit = _UNITS.get(int(header["xyzt_units"]) & 7, 1.0)
    if len(shape) == 2:
        steps = [float(n) * unit for n in header["pixdim"][1:3]]
        return _picture(flat.reshape(shape[::-1]), steps, key)
    cells = flat.reshape((*shape[3:], 1)[0], *shape[2::-1])  # the file's first axis runs fastest
    affine = np.diag([unit, unit, unit, 1.0]) @ affine
    return volume(key, cells.transpose(0, 3, 2, 1), affine, "NIfTI")


def _picture(values: NDArray[np.generic], steps: list[float], key: str) -> Sample:
    """A file of two axes, rows upwards as radiologists' tools show it."""
    if not all(1e-6 < s < 1e4 for s in steps):
        raise unreadable(f"cells of {steps[0]:g} x {steps[1]:g} mm make no sense", key)
    axes = (Axis("y", steps[1], "mm"), Axis("x", steps[0], "mm"))
    return Sample(key, values[None], Grid(axes, values.shape), mode="NIfTI")


def _unpacked(content: bytes, need: int, key: str) -> bytes:
    """What a gzip file holds, its checksums compared; little more than ``need`` bytes at most.

    It may be written in several members, as parallel packers do.
    """
    unpack, parts = zlib.decompressobj(_GZIP), []
    room, members, at, piece = need + MOST_BEHIND, 1, 0, b""
    try:
        while piece or at < len(content):
            if not piece:
                piece, at = content[at : at + _PIECE], at + _PIECE
            if unpack.eof:
                if piece[0] != _MARK[0]:  # padding behind the last member
                    break
                unpack, members = zlib.decompressobj(_GZIP), members + 1
            parts.append(unpack.decompress(piece, room + 1))
            room -= len(parts[-1])
            piece = unpack.unused_data
            if room < 0 or members > MOST_MEMBERS:
                raise unreadable("unpacks to far more than its header tells", key)
    except zlib.error as error:
        raise unreadable(f"damaged gzip file ({error})", key) from error
    if not unpack.eof:
        raise unreadable("the packed file ends too early", key)
    return b"".join(parts)


def _first(content: bytes, key: str) -> bytes:
    """The first bytes of what a gzip file holds: enough for a header."""
    try:
        return zlib.decompressobj(_GZIP).decompress(content[:_PIECE], _HEAD)
    except zlib.error as error:
        raise unreadable(f"damaged gzip file ({error})", key) from error


def _words(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:80]}"


def _example(folder: Path) -> Path:
    import nibabel

    path = folder / "example.nii.gz"
    values = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    make: Any = nibabel.Nifti1Image
    make(values, np.diag([1.0, 2.0, 3.0, 1.0])).to_filename(path)
    return path


READER = Reader(suffixes=(".nii", ".nii.gz"), read=read, example=_example)
