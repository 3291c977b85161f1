"""From what the user points at to a survey: decoded, checked, cached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
    "stop".
    """

    path: str
    test: str | None = None
    bad_files: str = "skip"

    def to_dict(self) -> dict[str, object]:
        return to_plain(self)

    @staticmethod
    def from_dict(values: dict[str, object], where: str = "source.json") -> Source:
        return from_plain(Source, values, where)


def examine(source: Source, *, progress: Progress = SILENT) -> Survey:
    """List, decode, check and cache what ``source`` names.

    Raises: DataError when nothing usable is found, or too much of it is broken.
    """
    from ..datasets.layouts import find_listing

    return surveyed(
        find_listing(source.path, test=source.test), source.bad_files, progress=progress
    )


def examine_arrays(
    x: Any,
    y: Sequence[Any] | None,
    *,
    x_test: Any = None,
    y_test: Sequence[Any] | None = None,
    name: str = "arrays",
    progress: Progress = SILENT,
) -> Survey:
    """The same for arrays in memory."""
    import numpy as np

    from ..datasets.layouts import from_arrays

    if y is None:
        raise DataError(
            "arrays were given without their labels",
            where="fit",
            mend="give y, one class per sample, or the path of a folder",
        )
    if (x_test is None) != (y_test is None):
        raise DataError(
            "x_test and y_test come together, but one of them is missing",
            where="fit",
            mend="give both, or neither: a test part is then held back from the data",
        )
    test = None if x_test is None or y_test is None else (x_test, np.asarray(y_test))
    listing = from_arrays(x, np.asarray(y), test=test, name=name)
    return surveyed(listing, "stop", remember=False, progress=progress)


def surveyed(
    listing: Listing, bad_files: str, *, remember: bool = True, progress: Progress = SILENT
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
    return survey(listing, bad_files=policy, remember=remember, progress=progress)
