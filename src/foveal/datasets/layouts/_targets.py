"""What is to be learned, told from columns and arrays: a class, several classes, or numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import DataError
from ...grid import Sample
from ...target import Target
from ..listing import Listing, encode
from ..names import natural

if TYPE_CHECKING:
    from numpy.typing import NDArray

ASKED = "set by you"  # how the reason of targets that the user chose begins
FEW = 20  # whole numbers of so many different values are classes in any case


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """The fields of a `Listing` that tell what is to be learned, and why it is taken for that."""

    target: Target
    labels: NDArray[np.int32]
    classes: tuple[str, ...] = ()
    values: NDArray[np.float32] | None = None
    outputs: tuple[str, ...] = ()
    why: str = ""
    columns: tuple[str, ...] = ()

    def placed(self, listing: Listing) -> Listing:
        """``listing`` with these targets, also as the y of its samples."""
        return replace(
            listing,
            target=self.target,
            labels=self.labels,
            classes=self.classes,
            values=self.values,
            outputs=self.outputs,
            target_why=self.why,
            columns=self.columns,
            read=self.told(listing.read),
        )

    def told(self, read: Callable[[int], Sample]) -> Callable[[int], Sample]:
        """``read`` whose samples carry their y: a class name, names, or numbers."""
        return lambda i: replace(read(i), y=self._y(i))

    def _y(self, i: int) -> Any:
        if self.labels[i] < 0:
            return None
        if self.values is None:
            return self.classes[int(self.labels[i])]
        row = self.values[i].tolist()
        if self.target == "numbers":
            return tuple(row)
        return tuple(name for name, yes in zip(self.classes, row, strict=True) if yes)


def of_classes(names: Sequence[str | None], where: str, why: str = "") -> Targets:
    """One class per item, by name. Raises: DataError when no item has one."""
    labels, classes = encode(names, where)
    return Targets("label", labels, classes, why=why)


def of_sets(sets: Sequence[Sequence[str] | None], where: str, why: str = "") -> Targets:
    """Any of the classes per item, by name. Raises: DataError when there is no class at all."""
    classes = tuple(sorted({n for names in sets for n in names or ()}, key=natural))
    if not classes:
        raise DataError("no item has a label", where=where, mend="give items the names of classes")
    place = {name: i for i, name in enumerate(classes)}
    values = np.zeros((len(sets), len(classes)), np.float32)
    for row, names in enumerate(sets):
        for name in names or ():
            values[row, place[name]] = 1
    labels = np.array([0 if names is not None else -1 for names in sets], np.int32)
    return Targets("labels", labels, classes, values, why=why)


def of_flags(values: NDArray[Any], names: Sequence[str], why: str = "") -> Targets:
    """Columns of 0 and 1 (N, K), named as classes; NaN where nothing is known of an item.

    Where every item has exactly one of them, that is its class.
    """
    known, flags = _known(values), values.astype(np.float32)
    if len(names) > 1 and known.any() and (flags[known].sum(1) == 1).all():
        labels = np.where(known, np.nan_to_num(flags).argmax(1), -1).astype(np.int32)
        told = f"{why}; exactly one is 1 for every item, so it is its class".removeprefix("; ")
        return Targets("label", labels, tuple(names), why=told)
    labels = known.astype(np.int32) - 1
    return Targets("labels", labels, tuple(names), np.nan_to_num(flags), why=why)


def of_numbers(values: NDArray[Any], names: Sequence[str], why: str = "") -> Targets:
    """Numbers (N, K) by name; an item with a NaN among its numbers counts as not known."""
    labels = _known(values).astype(np.int32) - 1
    return Targets("numbers", labels, (), values.astype(np.float32), tuple(names), why)


def of_arrays(arrays: Sequence[NDArray[Any]], names: Sequence[str], where: str) -> Targets:
    """The targets of stacks of items, part by part: ``(N,)``, ``(N, 1)`` or ``(N, K)`` each.

    Text and whole numbers are classes, other numbers are numbers; several columns of 0 and 1 are
    classes of which an item may have any. Raises: DataError when they are none of that.
    """
    columns = [a.reshape(len(a), -1) for a in arrays]
    widths = {c.shape[1] for c in columns}
    if len(widths) > 1:
        raise DataError(
            f"the targets have {sorted(widths)} values per item",
            where=where,
            mend="give all parts the same number of targets",
        )
    if any(c.dtype.kind in "USO" for c in columns) or widths == {0}:
        return _of_text(columns, names, where)
    whole = np.concatenate(columns)
    width = whole.shape[1]
    values = whole.astype(np.float64)
    if np.isinf(values).any():
        raise DataError("a target is infinite", where=where, mend="give finite numbers")
    seen = values[np.isfinite(values)]
    if width > 1:
        if set(np.unique(seen)) <= {0.0, 1.0}:
            told = f"{width} columns of 0 and 1"
            return of_flags(values, [str(i) for i in range(width)], told)
        return of_numbers(values, [f"y[{i}]" for i in range(width)], f"{width} columns of numbers")
    if (seen != np.round(seen)).any() or is_number(seen, whole.dtype.kind):
        return of_numbers(values, ["y"], number_why(seen))
    if not np.isfinite(values).all():
        raise DataError(
            f"the labels of {names[0]} are not whole numbers",
            where=where,
            mend="give classes as whole numbers or as text",
        )
    column = whole[:, 0].astype(np.int64) if whole.dtype.kind == "f" else whole[:, 0]
    return of_classes([str(v) for v in column.tolist()], where, "whole numbers or text")


def _of_text(columns: Sequence[NDArray[Any]], names: Sequence[str], where: str) -> Targets:
    found: list[str | None] = []
    for column, name in zip(columns, names, strict=True):
        if column.shape[1] != 1 and len(column):
            raise DataError(
                f"{name} has labels of shape {column.shape}",
                where=where,
                mend="give one label per item: shape (N,) or (N, 1)",
            )
        for value in column.ravel().tolist():
            found.append(
                value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
            )
    return of_classes(found, where, "whole numbers or text")


def is_number(values: NDArray[np.float64], kind: str = "f") -> bool:
    """Whether numbers measure something rather than name classes.

    They do when one has a fraction, or when they are hardly ever the same (20 and more values,
    over half of them different). Of floats and cells of a table (``kind`` "f") also when they are
    many and leave most of their range unused: 17, 230, 1041, ...
    """
    different = np.unique(values)
    if len(different) <= FEW and (values == np.round(values)).all():
        return len(values) >= FEW and 2 * len(different) > len(values)
    if (different != np.round(different)).any() or 2 * len(different) > len(values):
        return True
    return kind == "f" and 2 * len(different) < different[-1] - different[0] + 1


def number_why(values: NDArray[np.float64]) -> str:
    """Why such values are numbers, in words."""
    different = len(np.unique(values))
    kind = "" if (values == np.round(values)).all() else ", with fractions"
    return f"{different:,} different values{kind}: numbers, not classes"


def _known(values: NDArray[Any]) -> NDArray[np.bool_]:
    return np.asarray(np.isfinite(values.astype(np.float64)).all(1))
