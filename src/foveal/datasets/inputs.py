"""Inputs to predict on: files, folders, archives and stacks of arrays, one item at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import DataError
from ..grid import IMAGE_AXES, Axis, Data, Sample, data_of
from ..readers import _vast, idx, read, reader_for, readers, text, unreadable
from ..readers.array import MOST_CHANNELS, Rows, as_sample, axes_of, open_rows
from .cache import cache_folder
from .frames import frame_folders, read_frames
from .layouts.arrays import npz, role
from .layouts.series import of_file
from .names import paper
from .series import Series, find_series
from .source import FolderSource, Source, open_source, read_file

if TYPE_CHECKING:
    from numpy.typing import NDArray

Item = tuple[str, Sample | DataError]
Read = Callable[[str], Sample]


def inputs(
    paths: Iterable[str | Path],
    axes: tuple[Axis, ...] = IMAGE_AXES,
    *,
    by_line: bool = False,
    vast: bool = False,
) -> Iterator[Item]:
    """Every item below ``paths``, as (key, Sample) or (key, why it cannot be used).

    A folder or a zip gives every visible file at any depth, in natural order; files about the
    set (README, licence) at its top are passed over. The files of one DICOM series are one item
    where ``axes`` are those of a volume; a folder of numbered frames is one, and so is a GIF with
    all its frames, where they are those of a clip. An array file is a stack when its name
    says so ("x", "test_images") or its dimensions are more than one item has on ``axes``; else
    it is one item. A ``.ts`` file is as many items as it has series. A text file is one item;
    with ``by_line`` each of its lines that is not blank is one. Memory does not grow with the
    number of items, save for packed stacks. vast: pictures over the limit of a reader are decoded
    onto the disk, up to ten times that limit, and x is a view of it.
    """
    for path in map(Path, paths):
        try:
            if os.path.isdir(path) or path.suffix.lower() == ".zip":
                yield from _below(open_source(path), path, axes, by_line, vast)
            else:
                yield from _file(path, str(path), axes, by_line, vast)
        except DataError as error:
            yield str(path), error


def _below(
    source: Source, path: Path, axes: tuple[Axis, ...], by_line: bool, vast: bool
) -> Iterator[Item]:
    several = _several(source, data_of(axes))
    first = {min(files): name for name, (files, _) in several.items()}
    inside = {file for files, _ in several.values() for file in files}
    for position, name in enumerate(source.names):
        if "/" not in name and paper(name):
            continue
        if position in first:
            own = first[position]
            key = str(path / own) if isinstance(source, FolderSource) else f"{path}: {own}"
            yield _one(partial(several[own][1], key), key)
        elif position in inside:
            continue
        elif isinstance(source, FolderSource):
            yield from _file(path / name, str(path / name), axes, by_line, vast)
        else:
            key = f"{path}: {name}"
            if reader_for(name) is readers()["text"]:
                yield from _text(partial(source.read, position), key, axes, by_line)
                continue
            yield _one(partial(_entry, source, position, key, axes), key)


def _several(source: Source, data: Data) -> dict[str, tuple[Sequence[int], Read]]:
    """Items of several files each, by name: their files, and how one of a given key is read."""
    if data == "volume":
        scans = [one for one in find_series(source)[0] if len(one.files) > 1]
        return {one.key: (one.files, partial(_scan, source, one)) for one in scans}
    if data == "video":
        clips = frame_folders(source.names).items()
        return {name: (files, partial(_clip, source, files)) for name, files in clips}
    return {}


def _scan(source: Source, series: Series, key: str) -> Sample:
    return series.read(source)


def _clip(source: Source, frames: list[int], key: str) -> Sample:
    return read_frames(lambda at: read(source.read(at), source.names[at]), frames, key)


def _file(
    path: Path, key: str, axes: tuple[Axis, ...], by_line: bool, vast: bool
) -> Iterator[Item]:
    """The items of one file: several when it is a stack of arrays."""
    low = path.name.lower()
    try:
        if low.endswith(".npz"):
            stacks = npz(path)
            for name, stack in stacks.items():
                if (role(name) or (0, "x"))[1] == "x":
                    yield from _rows(stack, f"{key}: {name}", axes, stacked=role(name) is not None)
        elif low.endswith(".npy"):
            stack = open_rows(path, 0, path.stat().st_size, key)
            yield from _rows(stack, key, axes, stacked=role(path.stem) is not None)
        elif low.endswith(idx.READER.suffixes):
            yield from _rows(idx.load(read_file(path, key), key), key, axes, stacked=False)
        elif low.endswith(".ts") and data_of(axes) == "signal":
            for name, sample in of_file(read_file(path, key), key):
                yield name, sample
        elif reader_for(low) is readers()["text"] or (
            data_of(axes) == "text" and reader_for(low) is None
        ):
            yield from _text(lambda: read_file(path, key), key, axes, by_line)
        else:
            yield _one(partial(_whole, path, key, axes, vast), key)
    except DataError as error:
        yield key, error
    except OSError as error:
        yield key, unreadable(f"cannot be read ({error.strerror})", key)


def _whole(path: Path, key: str, axes: tuple[Axis, ...], vast: bool) -> Sample:
    """The one item of a file."""
    if vast and reader_for(key) is readers()["image"]:
        large = _vast.read(path, key, cache_folder())
        if large is not None:
            return large
    return read(read_file(path, key), key, moving=data_of(axes) == "video")


def _text(
    content: Callable[[], bytes], key: str, axes: tuple[Axis, ...], by_line: bool
) -> Iterator[Item]:
    """A text file as one item, or each of its lines that is not blank."""
    if data_of(axes) != "text":
        yield key, unreadable("no reader knows this kind of file", key)
        return
    try:
        found = content()
        if not by_line:
            yield _one(partial(text.read, found, key), key)
            return
        whole, mode = text.decode(found, key)
    except DataError as error:
        yield key, DataError(error.what, where=key, mend=error.mend)
        return
    lines = [(n, line) for n, line in enumerate(whole.split("\n"), 1) if line.strip()]
    if not lines:
        yield key, unreadable("the text is empty", key)
    for number, line in lines:
        name = f"{key} line {number}"
        yield _one(partial(text.as_sample, line, name, mode), name)


def _rows(
    stack: Rows | NDArray[np.generic], key: str, axes: tuple[Axis, ...], *, stacked: bool
) -> Iterator[Item]:
    if stack.dtype.kind not in "biuf":
        raise unreadable(f"an array of {stack.dtype} holds no numbers", key)
    if not stacked and _is_item(stack.shape, key, axes):
        whole = stack.whole() if isinstance(stack, Rows) else stack
        yield _one(partial(as_sample, whole, key, axes), key)
        return
    if len(stack.shape) <= len(axes):  # one word for the stack, not one for each of its rows
        raise unreadable(f"an array of shape {stack.shape} is not a stack of items", key)
    for row in range(stack.shape[0]):
        yield _one(partial(_row, stack, row, f"{key}[{row}]", axes), f"{key}[{row}]")


def _row(stack: Rows | NDArray[np.generic], row: int, key: str, axes: tuple[Axis, ...]) -> Sample:
    return as_sample(np.array(stack[row]), key, axes)


def _entry(source: Source, position: int, key: str, axes: tuple[Axis, ...]) -> Sample:
    return read(source.read(position), key, moving=data_of(axes) == "video")


def _is_item(shape: tuple[int, ...], key: str, axes: tuple[Axis, ...]) -> bool:
    """Whether an array of this shape is one item, and not a stack of them."""
    if len(shape) == len(axes) + 1:
        _, channel = axes_of(shape, key, axes)
        return channel is not None and shape[channel] <= MOST_CHANNELS
    return len(shape) <= len(axes)


def _one(make: Callable[[], Sample], key: str) -> Item:
    """The item, or the error in its place; an error of the source gets the key of the item."""
    try:
        return key, make()
    except DataError as error:
        return key, DataError(error.what, where=key, mend=error.mend)
