"""DICOM files of a folder or zip, put together: one item per scan, whatever its files are called.

Files belong together by the series that their headers name, and lie in the order of their places
in space. Names, numbers and directory files (DICOMDIR) decide nothing.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import numpy as np

from ..card import Skipped
from ..errors import DataError
from ..grid import Sample
from ..readers import dicom, reader_for, unreadable
from ..readers._dicom import NO_PICTURE, Head, head, marked
from ..readers._scan import volume, within
from ..readers._slices import Plane, stack
from .source import Source

if TYPE_CHECKING:
    from numpy.typing import NDArray

HEAD = 2**16  # bytes that hold nearly every header; the others are read whole
_LOOKED_AT = 20  # files without an ending that are asked whether they are DICOM
_DICOM = dicom.READER.suffixes


@dataclass(frozen=True, slots=True)
class Series:
    """One item: a scan of several slices, or a file that stands for itself.

    files: positions in the source, in the order of the slices. affine: of the volume; None for a
    single file. patient: a hash, -1 where no patient is named. fault: why it cannot be used.
    """

    key: str
    files: tuple[int, ...]
    patient: int
    affine: NDArray[np.float64] | None = None
    fault: str = ""

    def read(self, source: Source) -> Sample:
        """The volume or picture. Raises: DataError naming the item, or one of its files."""
        if self.fault:
            raise unreadable(self.fault, self.key)
        if self.affine is None:
            return dicom.read(source.read(self.files[0]), self.key)
        slices: list[NDArray[np.generic]] = []
        mode = ""
        for position in self.files:
            values, mode = dicom.read_slice(source.read(position), source.names[position])
            if slices and values.shape != slices[0].shape:
                raise unreadable(
                    f"its slices differ: {values.shape} and {slices[0].shape}", self.key
                )
            slices.append(values)
        return volume(self.key, np.stack(slices, 1).transpose(0, 3, 2, 1), self.affine, mode)


def holds_series(source: Source) -> bool:
    """Whether most files that can be read are DICOM, told from names and a few first bytes."""
    low = [name.lower() for name in source.names]
    known = sum(name.endswith(_DICOM) for name in low)
    if known:
        return 2 * known > sum(reader_for(name) is not None for name in low)
    bare = [i for i, name in enumerate(low) if _bare(name)]
    asked = bare[:: max(1, len(bare) // _LOOKED_AT)][:_LOOKED_AT]
    return 2 * sum(_marked(source, i) for i in asked) > len(asked) > 0


@functools.lru_cache(maxsize=1)  # a layout asks twice: does it fit, and what is there
def find_series(source: Source) -> tuple[tuple[Series, ...], tuple[Skipped, ...]]:
    """Every item, in the order of the names, and the DICOM files that are none.

    A series whose files tell no place in space is a set of pictures, each for itself. One that
    tells places but makes no volume (a slice is missing, sizes differ) is an item with a fault.
    """
    groups: dict[tuple[str, str], list[tuple[int, Head]]] = {}
    found: list[Series] = []
    left_out: list[Skipped] = []
    for position, name in enumerate(source.names):
        if not name.lower().endswith(_DICOM) and not (_bare(name) and _marked(source, position)):
            continue
        try:
            about = _head(source, position)
        except DataError as error:
            if error.what == NO_PICTURE:
                left_out.append(Skipped(name, NO_PICTURE))
            else:
                found.append(Series(name, (position,), -1, fault=error.what))
            continue
        folder = name.rpartition("/")[0]
        groups.setdefault((folder, about.series or name), []).append((position, about))
    shared = [folder for (folder, _), files in groups.items() if len(files) > 1]
    for (folder, _), files in groups.items():
        first = source.names[files[0][0]]
        alone = shared.count(folder) < 2 and folder
        found += _items(source, folder if alone else first, files)
    found.sort(key=lambda series: series.files[0])
    return tuple(found), tuple(left_out)


def _items(source: Source, key: str, files: list[tuple[int, Head]]) -> Iterator[Series]:
    """The items that the files of one series in one folder make."""
    planes = [about.plane for _, about in files]
    if len(files) == 1 or not any(planes):
        for position, about in files:
            yield Series(source.names[position], (position,), about.patient)
        return
    positions = tuple(position for position, _ in files)
    patient = files[0][1].patient
    try:
        order, affine = _stacked([about for _, about in files], planes, key)
        positions = tuple(positions[i] for i in order)
        yield Series(key, positions, patient, affine)
    except DataError as error:
        yield Series(key, positions, patient, fault=error.what)


def _stacked(
    heads: list[Head], planes: list[Plane | None], key: str
) -> tuple[list[int], NDArray[np.float64]]:
    """The order of the slices and the affine. Raises: DataError when they make no volume."""
    told = [plane for plane in planes if plane is not None]
    if len(told) < len(planes):
        missing = len(planes) - len(told)
        raise unreadable(f"{missing} of its {len(planes)} slices do not tell where they lie", key)
    shapes = sorted({(about.channels, about.rows, about.columns) for about in heads})
    if len(shapes) > 1:
        words = " and ".join(f"{rows} x {columns}" for _, rows, columns in shapes[:3])
        raise unreadable(f"its {len(heads)} slices differ in size: {words}", key)
    within((shapes[0][0], len(heads), *shapes[0][1:]), key)
    return stack(told, key)


def _head(source: Source, position: int) -> Head:
    name = source.names[position]
    try:
        return head(source.head(position, HEAD), name)
    except DataError:
        return head(source.read(position), name)


def _bare(name: str) -> bool:
    """Whether a name has no ending; a uid ("1.2.840.113") has none either."""
    ending = PurePosixPath(name).suffix[1:]
    return not ending or ending.isdigit()


def _marked(source: Source, position: int) -> bool:
    try:
        return marked(source.head(position, 132))
    except DataError:
        return False
