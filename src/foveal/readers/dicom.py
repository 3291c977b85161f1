"""DICOM files (.dcm, .dicom, .ima): a picture, or a volume or clip of several frames.

A scan kept as one file per slice is a series: `datasets/series.py` puts those together.
"""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..grid import IMAGE_AXES, Axis, Grid, Sample, time_axis
from . import Reader, unreadable
from ._dicom import SPACINGS, frame_groups, frame_planes, parse, quiet, rescaled, values
from ._scan import NAMES, volume
from ._slices import stack

if TYPE_CHECKING:
    from numpy.typing import NDArray


def read(content: bytes, key: str) -> Sample:
    """The picture, volume or clip in ``content``, in the units that the file tells (of a CT:
    Hounsfield units).

    One frame is a picture x ``(C, y, x)``; frames with places in space are a volume, turned as
    ``_scan.volume`` says; frames with a rate a clip (time, y, x); others a volume without
    measure. Rescaling is applied, and whole results keep a whole type. Where white means little
    (MONOCHROME1), stored values are turned over. Palettes and YBR become RGB. ``mode`` is the
    modality ("CT", "MR").

    Raises: DataError for a file that is damaged, too large, without pixels, packed in a way that
        no installed decoder reads, or when pydicom is not installed.
    """
    with quiet(key):
        header = parse(content, key)
        return _sample(header, rescaled(values(header, key), header, key), key)


def read_slice(content: bytes, key: str) -> tuple[NDArray[np.generic], str]:
    """The values ``(C, y, x)`` of a file of one frame, in its units, and its modality.

    Raises: DataError as `read`.
    """
    with quiet(key):
        header = parse(content, key)
        x = rescaled(values(header, key), header, key)
        if x.shape[1] != 1:
            raise unreadable(f"{x.shape[1]} frames where a slice has one", key)
        return x[:, 0], modality(header)


def _sample(header: Any, x: NDArray[np.generic], key: str) -> Sample:
    mode, frames = modality(header), x.shape[1]
    if frames == 1:
        picture = x[:, 0]
        return Sample(key, picture, Grid(_flat_axes(header), picture.shape[1:]), mode=mode)
    planes = frame_planes(header, frames)
    if planes is not None:
        order, affine = stack(planes, key)
        return volume(key, x[:, order].transpose(0, 3, 2, 1), affine, mode)
    seconds = _frame_time(header)
    axes = tuple(Axis(name) for name in NAMES)
    if seconds is not None:
        axes = (time_axis(seconds), *_flat_axes(header))
    return Sample(key, x, Grid(axes, x.shape[1:]), mode=mode)


def modality(header: Any) -> str:
    """ "CT", "MR", "CR", ...; "DICOM" where the file does not tell."""
    told = "".join(c for c in str(header.get("Modality") or "") if c.isascii() and c.isalnum())
    return told[:16] or "DICOM"


def _flat_axes(header: Any) -> tuple[Axis, ...]:
    """y and x with their steps in millimetres, where the file tells them."""
    measures = frame_groups(header, "PixelMeasuresSequence")
    told = [header.get(name) for name in SPACINGS]
    told += [m.get("PixelSpacing") for m in measures[:1] if m is not None]
    for pair in told:
        try:
            steps = [float(v) for v in pair or ()]
        except (TypeError, ValueError):
            continue
        if len(steps) == len(IMAGE_AXES) and all(1e-6 < s < 1e4 for s in steps):
            return tuple(
                Axis(axis.name, step, "mm") for axis, step in zip(IMAGE_AXES, steps, strict=True)
            )
    return IMAGE_AXES


def _frame_time(header: Any) -> float | None:
    """Seconds from one frame to the next, where the file tells them."""
    try:
        if header.get("FrameTime"):
            seconds = float(header.FrameTime) / 1000
        elif header.get("FrameTimeVector"):
            seconds = float(np.mean([float(v) for v in header.FrameTimeVector[1:]])) / 1000
        else:
            rate = header.get("CineRate") or header.get("RecommendedDisplayFrameRate")
            seconds = 1 / float(rate or 0)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return seconds if math.isfinite(seconds) and 1e-6 < seconds < 1e6 else None


def _example(folder: Path) -> Path:
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = CTImageStorage
    made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = generate_uid(None, ["slice"])
    made.SeriesInstanceUID = generate_uid(None, ["series"])
    made.Modality, made.PhotometricInterpretation = "CT", "MONOCHROME2"
    made.Rows, made.Columns, made.SamplesPerPixel = 4, 5, 1
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 16, 12, 11, 0
    made.PixelSpacing, made.RescaleSlope, made.RescaleIntercept = [0.5, 0.75], 1, -1024
    made.PixelData = np.arange(20, dtype="<u2").tobytes()
    path = folder / "example.dcm"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made.save_as(path, enforce_file_format=True)
    return path


READER = Reader(suffixes=(".dcm", ".dicom", ".ima"), read=read, example=_example)
