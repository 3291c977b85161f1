"""A listing: every item of a data set by key, label and part, and how to read one."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ..card import PARTS, Skipped
from ..errors import DataError
from ..grid import Sample
from ..target import Target
from .names import natural

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Listing:
    """What was found under ``path``, before any item was decoded.

    Args:
        path: what the user pointed at. name: a short name of it for people.
        layout: the recognised layout in words ("class folders", "idx", "npz", ...).
        keys: the name of every item, unique and stable.
        labels: (N,) positions in ``classes``; -1 where an item has no label. Where the target is
            not one class, 0 for an item with a known target and -1 for one without.
        target: "label"; "labels" (any of ``classes``), "numbers" (of the names ``outputs``), or a
            kind on the grid (datasets/truths/), which ``read`` gives as y with its sample: of
            "mask" the position in ``classes`` of each cell, or `VOID`, as uint8 ``(*S)``; of
            "boxes" that position, low and high corner in cells of the sample, ``(n, 1 + 2 R)``.
        values: (N, K) targets where there is no single class: 0 or 1 per class, or the numbers.
        groups: (N,) items of one number stay on one side of a split (a patient, a speaker, a
            stretch of a drive); None where each stands alone. group_why: how that was told.
        target_why: how it was told what is to be learned. columns: of a table, that it comes from.
        parts: (N,) 0 train, 1 validation, 2 test. has_parts: the parts that the data itself
            brings ("train", "test"); a set without a split has only "train".
        classes: names in natural order, from all parts together.
        read: position -> Sample with y its class name, or its target on the grid.
            Raises: DataError naming the key. May be called from several threads.
        stamp: changes whenever a file is added, removed or altered.
        left_out: files that are no items, and why. doubts: what a person should know of how the
            listing was made.
        also: the same set with targets of another kind, where it has such too.
        drawn: (N,) the labels that a split is drawn by, where ``labels`` were corrected since.
    """

    path: str
    name: str
    layout: str
    keys: Sequence[str]
    labels: NDArray[np.int32]
    parts: NDArray[np.int8]
    has_parts: tuple[str, ...]
    classes: tuple[str, ...]
    read: Callable[[int], Sample]
    stamp: str
    left_out: tuple[Skipped, ...] = ()
    target: Target = "label"
    values: NDArray[np.float32] | None = None
    outputs: tuple[str, ...] = ()
    groups: NDArray[np.int64] | None = None
    group_why: str = ""
    target_why: str = ""
    columns: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    also: Mapping[Target, Callable[[], Listing]] = field(default_factory=dict)
    drawn: NDArray[np.int32] | None = None

    def __len__(self) -> int:
        return len(self.keys)


def encode(names: Sequence[str | None], where: str) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    """Labels ``(N,)`` into classes in natural order, from one class name (or None) per item."""
    classes = tuple(sorted({n for n in names if n is not None}, key=natural))
    if not classes:
        raise DataError("no item has a label", where=where, mend="give every item a class")
    place: dict[str | None, int] = {name: i for i, name in enumerate(classes)}
    place[None] = -1
    return np.fromiter((place[n] for n in names), np.int32, len(names)), classes


def numbered(words: Sequence[str]) -> NDArray[np.int64]:
    """One number for each different word, in natural order, ``(N,)``."""
    place = {word: i for i, word in enumerate(sorted(set(words), key=natural))}
    return np.fromiter((place[word] for word in words), np.int64, len(words))


def parts_present(parts: NDArray[np.int8]) -> tuple[str, ...]:
    """Names of the parts that occur, in the order train, validation, test."""
    return tuple(name for i, name in enumerate(PARTS) if bool((parts == i).any()))


def stamp_of(*pieces: object) -> str:
    """A short hash of names, arrays of numbers and strings."""
    digest = hashlib.blake2b(digest_size=16)
    for piece in pieces:
        if isinstance(piece, np.ndarray):
            digest.update(repr((piece.shape, piece.dtype)).encode())
            digest.update(np.ascontiguousarray(piece).reshape(-1).view(np.uint8).data)
        else:
            digest.update(piece if isinstance(piece, bytes) else repr(piece).encode())
        digest.update(b"\0")
    return digest.hexdigest()


def check_classes(listing: Listing) -> Listing:
    """The same listing, once it is sure that every class to be judged can be learned.

    Raises: DataError naming the classes that occur in another part but not in train.
    """
    if "train" not in listing.has_parts:
        return listing
    learned = _there(listing, 0)
    for part in range(1, len(PARTS)):
        here = _there(listing, part)
        unknown = [listing.classes[i] for i in here if i >= 0 and i not in learned]
        if unknown:
            raise DataError(
                f"the {PARTS[part]} part has classes that the train part lacks: "
                + ", ".join(map(repr, unknown[:5])),
                where=listing.path,
                mend="give both parts the same class names, or take these items out; --task embed "
                "learns to tell apart what it has never seen",
            )
    return listing


def _there(listing: Listing, part: int) -> NDArray[np.integer]:
    """The classes that occur in a part; nothing where numbers are to be learned."""
    here = listing.parts == part
    if listing.target == "label":
        return np.unique(listing.labels[here])
    if listing.target == "numbers" or listing.values is None:  # or not known before it is read
        return np.zeros(0, np.int64)
    return np.flatnonzero((listing.values[here] > 0).any(0))
