"""Prepared pixels on disk: decoded once, shared by every later run.

Memory does not grow with the set: a small store is held, rows of a large one are read. A store
is written in a folder of its own and renamed when it is whole, so a killed build leaves nothing
that is ever opened.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import threading
import time
import weakref
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import FovealError, RunError
from ..record import from_plain, read_json, write_json

if TYPE_CHECKING:
    from torch import Tensor

VERSION = 1
LIMIT_BYTES = 20 * 2**30
LIMIT_SHARE = 0.2
_HELD = 64 * 2**20  # bytes of the largest store that is held in memory whole
_PREADV = getattr(os, "preadv", None)  # absent on Windows
_ONE_AT_A_TIME = threading.Lock()
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
    """Prepared samples by row number: ``shape`` is ``(N, *S, C)``, ``dtype`` uint8 or float32.

    Args:
        rows: all of them in memory, or None where they are read from ``file`` as asked for.
        key: names the store in the cache folder; "" for one that lives in memory alone.
        file: descriptor of the pixels, closed with the store.
    """

    def __init__(
        self,
        form: Form,
        *,
        rows: NDArray[np.generic] | None = None,
        key: str = "",
        file: int | None = None,
    ) -> None:
        self.shape, self.dtype, self.row_bytes = form.shape, form.dtype, form.row_bytes
        self.key, self._rows, self._file = key, rows, file
        if file is not None:
            weakref.finalize(self, os.close, file)

    @staticmethod
    def from_array(pixels: NDArray[np.generic]) -> Store:
        """A store of ``(N, *S, C)`` pixels that are in memory already."""
        count, *size, channels = pixels.shape
        form = Form(count, tuple(size), channels, pixels.dtype.name)
        return Store(form, rows=np.ascontiguousarray(pixels))

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def size(self) -> tuple[int, ...]:
        return self.shape[1:-1]

    @property
    def channels(self) -> int:
        return self.shape[-1]

    def gather(self, rows: Tensor | NDArray[np.int64]) -> Tensor:
        """Copies of ``rows`` ``(B,)`` in that order.

        Shapes: returns ``(B, C, *S)``, channels-last in memory.
        Raises: RunError when the file was cut short meanwhile.
        """
        import torch

        index = torch.as_tensor(rows, dtype=torch.int64)
        if self._rows is not None:
            return torch.from_numpy(self._rows).index_select(0, index).movedim(-1, 1)
        return torch.from_numpy(self._read(index.tolist())).movedim(-1, 1)

    def _read(self, rows: list[int]) -> NDArray[np.generic]:
        """Rows of a large store, one system call each.

        Not through a memory map: every page that is touched brings up to 16 others in and they
        stay, so memory grows with the set; handing them back costs 6 us a row, this 2.3
        (32 x 32 x 3, Zen 3, Linux 6.18, 2026-11-22). A map also kills the process when its file
        is cut short.
        """
        assert self._file is not None, "a store has its rows in memory or in a file"
        out = np.empty((len(rows), *self.shape[1:]), self.dtype)
        each, count = self.row_bytes, len(self)
        memory, at, got = out.reshape(-1).view(np.uint8).data, 0, 0
        for row in rows:
            if not 0 <= row < count:
                raise IndexError(f"row {row} of {count}")
            got += _read_at(self._file, memory[at : at + each], row * each)
            at += each
        if got != at:
            raise RunError(
                f"{at - got} bytes of the cache are missing",
                where=str(stores_folder() / self.key),
                mend="run the command again: the cache is built anew",
            )
        return out


def batched(samples: Sequence[NDArray[Any]]) -> Tensor:
    """Prepared samples ``(C, *S)`` as one batch, in memory as `Store.gather` gives it.

    The same strides to the last one: a convolution chooses its way, and so its rounding, by them.
    """
    import torch

    return torch.from_numpy(np.stack([np.moveaxis(x, 0, -1) for x in samples])).movedim(-1, 1)


def _read_at(file: int, memory: memoryview, start: int) -> int:
    """Fill ``memory`` from byte ``start`` on; gives the bytes there were."""
    if _PREADV is not None:
        return int(_PREADV(file, (memory,), start))
    with _ONE_AT_A_TIME:
        os.lseek(file, start, os.SEEK_SET)
        content = os.read(file, len(memory))
    memory[: len(content)] = content
    return len(content)


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
    path = folder / "pixels.bin"
    try:
        os.utime(folder / "store.json")  # what was used last is cleared away last
        if form.count * form.row_bytes <= _HELD:
            rows = np.fromfile(path, form.dtype).reshape(form.shape)
            return Store(form, rows=rows, key=key)
        return Store(form, key=key, file=os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0)))
    except (OSError, ValueError):
        return None


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
