"""What lies in one DICOM file: its header, its values in real units, where its frames lie."""

from __future__ import annotations

import hashlib
import io
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError
from . import unreadable
from ._codestream import check_frames
from ._scan import finite, scaled, within
from ._slices import Plane, plane

if TYPE_CHECKING:
    from numpy.typing import NDArray

MARK, MARK_AT = b"DICM", 128
NO_PICTURE = "a DICOM file without a picture (a plan, a report, a directory)"
_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
SPACINGS = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")
_PLAIN = frozenset({"1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"})
_DEFLATED, _RUN_LENGTH = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.5"
_MOST_DEFLATED = 400 * 2**20
_META_END = 144  # bytes before the file's own description, whose length stands in the last four
# pydicom warns of what is odd in a header, process-wide: one thread at a time may silence it.
_ONE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True, slots=True)
class Head:
    """What the header of a file tells of the series it belongs to.

    patient: a hash of the patient's id, -1 where there is none: the id itself goes nowhere.
    plane: where its only frame lies; None where it has several, or none is told.
    """

    series: str
    patient: int
    rows: int
    columns: int
    frames: int
    channels: int
    plane: Plane | None


def marked(content: bytes) -> bool:
    """Whether a file without a telling name is one of DICOM, by its first bytes."""
    return content[MARK_AT : MARK_AT + 4] == MARK


def head(content: bytes, key: str) -> Head:
    """The `Head` of a file, of which ``content`` may be only the beginning.

    Raises: DataError when it is no DICOM file, or one without a picture.
    """
    with quiet(key):
        header = parse(content, key, pixels=False)
        if "Rows" not in header:
            raise unreadable(NO_PICTURE, key)
        frames = int(header.get("NumberOfFrames") or 1)
        patient = str(header.get("PatientID") or "").strip()
        return Head(
            series=str(header.get("SeriesInstanceUID") or ""),
            patient=_hash(patient) if patient else -1,
            rows=int(header.Rows),
            columns=int(header.Columns),
            frames=frames,
            channels=int(header.get("SamplesPerPixel") or 1),
            plane=plane_of(header) if frames == 1 else None,
        )


def parse(content: bytes, key: str, *, pixels: bool = True) -> Any:
    """The data set in ``content``, to be asked inside `quiet` alone: values are worked out then.

    Raises: DataError when it is none, or pydicom is missing.
    """
    library = _library(key)
    if not content:
        raise unreadable("the file is empty", key)
    force = not marked(content)
    if force and content[:4] not in (b"\x02\0\0\0", b"\x08\0\x05\0", b"\x08\0\x08\0"):
        raise unreadable("not a DICOM file (its mark is missing)", key)
    _check_deflated(content, key)
    header = library.dcmread(io.BytesIO(content), force=force, stop_before_pixels=not pixels)
    if "TransferSyntaxUID" not in header.file_meta:
        implicit, small = header.original_encoding
        known = library.uid
        told = known.ImplicitVRLittleEndian if implicit else known.ExplicitVRLittleEndian
        header.file_meta.TransferSyntaxUID = told if small else known.ExplicitVRBigEndian
    return header


def values(header: Any, key: str) -> NDArray[np.generic]:
    """The values ``(C, frames, rows, columns)`` that the file stores, before any rescaling.

    Palettes and YBR become RGB; where white means little (MONOCHROME1), values are turned over.
    Raises: DataError when they are too many, missing, damaged, or packed in an unknown way.
    """
    from pydicom.pixels.processing import apply_color_lut
    from pydicom.pixels.utils import pixel_array

    if not any(name in header for name in _PIXELS):
        raise unreadable(NO_PICTURE, key)
    shape = tuple(int(header.get(n) or 0) for n in ("Rows", "Columns"))
    frames, channels = int(header.get("NumberOfFrames") or 1), int(header.SamplesPerPixel)
    within((channels, frames, *shape), key)
    _check_packing(header, frames, shape, key)
    found = np.asarray(pixel_array(header))
    kind = str(header.PhotometricInterpretation)
    if kind == "PALETTE COLOR":
        found, channels = apply_color_lut(found, header), 3
        within((channels, frames, *shape), key)
    found = found.reshape(frames, *shape, channels).transpose(3, 0, 1, 2)
    if not found.dtype.isnative:
        found = found.astype(found.dtype.newbyteorder("="))
    if kind.startswith("MONOCHROME") and found.dtype.kind in "iu":
        found = _stored_bits(found, header, turned=kind == "MONOCHROME1")
    return finite(found, key)


def _stored_bits(found: NDArray[Any], header: Any, *, turned: bool) -> NDArray[Any]:
    """Without the bits above those in use (old files keep drawings there), turned over if asked."""
    stored, width = int(header.BitsStored), 8 * found.dtype.itemsize
    if stored < width and int(header.HighBit) == stored - 1:
        found = (found << (width - stored)) >> (width - stored)  # keeps the sign
    if not turned:
        return found
    return ~found if found.dtype.kind == "i" else found ^ found.dtype.type(2**stored - 1)


