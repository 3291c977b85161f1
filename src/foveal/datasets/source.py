"""A source: the files of a folder or of a zip archive, by name, read in place."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import DataError
from ..readers import unreadable
from .archive import ZipSource
from .listing import stamp_of
from .names import Names, hidden, natural

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_BYTES = 400 * 2**20  # of one file: 50 million pixels of 4 channels at 16 bits


class FolderSource:
    """Every visible regular file below a folder, in natural order.

    Links to folders are followed, each folder once. Pipes and devices are left alone.
    """

    def __init__(self, path: Path) -> None:
        found: list[tuple[str, int, int]] = []
        _walk(path, "", set(), found)
        found.sort(key=lambda item: natural(item[0]))
        self.path = path
        self.names = Names(name for name, _, _ in found)
        self.sizes: NDArray[np.int64] = np.array([size for _, size, _ in found], np.int64)
        times = np.array([time for _, _, time in found], np.int64)
        self.stamp = stamp_of("folder", str(path.resolve()), self.names.content, self.sizes, times)

    def read(self, position: int) -> bytes:
        """The whole file. Raises: DataError when it cannot be read, or is over 400 MB."""
        name = self.names[position]
        return read_file(self.path / name, name)

    def head(self, position: int, length: int) -> bytes:
        """The first ``length`` bytes, or all there are. Raises: DataError as `read`."""
        name = self.names[position]
        return read_file(self.path / name, name, length)


Source = FolderSource | ZipSource


def open_source(path: Path) -> Source:
    """The files below a folder, or inside a zip archive.

    Raises: DataError when there is nothing at ``path``, it is neither, or it is not safe.
    """
    if not os.path.exists(path):  # unlike Path's own, False for a name that cannot be
        raise DataError(
            f"there is no file or folder {path.name[:80]!r}", where=str(path), mend="check the path"
        )
    return FolderSource(path) if path.is_dir() else ZipSource(path)


def read_file(path: Path, key: str, length: int = MOST_BYTES) -> bytes:
    """The content of a regular file of at most 400 MB, or its first ``length`` bytes.

    Raises: DataError naming ``key`` when it is gone, too large, no regular file or forbidden.
    """
    try:
        # A pipe opened without O_NONBLOCK would wait for a writer that may never come.
        handle = os.open(
            path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        )
        with os.fdopen(handle, "rb") as file:
            about = os.fstat(handle)
            if not stat.S_ISREG(about.st_mode):
                raise unreadable("not a regular file", key)
            if about.st_size > MOST_BYTES:
                raise unreadable(f"{about.st_size:,} bytes are more than one item may have", key)
            return file.read(length)
    except (OSError, ValueError) as error:
        raise unreadable(
            f"cannot be read ({getattr(error, 'strerror', None) or error})", key
        ) from error


def _walk(
    folder: Path, prefix: str, seen: set[tuple[int, int]], found: list[tuple[str, int, int]]
) -> None:
    """Collect (name, size, time) below ``folder``; ``seen`` stops links that run in circles."""
    try:
        here = folder.stat()
        if (here.st_dev, here.st_ino) in seen:
            return
        seen.add((here.st_dev, here.st_ino))
        with os.scandir(folder) as entries:
            visible = [entry for entry in entries if not hidden(entry.name)]
    except OSError as error:
        raise DataError(
            f"cannot open a folder ({error.strerror})",
            where=str(folder),
            mend="grant the right to read it, or move it out of the set",
        ) from error
    for entry in visible:
        if entry.is_dir():
            _walk(Path(entry.path), f"{prefix}{entry.name}/", seen, found)
        elif entry.is_file():
            about = entry.stat()
            found.append((prefix + entry.name, about.st_size, about.st_mtime_ns))
