"""What one reading of every file finds, as arrays of a few bytes per item, and its memory."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import FovealError
from ..grid import Axis, time_of
from ..plan import DataPart, Fit
from ..record import from_plain, write_bytes
from .cache import cache_folder, key_of
from .listing import Listing

VERSION = 4  # raise it when readers or `prepare` give other values than before
_SUM = 16  # bytes of checksum before the rest
_ARRAYS = {
    "bad": bool,
    "sizes": np.int32,
    "mode": np.int16,
    "hashes": np.uint64,
    "flat": bool,
    "truths": np.uint64,
    "pieces": np.int32,
    "cover": np.float32,
}


@dataclass(frozen=True, slots=True)
class Form:
    """How the items of a set are brought to one shape, and what was measured after that."""

    size: tuple[int, ...]
    fit: Fit
    channels: int
    dtype: str
    why: dict[str, str]
    axes: tuple[Axis, ...]
    modes: tuple[str, ...] = ()
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    store: str = ""
    truth: str = ""
    reasons: dict[str, str] = field(default_factory=dict)
    scale: Literal["set", "sample"] = "set"

    @property
    def step(self) -> tuple[float, ...]:
        """The step that every sample is brought to; () where cells have no length."""
        return tuple(axis.step for axis in self.axes) if self.fit == "spacing" else ()

    def part(self) -> DataPart:
        """As `prepare` asks for it; the intensity it ignores is left at 0 and 1."""
        zeros, ones = (0.0,) * self.channels, (1.0,) * self.channels
        depth: Any = self.dtype
        time = time_of(self.axes)
        return DataPart(
            *(self.size, self.channels, self.fit, zeros, ones, zeros, ones, 0.0, 0.0, depth),
            scale=self.scale,
            step=self.step,
            sampled=() if time is None else (time,),
        )


@dataclass(frozen=True, slots=True)
class Facts:
    """Per item: bad or not, cells, colour mode, hash of the decoded values, constant or not.

    ``form.reasons[str(i)]`` tells why item i is bad. Where targets lie on the grid: truths are
    hashes of them, pieces their stored rows, cover ``(N, K)`` how much of each class they hold.
    """

    bad: NDArray[np.bool_]
    sizes: NDArray[np.int32]
    mode: NDArray[np.int16]
    hashes: NDArray[np.uint64]
    flat: NDArray[np.bool_]
    truths: NDArray[np.uint64]
    pieces: NDArray[np.int32]
    cover: NDArray[np.float32]
    form: Form

    @staticmethod
    def blank(count: int, form: Form, classes: int = 0) -> Facts:
        """Of so many items; classes: of targets that lie on the grid."""
        return Facts(
            bad=np.zeros(count, bool),
            sizes=np.zeros((count, len(form.size)), np.int32),
            mode=np.zeros(count, np.int16),
            hashes=np.zeros(count, np.uint64),
            flat=np.zeros(count, bool),
            truths=np.zeros(count, np.uint64),
            pieces=np.zeros(count, np.int32),
            cover=np.zeros((count, classes), np.float32),
            form=form,
        )


def save(facts: Facts, listing: Listing) -> None:
    """Remember ``facts`` for this listing. A cache that cannot be written is no mishap."""
    content = io.BytesIO()
    form = np.frombuffer(json.dumps(asdict(facts.form)).encode(), np.uint8)
    np.savez(content, form=form, **{name: getattr(facts, name) for name in _ARRAYS})
    path = _path(listing)
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, _sum(content.getvalue()) + content.getvalue())


def load(listing: Listing) -> Facts | None:
    """What was remembered; None when there is nothing, or it is damaged or of another kind."""
    try:
        content = _path(listing).read_bytes()
        if _sum(content[_SUM:]) != content[:_SUM]:
            return None
        with np.load(io.BytesIO(content[_SUM:]), allow_pickle=False) as found:
            form = from_plain(Form, json.loads(found["form"].tobytes()), "the remembered survey")
            arrays: dict[str, Any] = {name: found[name] for name in _ARRAYS}
    except (OSError, ValueError, KeyError, FovealError):  # none, or written by another version
        return None
    kept = all(a.dtype == _ARRAYS[n] and len(a) == len(listing) for n, a in arrays.items())
    return Facts(form=form, **arrays) if kept else None


def _sum(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=_SUM).digest()


def _path(listing: Listing) -> Path:
    key = key_of(VERSION, listing.stamp, len(listing))
    return cache_folder() / "surveys" / key
