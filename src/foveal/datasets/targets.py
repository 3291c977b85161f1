"""What is to be learned, brought to the kind that a task wants, and to the names a model knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..find import nearest
from ..target import VOID, Target
from .listing import Listing, encode

MOST_CLASSES = 0.5  # of the items: numbers with more different values are no classes


def brought(listing: Listing, target: Target) -> Listing:
    """The listing with targets of the kind ``target``; itself where it has such already.

    A set that has such as well (boxes and shapes of things) gives them. Else classes named by
    numbers become numbers, few different numbers become classes, one class becomes a choice of
    several, and the other way round where every item has exactly one.

    Raises: DataError when the targets are not such.
    """
    if listing.target == target:
        return listing
    if target in listing.also:
        return listing.also[target]()
    way = _WAYS.get((listing.target, target))
    if way is None:
        what = f"targets of the kind {listing.target!r} cannot become {target!r}"
        raise _cannot(listing, what, "leave --task out, or give data of that kind")
    return way(listing)


def _class_to_number(listing: Listing) -> Listing:
    values = [_number(name) for name in listing.classes]
    if None in values:
        name = listing.classes[values.index(None)]
        raise _cannot(listing, f"class {name!r} is no number", "leave --task out, or classify")
    known = np.array([*values, np.nan], np.float32)
    return replace(
        listing,
        target="numbers",
        values=known[listing.labels][:, None],
        labels=np.minimum(listing.labels, 0),
        classes=(),
        outputs=listing.columns[:1] or ("y",),
    )


def _class_to_set(listing: Listing) -> Listing:
    values = np.zeros((len(listing), len(listing.classes)), np.float32)
    known = np.flatnonzero(listing.labels >= 0)
    values[known, listing.labels[known]] = 1
    labels = np.minimum(listing.labels, 0)
    return replace(listing, target="labels", values=values, labels=labels)


def _set_to_class(listing: Listing) -> Listing:
    values, known = _values(listing), listing.labels >= 0
    wrong = int((values[known].sum(1) != 1).sum())
    if wrong:
        what = f"{wrong:,} of {int(known.sum()):,} items have no class or several"
        raise _cannot(listing, what, "leave --task out, or give --task multilabel")
    labels = np.where(known, values.argmax(1), -1).astype(np.int32)
    return replace(listing, target="label", values=None, labels=labels)


def _set_to_numbers(listing: Listing) -> Listing:
    return replace(listing, target="numbers", outputs=listing.classes, classes=())


def _number_to_class(listing: Listing) -> Listing:
    values, known = _values(listing), listing.labels >= 0
    column, different = values[:, 0], len(np.unique(values[known]))
    if values.shape[1] > 1 or different > MOST_CLASSES * known.sum():
        what = f"{values.shape[1]} numbers" if values.shape[1] > 1 else f"{different:,} values"
        raise _cannot(listing, f"{what} are no classes", "leave --task out, or regress")
    names = [_said(v) if k else None for v, k in zip(column.tolist(), known, strict=True)]
    labels, classes = encode(names, listing.path)
    return replace(listing, target="label", values=None, labels=labels, classes=classes)


def _numbers_to_set(listing: Listing) -> Listing:
    values, known = _values(listing), listing.labels >= 0
    odd = values[known][~np.isin(values[known], (0, 1))]
    if len(odd):
        what = f"{_said(float(odd[0]))} is neither 0 nor 1"
        raise _cannot(listing, what, "mark each class of an item by 1, and the others by 0")
    return replace(listing, target="labels", classes=listing.outputs, outputs=())


_WAYS = {
    ("label", "numbers"): _class_to_number,
    ("label", "labels"): _class_to_set,
    ("labels", "label"): _set_to_class,
    ("labels", "numbers"): _set_to_numbers,
    ("numbers", "label"): _number_to_class,
    ("numbers", "labels"): _numbers_to_set,
}


def matched(listing: Listing, classes: Sequence[str], numbers: Sequence[str]) -> NDArray[Any]:
    """Targets as a model with these ``classes`` or ``numbers`` knows them, matched by name.

    ``(N,)`` positions in ``classes`` (-1 for none), or ``(N, K)`` values. A class that the set
    lacks is on none of its items. A single number that comes from no table has no name to match.

    Raises: DataError for a name that the model does not know, or a number that is missing.
    """
    if listing.target == "numbers":
        values = _values(listing)
        if len(numbers) == len(listing.outputs) == 1 and not listing.columns:
            return values
        for name in numbers:
            if name not in listing.outputs:
                known = ", ".join(listing.outputs[:20])
                raise DataError(
                    f"the number {name!r} of the model is missing",
                    where=listing.path,
                    mend=nearest(name, listing.outputs) or f"there are: {known}",
                )
        return values[:, [listing.outputs.index(name) for name in numbers]]
    where = _positions(listing, classes)
    if listing.target == "label":
        return where[listing.labels]
    found = np.zeros((len(listing), len(classes)), np.float32)
    found[:, where[:-1]] = _values(listing)
    return found


def renaming(listing: Listing, classes: Sequence[str]) -> NDArray[np.int64]:
    """Positions in ``classes`` by those in the listing's own, ``(256,)``; `VOID` for what is none.

    Raises: DataError for a name that is not among ``classes``.
    """
    table = np.full(VOID + 1, VOID, np.int64)
    table[: len(listing.classes)] = _positions(listing, classes)[:-1]
    return table


def _positions(listing: Listing, classes: Sequence[str]) -> NDArray[np.int64]:
    """Where each of the listing's classes stands in ``classes``, and -1 for none, ``(K + 1,)``."""
    place = {name: i for i, name in enumerate(classes)}
    for name in listing.classes:
        if name not in place:
            raise DataError(
                f"class {name!r} is unknown to the model",
                where=listing.path,
                mend=nearest(name, classes) or f"it knows: {', '.join(classes[:20])}",
            )
    return np.array([*(place[name] for name in listing.classes), -1], np.int64)


def strata(
    target: Target, labels: NDArray[np.int32], values: NDArray[np.float32] | None
) -> NDArray[np.int32]:
    """``(N,)`` kinds of items that every part of a split should hold in equal shares.

    The class; the rarest of an item's classes; or the tenth that its first number falls in. -1
    where the target is not known. Equal numbers are of one kind, however many there are.
    """
    if values is None or not len(values):
        return labels
    known = labels >= 0
    kinds = np.full(len(labels), -1, np.int32)
    if target == "labels":
        common = np.argsort(np.argsort(-values[known].sum(0), kind="stable"))  # rarest: highest
        rank = np.where(values > 0, common + 1, 0).max(1)
        kinds[known] = rank[known]
    else:
        first = values[known, 0]
        tenths = np.quantile(first, np.linspace(0, 1, 11)[1:-1]) if len(first) else first
        kinds[known] = np.searchsorted(np.unique(tenths), first, side="left")
    return kinds


def _values(listing: Listing) -> NDArray[np.float32]:
    assert listing.values is not None, "targets that are no single class have values"
    return listing.values


def _number(name: str) -> float | None:
    try:
        value = float(name)
    except ValueError:
        return None
    return value if np.isfinite(value) else None


def _said(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:g}"


def _cannot(listing: Listing, what: str, mend: str) -> DataError:
    return DataError(what, where=f"the targets of {listing.path}", mend=mend)
