"""A store while it is written: rows are appended in order; it is nothing until it is finished."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import shutil
import uuid
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from .cache import Form, Store, checksum, publish, stores_folder, trim

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Draft:
    """Takes prepared rows, then becomes a `Store`. Leaving the ``with`` block early removes it.

    Args:
        size, channels, dtype: of every row.
        expected: rows to come at most, to see early whether the disk holds them.
        memory: keep the rows in memory and touch no disk (for arrays that are there anyway).

    Raises: DataError when the disk is full or the cache folder cannot be written.
    """

    def __init__(
        self, size: tuple[int, ...], channels: int, dtype: str, *, expected: int, memory: bool
    ) -> None:
        self.form = Form(0, size, channels, dtype)
        self.needed = expected * self.form.row_bytes
        self.part: Path | None = None
        self.file: IO[bytes] = io.BytesIO()
        if not memory:
            self._begin()

    def _begin(self) -> None:
        root = stores_folder()
        try:
            root.mkdir(parents=True, exist_ok=True)
            trim()
            free = shutil.disk_usage(root).free
            if self.needed > free:
                raise self._full(free)
            self.part = root / f".{uuid.uuid4().hex}.part"
            self.part.mkdir()
            self.file = open(self.part / "pixels.bin", "wb")  # noqa: SIM115
        except OSError as error:
            raise self._refused(error) from error

    def __enter__(self) -> Draft:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(OSError):  # a full disk, which has been said already
            self.file.close()
        if self.part is not None:
            shutil.rmtree(self.part, ignore_errors=True)

    def add(self, rows: NDArray[np.generic]) -> None:
        """Append ``(n, *S, C)`` rows."""
        assert rows.shape[1:] == self.form.shape[1:], "rows must have the shape of the draft"
        assert rows.dtype == self.form.dtype, "rows must have the dtype of the draft"
        try:
            self.file.write(np.ascontiguousarray(rows).data)
        except OSError as error:
            raise self._refused(error) from error
        self.form = replace(self.form, count=self.form.count + len(rows))

    def finish(self, key: str) -> Store:
        """The store, under ``key`` in the cache folder unless it is kept in memory."""
        if self.part is None:
            assert isinstance(self.file, io.BytesIO)
            content = np.frombuffer(self.file.getbuffer(), self.form.dtype)
            return Store.from_array(content.reshape(self.form.shape).copy())
        try:
            self.file.flush()
            os.fsync(self.file.fileno())
            self.file.close()
            form = replace(self.form, check=checksum(self.part / "pixels.bin"))
            return publish(self.part, form, key)
        except OSError as error:
            raise self._refused(error) from error

    def _refused(self, error: OSError) -> DataError:
        if error.errno in _FULL:
            return self._full(shutil.disk_usage(stores_folder()).free)
        return DataError(
            f"the cache cannot be written: {error.strerror}",
            where=str(stores_folder()),
            mend="set FOVEAL_CACHE to a folder that you may write to",
        )

    def _full(self, free: int) -> DataError:
        return DataError(
            f"no room for the cache: it needs {_words(self.needed)}, {_words(free)} are free",
            where=str(stores_folder()),
            mend="free some disk, set FOVEAL_CACHE to a larger one, or plan a smaller data.size",
        )


def _words(count: int) -> str:
    return f"{count / 2**20:,.0f} MB"
