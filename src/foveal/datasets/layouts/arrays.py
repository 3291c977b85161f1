"""Stacked arrays: an .npz with x and y (or MedMNIST's keys), or x.npy beside y.npy."""

from __future__ import annotations

import re
import struct
import zipfile
from pathlib import Path
from typing import IO, TYPE_CHECKING

from ...errors import DataError
from ...readers import unreadable
from ...readers.array import Rows, load_member, open_npz, open_rows
from ..listing import Listing, stamp_of
from ..names import paper
from ..source import FolderSource
from . import Layout, Place
from ._parts import part_of
from ._stack import Piece, stacked

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Stack = Rows | NDArray[np.generic]

_X, _Y = (
    ("x", "images", "image", "data", "pictures"),
    ("y", "labels", "label", "targets", "target", "masks"),
)
_STEP = re.compile(r"[^a-z0-9]+")


def role(name: str) -> tuple[int, str] | None:
    """(part, "x" or "y") for the name of an array such as "x", "train_images" or "y_test"."""
    steps = [step for step in _STEP.split(name.lower()) if step]
    kinds = ["x" if s in _X else "y" for s in steps if s in _X or s in _Y]
    parts = [part for s in steps if (part := part_of(s)) is not None]
    if len(kinds) != 1 or len(parts) + 1 != len(steps) or len(parts) > 1:
        return None
    return (parts[0] if parts else 0), kinds[0]


def _fits(place: Place) -> bool:
    return bool(_files(place))


def _files(place: Place) -> list[Path]:
    """The one .npz, or the .npy files with names that tell their role; else nothing."""
    if place.source is None:
        beside = sorted(place.path.parent.glob("*.npy"))
        if place.path.suffix.lower() == ".npz":
            return [place.path]
        roles = [path for path in beside if role(path.stem)]
        return roles if place.path in roles else []
    if not isinstance(place.source, FolderSource):
        return [place.path] if place.path.suffix.lower() == ".npz" else []
    files = [n for n in place.source.names if not paper(n)]
    if any("/" in name for name in files):
        return []
    packed = [name for name in files if name.lower().endswith(".npz")]
    if len(packed) == 1:
        return [place.path / packed[0]]
    return [place.path / n for n in files if n.lower().endswith(".npy") and role(n[:-4])]


def _listing(place: Place) -> Listing:
    files = _files(place)
    stacks: dict[str, Stack] = {}
    for path in files:
        stacks |= npz(path) if _packed(path) else {path.stem: _npy(path)}
    known = {r: name for name in stacks if (r := role(name))}
    pieces = []
    for part, name in sorted((part, name) for (part, kind), name in known.items() if kind == "x"):
        if (part, "y") not in known:
            raise DataError(
                f"array {name!r} has no labels; there are: {', '.join(stacks)[:200]}",
                where=str(place.path),
                mend="name them x and y, or train_images and train_labels",
            )
        labels = stacks[known[part, "y"]]
        whole = labels if not isinstance(labels, Rows) else labels.whole()
        pieces.append(Piece(name, part, stacks[name], whole))
    if not pieces:
        raise DataError(
            f"no array is named as items are; there are: {', '.join(stacks)[:200] or 'none'}",
            where=str(place.path),
            mend="name them x and y, x_train and y_train, or train_images and train_labels",
        )
    about = [(str(p.resolve()), p.stat().st_size, p.stat().st_mtime_ns) for p in files]
    kind = "npz" if _packed(files[0]) else "npy"
    return stacked(place.path, place.name, kind, pieces, stamp_of(about))


def _packed(path: Path) -> bool:
    return path.suffix.lower() == ".npz"


def _npy(path: Path) -> Stack:
    return open_rows(path, 0, path.stat().st_size, str(path))


def npz(path: Path) -> dict[str, Stack]:
    """The arrays of an .npz whose names tell a role, or all when none does; those that lie
    unpacked in it stay on disk.

    Raises: DataError naming the file and the array that cannot be used.
    """
    try:
        with open(path, "rb") as file:
            size = path.stat().st_size
            members = open_npz(file, size, str(path))
            wanted = {name: info for name, info in members.items() if role(name)} or members
            return {name: _member(file, path, info, size) for name, info in wanted.items()}
    except OSError as error:
        raise unreadable(f"cannot be read ({error.strerror})", str(path)) from error


def _member(file: IO[bytes], path: Path, info: zipfile.ZipInfo, size: int) -> Stack:
    if info.compress_type != zipfile.ZIP_STORED:
        return load_member(file, info, size, str(path))
    file.seek(info.header_offset)
    head = file.read(30)
    if len(head) < 30 or head[:4] != b"PK\x03\x04":
        raise unreadable("damaged .npz archive (no array where it should be)", str(path))
    names, extra = struct.unpack_from("<2H", head, 26)
    offset = info.header_offset + 30 + names + extra
    if offset + info.file_size > size:
        raise unreadable("the .npz archive ends too early", str(path))
    return open_rows(path, offset, info.file_size, f"{path}: {info.filename[:80]}")


LAYOUT = Layout(
    order=20,
    says="an .npz with arrays x and y, x_train and y_train (and _test), or train_images and "
    "train_labels (val_, test_); or x.npy beside y.npy",
    fits=_fits,
    listing=_listing,
)
