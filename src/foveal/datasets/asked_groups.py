"""Which samples the user wants kept together: by a column of a table, or by a part of names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..errors import DataError
from .frame_names import owners_or_clips
from .listing import Listing, numbered
from .truths import truth_of

ASKED = "set by you"
OPTION = "--group"


def column_of(group: str) -> str:
    """The column that ``group`` names; "" where it is a word of its own or a pattern."""
    return "" if group in ("auto", "none") or "(" in group else group


def grouped(listing: Listing, group: str) -> Listing:
    """The listing with the groups that were found ("auto"), without ("none"), or with those asked
    for: a column, which the table's layout has read already, or a pattern.

    Where targets lie on the grid (masks, boxes) names are asked here whose a sample is, or which
    clip's frame; other layouts do so themselves.

    Raises: DataError for a column where there are none, or a pattern that tells no group.
    """
    if group == "auto":
        return _told_by_names(listing)
    if group == "none":
        listing = _told_by_names(listing)
        told = f"{ASKED}: each sample stands alone ({listing.group_why})"
        return replace(listing, groups=None, group_why=told if listing.group_why else "")
    if not column_of(group):
        return _by_pattern(listing, group)
    if not listing.columns:
        raise DataError(
            f"groups by {group!r} are not known: {listing.layout} have no columns",
            where=OPTION,
            mend="give auto (what belongs together stays together), none, or a pattern of names "
            "with one part in brackets, as in 'patient(\\d+)'",
        )
    return listing


def _told_by_names(listing: Listing) -> Listing:
    if listing.groups is not None or truth_of(listing.target) is None:
        return listing
    groups, why = owners_or_clips(listing.keys, listing.labels)
    return replace(listing, groups=groups, group_why=why or listing.group_why)


def _by_pattern(listing: Listing, pattern: str) -> Listing:
    """Names in which the bracketed part of ``pattern`` is the same stay together."""
    try:
        known = re.compile(pattern)
    except re.error as error:
        raise _wrong(pattern, f"is no pattern: {error}") from error
    if known.groups != 1:
        raise _wrong(pattern, f"has {known.groups} parts in brackets, not one")
    found = [known.search(key) for key in listing.keys]
    words = [match[1] or "" if match else "" for match in found]
    alone = words.count("")
    if alone == len(words):
        raise _wrong(pattern, f"is in none of the names, such as {_shown(listing.keys)}")
    names = numbered([word for word in words if word])
    groups = np.full(len(words), -1, np.int64)
    groups[[i for i, word in enumerate(words) if word]] = names
    rest = f"; {alone:,} names without it stand alone" if alone else ""
    return replace(listing, groups=groups, group_why=f"{ASKED}: {OPTION} {pattern}{rest}")


def _shown(keys: Sequence[str]) -> str:
    return ", ".join(repr(key[-60:]) for key in keys[:2])


def _wrong(pattern: str, what: str) -> DataError:
    return DataError(
        f"the pattern {pattern[:80]!r} {what}",
        where=OPTION,
        mend="put the part of the name that tells whose a sample is into brackets, as in "
        "'patient(\\d+)'",
    )
