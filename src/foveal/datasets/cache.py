"""Prepared pixels on disk: read once, mapped into memory, shared by every later run.

Memory does not grow with the set: a small store is mapped, rows of a large one are read. A store
is written in a folder of its own and renamed when it is whole, so a killed build leaves nothing
that is ever opened.
"""

from __future__ import annotations

import hashlib
import json
import math
import mmap
import os
import shutil
import time
import weakref
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..errors import FovealError, RunError
from ..record import from_plain, read_json, write_json

if TYPE_CHECKING:
    from torch import Tensor

VERSION = 1
LIMIT_BYTES = 20 * 2**30
LIMIT_SHARE = 0.2
_MAPPED = 64 * 2**20  # bytes of the largest store whose rows are read through its map
_BLOCKS, _BLOCK = 64, 4096
_IN_USE = 3600.0  # seconds: nothing younger is cleared away, it may be someone's build


@dataclass(frozen=True, slots=True)
class Form:
    """What the bytes of a store mean: ``(count, *size, channels)`` of ``dtype``."""

    count: int
    size: tuple[int, ...]
    channels: int
    dtype: str
    check: str = ""
    version: int = VERSION

    @property
    def row_bytes(self) -> int:
        return math.prod(self.size) * self.channels * np.dtype(self.dtype).itemsize

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.count, *self.size, self.channels)


class Store:
    """Prepared samples by row number.

    ``array`` is ``(N, *S, C)``, uint8 or float32, in memory or mapped: reading much of a mapped
    one through it keeps that much in memory; `gather` does not. ``key`` names the store in the
    cache folder; it is "" for one that lives in memory.
    """

    def __init__(self, array: NDArray[np.generic], key: str = "", file: int | None = None) -> None:
        assert array.flags.c_contiguous, "rows must lie one after another"
        self.array, self.key = array, key
        self.row_bytes = int(array[:1].nbytes) if len(array) else 0
        self._file = file
        if file is not None:
            weakref.finalize(self, os.close, file)

    @staticmethod
    def from_array(pixels: NDArray[np.generic]) -> Store:
        """A store of ``(N, *S, C)`` pixels that are in memory already."""
        return Store(np.ascontiguousarray(pixels))

    def __len__(self) -> int:
        return len(self.array)

    @property
    def size(self) -> tuple[int, ...]:
        return tuple(self.array.shape[1:-1])

    @property
    def channels(self) -> int:
        return int(self.array.shape[-1])

    @property
    def dtype(self) -> str:
        return self.array.dtype.name

    def gather(self, rows: Tensor | NDArray[np.int64]) -> Tensor:
        """Copies of ``rows`` ``(B,)`` in that order.

        Shapes: returns ``(B, C, *S)``, channels-last in memory.
        Raises: RunError when the file was cut short meanwhile.
        """
        import torch

        index = torch.as_tensor(rows, dtype=torch.int64)
        if self._file is None:
            out = torch.from_numpy(self.array).index_select(0, index)
        else:
            out = torch.from_numpy(self._read(index.tolist(), self._file))
        return out.movedim(-1, 1)

    def _read(self, rows: list[int], file: int) -> NDArray[np.generic]:
        """Rows of a large store, read without its map.

        Each page of a map that is touched brings up to 16 others in and they stay, so memory
        grows with the set; handing them back cost 6 us a row (32 x 32 x 3, Zen 3, Linux 6.18),
        one system call a row costs 2.3.
        """
        out = np.empty((len(rows), *self.array.shape[1:]), self.array.dtype)
        each, count = self.row_bytes, len(self.array)
        memory, at, got = out.reshape(-1).view(np.uint8).data, 0, 0
        for row in rows:
            if not 0 <= row < count:
                raise IndexError(f"row {row} of {count}")
            got += os.preadv(file, (memory[at : at + each],), row * each)
            at += each
        if got != at:
            raise RunError(
                f"{at - got} bytes of the cache are missing",
                where=str(stores_folder() / self.key),
                mend="run the command again: the cache is built anew",
            )
        return out


def cache_folder() -> Path:
    """``$FOVEAL_CACHE``, or ``foveal`` in the user's cache folder."""
    named = os.environ.get("FOVEAL_CACHE")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "foveal"


