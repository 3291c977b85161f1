"""Scans made up on disk: NIfTI volumes with any affine, DICOM slices and series with any header."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import nibabel
import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, MRImageStorage


def nifti(path: Path, values: np.ndarray, affine: np.ndarray | None = None) -> Path:
    """``values`` (i, j, k) as they lie in the file."""
    matrix = np.eye(4) if affine is None else affine
    image = nibabel.Nifti1Image(values, matrix, dtype=values.dtype)
    image.header.set_xyzt_units("mm")
    path.parent.mkdir(parents=True, exist_ok=True)
    image.to_filename(path)
    return path


def turned(angle: float, axis: int = 0) -> np.ndarray:
    """A rotation (3, 3) by ``angle`` degrees about an axis."""
    turn = np.deg2rad(angle)
    c, s = np.cos(turn), np.sin(turn)
    plain = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    return np.roll(np.roll(plain, axis, 0), axis, 1)


def affine(order=(0, 1, 2), signs=(1, 1, 1), steps=(1, 1, 1), angle=0.0, origin=(0, 0, 0)):
    """File axis i runs along world axis ``order[i]`` with ``signs[i]``; then all is turned."""
    out = np.eye(4)
    matrix = np.zeros((3, 3))
    for i in range(3):
        matrix[order[i], i] = signs[i] * steps[i]
    out[:3, :3] = turned(angle) @ matrix
    out[:3, 3] = origin
    return out


def header(values: np.ndarray, **tags) -> Dataset:
    """A data set that holds ``values`` (y, x) or (frames, y, x); ``tags`` overrule what it has."""
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID = MRImageStorage
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID = UID("1.2.3.4")
    made.SeriesInstanceUID, made.StudyInstanceUID = "1.2.3", "1.2"
    made.Modality, made.PhotometricInterpretation, made.SamplesPerPixel = "MR", "MONOCHROME2", 1
    made.Rows, made.Columns = values.shape[-2:]
    if values.ndim > 2:
        made.NumberOfFrames = values.shape[0]
    width = 8 * values.dtype.itemsize
    made.BitsAllocated, made.BitsStored, made.HighBit = width, width, width - 1
    made.PixelRepresentation = int(values.dtype.kind == "i")
    made.PixelData = values.astype(values.dtype.newbyteorder("<")).tobytes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, value in tags.items():
            setattr(made, name, value)
    return made


def written(made: Dataset) -> bytes:
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made.save_as(file, enforce_file_format=True)
    return file.getvalue()


def dicom(values: np.ndarray, **tags) -> bytes:
    """The bytes of a file that holds ``values``."""
    return written(header(values, **tags))


def series(
    folder: Path,
    values: np.ndarray,
    *,
    uid: str = "1.2.3",
    step: float = 2.0,
    spacing=(0.5, 0.75),
    along=(1, 0, 0),
    down=(0, 1, 0),
    origin=(-10.0, -20.0, 5.0),
    places=None,
    names=None,
    **tags,
) -> Path:
    """A series of the slices ``values`` (k, y, x), written in a shuffled order of names.

    Instance numbers tell the wrong order on purpose; only places are right.
    """
    folder.mkdir(parents=True, exist_ok=True)
    normal = np.cross(along, down)
    places = step * np.arange(len(values)) if places is None else places
    for i in np.random.default_rng(0).permutation(len(values)):
        at = np.asarray(origin, float) + places[i] * normal
        name = f"IM{(7 * int(i)) % 101:04d}" if names is None else names[i]
        content = dicom(
            values[i],
            SeriesInstanceUID=uid,
            InstanceNumber=len(values) - int(i),
            ImagePositionPatient=[f"{v:.8g}" for v in at],
            ImageOrientationPatient=[f"{v:.8g}" for v in (*along, *down)],
            PixelSpacing=list(spacing),
            **tags,
        )
        (folder / name).write_bytes(content)
    return folder
