"""From what the user points at to a survey: decoded, checked, cached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from ..errors import DataError
from ..progress import SILENT, Progress
from ..record import from_plain, to_plain

if TYPE_CHECKING:
    from ..datasets.listing import Listing
    from ..datasets.survey import Survey


@dataclass(frozen=True, slots=True)
class Source:
    """Where a run's data comes from; kept in the run folder, so that it can be resumed.

    path: file or folder. test: another one that holds the test part. bad_files: "skip" or
    "stop". target: columns of a table to be learned, by name or number; none: its own choice.
    group: "auto" keeps together what was seen to belong together, and changed copies; "none" lets
    each sample stand alone, but for exact copies; a column of the table, or a pattern of names with
    one part in brackets, says which samples stay together. exclude, relabel: tables of samples
    that are left out and of corrected labels (datasets/corrected.py).
    """

    path: str
    test: str | None = None
    bad_files: str = "skip"
    target: tuple[str, ...] = ()
    group: str = "auto"
    exclude: str | None = None
    relabel: str | None = None

    def to_dict(self) -> dict[str, object]:
        return to_plain(self)

    @staticmethod
    def from_dict(values: dict[str, object], where: str = "source.json") -> Source:
        return from_plain(Source, values, where)


def columns(target: str) -> tuple[str, ...]:
    """The columns in "age" or "x, y", as the command line takes them."""
    return tuple(name.strip() for name in target.split(",") if name.strip())


def examine(source: Source, *, task: str = "auto", progress: Progress = SILENT) -> Survey:
    """List, decode, check and cache what ``source`` names, with targets as ``task`` wants them.

    Raises: DataError when nothing usable is found, too much of it is broken, or the targets are
        not such.
    """
    from ..datasets.asked_groups import column_of, grouped
    from ..datasets.layouts import find_listing

    listing = find_listing(
        source.path,
        test=source.test,
        target=source.target,
        apart=bool(_apart(task)),
        group=column_of(source.group),
    )
    if source.target and not listing.columns:
        raise DataError(
            f"{', '.join(map(repr, source.target))} was asked for, but {listing.layout} have no "
            "columns",
            where="--target",
            mend="leave it out, or give a table with such a column",
        )
    listing = grouped(_aimed(listing, task), source.group)
    if source.exclude is not None or source.relabel is not None:
        from ..datasets.corrected import corrected

        listing = corrected(listing, source.exclude, source.relabel)
    near = source.group != "none"
    return surveyed(listing, source.bad_files, near=near, progress=progress)


def _aimed(listing: Listing, task: str) -> Listing:
    """The listing with targets of the kind that ``task`` wants; "auto" takes them as they are."""
    if task == "auto":
        return listing
    from ..datasets.targets import brought
    from ..planner.task import task_named

    listing = brought(listing, task_named(task).target)
    return _whole(listing, _apart(task)) if _apart(task) else listing


def _apart(task: str) -> str:
    """Why ``task`` keeps whole classes on one side of a split; "" where it does not."""
    from ..planner.task import task_named

    return "" if task == "auto" else task_named(task).apart


def _whole(listing: Listing, why: str) -> Listing:
    """The listing with a group per class."""
    from ..datasets.split import by_class

    groups = by_class(listing.labels, listing.groups)
    told = f"{why} ({listing.group_why})" if listing.group_why else why
    return replace(listing, groups=groups, group_why=told)


def examine_arrays(
    x: Any,
    y: Sequence[Any] | None,
    *,
    x_test: Any = None,
    y_test: Sequence[Any] | None = None,
    name: str = "arrays",
    task: str = "auto",
    progress: Progress = SILENT,
) -> Survey:
    """The same for arrays in memory."""
    import numpy as np

    from ..datasets.layouts import from_arrays

    if y is None:
        raise DataError(
            "arrays were given without their labels",
            where="fit",
            mend="give y, a class, classes or numbers per sample, or the path of a folder",
        )
    if (x_test is None) != (y_test is None):
        raise DataError(
            "x_test and y_test come together, but one of them is missing",
            where="fit",
            mend="give both, or neither: a test part is then held back from the data",
        )
    test = None if x_test is None or y_test is None else (x_test, np.asarray(y_test))
    found = from_arrays(x, np.asarray(y), test=test, name=name, apart=bool(_apart(task)))
    listing = _aimed(found, task)
    return surveyed(listing, "stop", remember=False, progress=progress)


def surveyed(
    listing: Listing,
    bad_files: str,
    *,
    remember: bool = True,
    near: bool = True,
    progress: Progress = SILENT,
) -> Survey:
    """The survey of a listing. Raises: DataError for an unknown policy."""
    from ..datasets.survey import survey

    if bad_files not in ("skip", "stop"):
        raise DataError(
            f"bad-files policy {bad_files!r} is not known",
            where="--bad-files",
            mend="give skip (up to 1 % per class) or stop (at the first)",
        )
    policy: Literal["skip", "stop"] = "stop" if bad_files == "stop" else "skip"
    return survey(listing, bad_files=policy, remember=remember, near=near, progress=progress)