def stores_folder() -> Path:
    return cache_folder() / "stores"


def key_of(*parts: object) -> str:
    """A folder name that depends on every one of ``parts`` (bytes, or what JSON can hold)."""
    mixed = hashlib.blake2b(digest_size=16)
    for part in parts:
        content = part if isinstance(part, bytes) else json.dumps(part, sort_keys=True).encode()
        mixed.update(len(content).to_bytes(8, "little") + content)
    return mixed.hexdigest()


def open_store(key: str) -> Store | None:
    """The store called ``key``; None when there is none, or it is not whole."""
    folder = stores_folder() / key
    form = _form(folder)
    if form is None:
        return None
    if not form.count:
        return Store(np.empty(form.shape, form.dtype), key)
    file: int | None = None
    try:
        with open(folder / "pixels.bin", "rb") as opened:
            # A private map: torch wants writable memory, and nothing here ever writes to it.
            mapped = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_COPY)
            if len(mapped) > _MAPPED and hasattr(os, "preadv"):
                file = os.dup(opened.fileno())
        os.utime(folder / "store.json")  # what was used last is cleared away last
    except OSError:
        if file is not None:
            os.close(file)
        return None
    return Store(np.frombuffer(mapped, form.dtype).reshape(form.shape), key, file)


def _form(folder: Path) -> Form | None:
    try:
        form = from_plain(Form, read_json(folder / "store.json"), str(folder))
        whole = (folder / "pixels.bin").stat().st_size == form.count * form.row_bytes
        if form.version != VERSION or not whole or checksum(folder / "pixels.bin") != form.check:
            return None
    except (FovealError, OSError, TypeError):
        return None
    return form


def checksum(path: Path) -> str:
    """A digest of 64 blocks spread over a file: blank or foreign pages are seen at once."""
    mixed = hashlib.blake2b(digest_size=16)
    total = path.stat().st_size
    with open(path, "rb") as file:
        for i in range(_BLOCKS):
            file.seek(max(total - _BLOCK, 0) * i // (_BLOCKS - 1))
            mixed.update(file.read(_BLOCK))
    return mixed.hexdigest()


def publish(part: Path, form: Form, key: str) -> Store:
    """Make a finished build known as ``key``. When another process was first, its store wins."""
    write_json(part / "store.json", asdict(form))
    target = stores_folder() / key
    for _ in range(3):
        try:
            os.rename(part, target)
            break
        except OSError:  # something is there: another process' store, or a broken one
            if _form(target) is not None:
                break
            discard(target)
    shutil.rmtree(part, ignore_errors=True)
    store = open_store(key)
    assert store is not None, f"the store {key} vanished while it was opened"
    trim(keep=key)
    return store


def discard(folder: Path) -> None:
    """Take a store away: first out of sight, then off the disk."""
    aside = folder.with_name(f".{folder.name}.{os.getpid()}.gone")
    try:
        os.rename(folder, aside)
    except OSError:
        return
    shutil.rmtree(aside, ignore_errors=True)


def trim(keep: str = "", limit: int | None = None) -> None:
    """Clear away left-overs of killed builds, then the stores used longest ago, above ``limit``.

    The limit is 20 GB, or a fifth of the free disk if that is less. ``keep`` stays in any case,
    and so does what was used within the hour.
    """
    root, now = stores_folder(), time.time()
    found: list[tuple[float, int, Path]] = []
    for folder in root.iterdir() if root.is_dir() else ():
        try:
            times = [f.stat().st_mtime for f in (folder, *folder.iterdir())]
            size = sum(f.stat().st_size for f in folder.iterdir())
        except OSError:
            continue  # another process is clearing it away
        if folder.name.startswith("."):
            if now - max(times) > _IN_USE:
                shutil.rmtree(folder, ignore_errors=True)
        else:
            found.append((max(times), size, folder))
    used = sum(size for _, size, _ in found)
    if limit is None:
        limit = int(min(LIMIT_BYTES, LIMIT_SHARE * (shutil.disk_usage(root).free + used)))
    for last, size, folder in sorted(found):
        if used > limit and folder.name != keep and now - last > _IN_USE:
            discard(folder)
            used -= size