def rescaled(found: NDArray[Any], header: Any, key: str) -> NDArray[np.generic]:
    """``found`` ``(C, frames, y, x)`` in the units that the header tells, of each frame or all.

    Of a CT these are Hounsfield units. Raises: DataError for scaling that is not finite.
    """
    if header.get("ModalityLUTSequence"):
        from pydicom.pixels.processing import apply_modality_lut

        return np.asarray(apply_modality_lut(found, header))
    pairs = [_pair(header)] if "RescaleSlope" in header else _frame_pairs(header)
    if len(set(pairs)) < 2:
        slope, intercept = pairs[0] if pairs else (1.0, 0.0)
        return finite(scaled(found, slope, intercept, key), key)
    if len(pairs) != found.shape[1]:
        raise unreadable(f"{len(pairs)} scalings for {found.shape[1]} frames", key)
    parts = [scaled(found[:, i], *pair, key) for i, pair in enumerate(pairs)]
    return finite(np.stack(parts, 1), key)


def _pair(group: Any) -> tuple[float, float]:
    return float(group.get("RescaleSlope") or 1), float(group.get("RescaleIntercept") or 0)


def _frame_pairs(header: Any) -> list[tuple[float, float]]:
    groups = frame_groups(header, "PixelValueTransformationSequence")
    return [_pair(group) for group in groups if group is not None]


def frame_groups(header: Any, name: str) -> list[Any]:
    """What a multi-frame file tells under ``name`` of each frame, or once of all of them."""
    shared = header.get("SharedFunctionalGroupsSequence") or [{}]
    frames = header.get("PerFrameFunctionalGroupsSequence") or []
    common = (shared[0].get(name) or [None])[0]
    found = [(frame.get(name) or [common])[0] for frame in frames]
    return found or ([common] if common is not None else [])


def plane_of(header: Any) -> Plane | None:
    """Where the only frame of a file lies."""
    try:
        return plane(
            header.get("ImagePositionPatient") or (),
            header.get("ImageOrientationPatient") or (),
            header.get("PixelSpacing") or (),
        )
    except (ValueError, TypeError):  # numbers that are none
        return None


def frame_planes(header: Any, frames: int) -> list[Plane] | None:
    """Where each frame of a file lies; None where it does not tell.

    Told by the groups of enhanced files, or by the offsets of a dose grid.
    """
    names = ("PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence")
    columns = [frame_groups(header, name) for name in names]
    if all(columns) and len(columns[0]) == frames:
        at, look, measure = (c if len(c) == frames else c * frames for c in columns)
        found = [
            plane(
                a.get("ImagePositionPatient") or (),
                o.get("ImageOrientationPatient") or (),
                m.get("PixelSpacing") or (),
            )
            for a, o, m in zip(at, look, measure, strict=False)
            if None not in (a, o, m)
        ]
    else:
        first, offsets = plane_of(header), header.get("GridFrameOffsetVector")
        if first is None or offsets is None or len(offsets) != frames:
            return None
        flat = (*first.along, *first.down)
        step = first.step[::-1]
        ups = [float(o) * first.normal for o in offsets]
        found = [plane(np.add(first.place, up), flat, step) for up in ups]
    return [p for p in found if p is not None] if None not in found and found else None


def _library(key: str) -> Any:
    try:
        import pydicom
    except ImportError as error:
        raise DataError(
            "DICOM files are read by pydicom, which is not installed",
            where=key,
            mend="pip install 'foveal[medical]'",
        ) from error
    return pydicom


def _check_packing(header: Any, frames: int, shape: tuple[int, ...], key: str) -> None:
    """Raises: DataError when no decoder is there, or a packed frame has another size."""
    from pydicom.encaps import generate_frames
    from pydicom.pixels.decoders.base import get_decoder

    syntax = header.file_meta.TransferSyntaxUID
    if syntax in _PLAIN or syntax == _DEFLATED:
        return
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError as error:
        raise unreadable(f"packed in an unknown way ({str(syntax)[:64]})", key) from error
    if not decoder.is_available:
        needs = "python-gdcm" if "Lossless, Non" in syntax.name else "'foveal[medical]'"
        raise DataError(
            f"packed as {syntax.name}, for which no decoder is installed",
            where=key,
            mend=f"pip install {needs}",
        )
    if syntax != _RUN_LENGTH:
        packed = generate_frames(header.PixelData, number_of_frames=frames)
        check_frames(packed, shape[0], shape[1], key)


def _check_deflated(content: bytes, key: str) -> None:
    """Raises: DataError when a deflated file would unpack to more than one item may have."""
    if _DEFLATED.encode() not in content[:1024]:
        return
    begin = _META_END + int.from_bytes(content[_META_END - 4 : _META_END], "little")
    unpack, room, piece = zlib.decompressobj(-zlib.MAX_WBITS), _MOST_DEFLATED, content[begin:]
    try:
        while piece and room > 0:
            room -= len(unpack.decompress(piece, 2**24))
            piece = unpack.unconsumed_tail
    except zlib.error as error:
        raise unreadable(f"damaged DICOM file ({error})", key) from error
    if room <= 0:
        raise unreadable("unpacks to more bytes than one item may have", key)


@contextmanager
def quiet(key: str) -> Iterator[None]:
    """No warnings inside, and one error for whatever pydicom raises, at whatever question."""
    with _ONE_AT_A_TIME, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except DataError:
            raise
        except Exception as error:  # damaged files raise a dozen classes, RecursionError too
            text = " ".join(str(error).split())[:100]
            raise unreadable(f"damaged DICOM file ({type(error).__name__}: {text})", key) from error


def _hash(text: str) -> int:
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1  # fits a signed number, and is never negative
