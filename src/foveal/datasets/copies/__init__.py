"""Samples that are copies of others, changed a little: resized, encoded anew, mirrored, reworded.

Exact copies are told by their hashes while files are read; here are those that hashes miss. All
is worked out from the cached samples, whatever their rank.
"""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from ...grid import Axis, data_of
from ...progress import SILENT, Progress
from ...record import write_bytes
from ..cache import Store, cache_folder, key_of
from ..split import together as tied
from ..tokens import text_of
from .alike import alike
from .chains import chains, settled
from .codes import LEARNED, coding
from .shingles import alike_texts
from .thumbnails import mirrored, mirrors_of, thumbnails, together

VERSION = 1
_EXACT = 2**26  # numbers of codes that are held in single precision: 256 MB

Hashes = NDArray[np.uint64]


@dataclass(frozen=True, slots=True, eq=False)
class Near:
    """Pairs of rows ``(P, 2)`` that are changed copies, and how alike they are ``(P,)``, to 1.

    Of rows with equal hashes one stands for all.
    """

    pairs: NDArray[np.int64]
    alike: NDArray[np.float32]

    def joined(self, hashes: Hashes) -> Hashes:
        """``hashes`` ``(N,)``, made equal where rows are changed copies."""
        return tied(hashes, chains(self.pairs, len(hashes))) if len(self.pairs) else hashes


def none() -> Near:
    """No pair at all."""
    return Near(np.zeros((0, 2), np.int64), np.zeros(0, np.float32))


def near_copies(
    store: Store,
    axes: tuple[Axis, ...],
    hashes: Hashes,
    *,
    remember: bool = True,
    progress: Progress = SILENT,
) -> Near:
    """The changed copies among the rows of a store, as far as they stand out.

    Args:
        axes: of a sample, as read: what may be mirrored, and whether it is a text.
        hashes: equal where rows are exact copies.
        remember: keep the answer in the cache folder, and look there first.
    """
    if data_of(axes) == "rows" or len(store) < 2:
        return none()
    meaning = [(axis.name, axis.kind, axis.mirrors) for axis in axes]
    path = cache_folder() / "copies" / key_of(VERSION, store.key, hashes.tobytes(), meaning)
    known = _load(path.read_bytes()) if remember and path.is_file() else None
    if known is not None:
        return known
    first = np.sort(np.unique(hashes, return_index=True)[1])
    # Products here are thin: one thread is as fast as two, and beside others three times faster.
    with threadpool_limits(1, user_api="blas"):
        pairs, how = _found(store, axes, first, progress)
    pairs, how = settled(pairs, how, len(first))
    found = Near(first[pairs], how)
    if remember:
        content = io.BytesIO()
        np.savez(content, pairs=found.pairs, alike=found.alike)
        with contextlib.suppress(OSError):  # a cache that cannot be written is no mishap
            path.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(path, content.getvalue())
    return found


def _found(
    store: Store, axes: tuple[Axis, ...], rows: NDArray[np.int64], progress: Progress
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Pairs of positions in ``rows``."""
    if data_of(axes) == "text":
        read = store.gather
        return alike_texts(lambda i: text_of(read(rows[i : i + 1])[0].numpy()), len(rows), progress)
    learned = np.random.default_rng(0).permutation(len(rows))[:LEARNED]
    code = coding(thumbnails(store, axes, rows[np.sort(learned)]))
    mirrors, step = mirrors_of(axes), together(store)
    width = code.directions.shape[1]
    exact = len(rows) * width * (1 + len(mirrors)) <= _EXACT
    codes = [
        np.empty((len(rows), width), np.float32 if exact else np.float16)
        for _ in range(1 + len(mirrors))
    ]
    with progress.bar("looking at", len(rows)) as tick:
        for at in range(0, len(rows), step):
            small = thumbnails(store, axes, rows[at : at + step])
            looks = (small, *(mirrored(small, m) for m in mirrors))
            for held, seen in zip(codes, looks, strict=True):
                held[at : at + step] = code(seen)
            tick(len(small))
    return alike(codes, progress=progress)


def _load(content: bytes) -> Near | None:
    """What was remembered; None where it is damaged."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as found:
            pairs, how = found["pairs"], found["alike"]
    except (OSError, ValueError, KeyError, BadZipFile):
        return None
    whole = pairs.dtype == np.int64 and pairs.shape == (len(how), 2) and how.dtype == np.float32
    return Near(pairs, how) if whole else None
