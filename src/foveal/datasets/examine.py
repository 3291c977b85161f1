"""From what was found in the files to the card: counts, figures, and doubts in plain words."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..card import PARTS, Card, Skipped
from ..grid import data_of
from .aims import Aims
from .copies import Near, none
from .facts import Facts
from .listing import Listing

FEW, NEAR_EMPTY, IMBALANCE, ODD_ASPECT, TINY = 10, 50, 10, 4, 8
GROUPS_SHOWN, KEYS_SHOWN = 50, 10
_ALIKE_MODES = ({"L", "1", "I;16"}, {"RGB"})


def examine(listing: Listing, facts: Facts, near: Near | None = None) -> Card:
    """The card of a listing whose items have been read; ``near``: changed copies among them."""
    form, good = facts.form, np.flatnonzero(~facts.bad)
    labels, parts, hashes = listing.labels[good], listing.parts[good], facts.hashes[good]
    sizes = facts.sizes[good]
    copies = Copies(hashes)
    near = none() if near is None else near
    every = Copies(near.joined(hashes))
    present = {name: parts == i for i, name in enumerate(PARTS) if name in listing.has_parts}
    aims = Aims(listing, good, facts)
    counts = {name: aims.counts(here) for name, here in present.items()}
    groups = copies.groups()[:GROUPS_SHOWN]
    return Card(
        path=listing.path,
        layout=listing.layout,
        name=listing.name,
        target=listing.target,
        channels=form.channels,
        dtype=form.dtype,
        parts={name: int(here.sum()) for name, here in present.items()},
        smallest=tuple(sizes.min(axis=0).tolist()),
        median=tuple(np.median(sizes, axis=0).astype(int).tolist()),
        largest=tuple(sizes.max(axis=0).tolist()),
        low=form.low,
        high=form.high,
        mean=form.mean,
        std=form.std,
        modes=_modes(facts, good),
        classes=listing.classes,
        counts={name: tuple(count.tolist()) for name, count in counts.items()},
        skipped=_skipped(listing, facts),
        duplicates=tuple(tuple(listing.keys[good[r]] for r in g[:KEYS_SHOWN]) for g in groups),
        duplicate_count=copies.count,
        copies=every.many,
        copied=len(every.rows),
        changed=_changed(listing, good, hashes, every),
        doubts=tuple(_doubts(listing, facts, copies, every, counts, aims)),
        digest=_digest(hashes, labels, parts, listing, aims),
        size=form.size,
        fit=form.fit,
        axes=form.axes,
        scale=form.scale,
        why={**form.why, **aims.why()},
        numbers=aims.numbers(parts),
        groups=aims.groups(),
        columns=listing.columns,
    )


def _skipped(listing: Listing, facts: Facts) -> tuple[Skipped, ...]:
    bad = np.flatnonzero(facts.bad).tolist()
    return listing.left_out + tuple(
        Skipped(listing.keys[i], facts.form.reasons[str(i)]) for i in bad
    )


class Copies:
    """Rows with equal hashes. Holds a few arrays of one number per row."""

    def __init__(self, hashes: NDArray[np.uint64]) -> None:
        _, self.member, self.sizes = np.unique(hashes, return_inverse=True, return_counts=True)
        self.count = len(hashes) - len(self.sizes)
        self.rows = np.flatnonzero(self.sizes[self.member] > 1)
        self.many = int((self.sizes > 1).sum())

    def groups(self) -> list[NDArray[np.intp]]:
        """Rows of each group of copies, in the order of their first row."""
        order = self.rows[np.argsort(self.member[self.rows], kind="stable")]
        if not len(order):
            return []
        cuts = np.flatnonzero(np.diff(self.member[order])) + 1
        return sorted(np.split(order, cuts), key=lambda rows: int(rows[0]))

    def differing(self, values: NDArray[np.integer]) -> int:
        """Groups whose members differ in ``values``."""
        low = np.full(len(self.sizes), np.iinfo(np.int64).max)
        high = np.full(len(self.sizes), -1, np.int64)
        np.minimum.at(low, self.member, values)
        np.maximum.at(high, self.member, values)
        return int(np.count_nonzero(low != high))


def _doubts(
    listing: Listing,
    facts: Facts,
    copies: Copies,
    every: Copies,
    counts: dict[str, NDArray[np.intp]],
    aims: Aims,
) -> Iterator[str]:
    good = np.flatnonzero(~facts.bad)
    yield from listing.doubts
    yield from _bad_files(listing, facts)
    yield from _shapes(facts, good)
    yield from _copies(copies, every, aims.kinds(), listing.parts[good])
    yield from _classes(listing, counts)
    yield from aims.doubts()
    yield from _modes_met(facts, good)
    flat = int(facts.flat[good].sum())
    if flat:
        yield f"{_many(flat, 'sample is', 'samples are')} constant: every cell has one value"
    if len(good) < NEAR_EMPTY:
        yield f"only {len(good)} usable samples: no score will be sure"


def _bad_files(listing: Listing, facts: Facts) -> Iterator[str]:
    reasons = list(facts.form.reasons.values())
    empty = sum("empty" in reason for reason in reasons)
    if empty:
        yield f"{_many(empty, 'file is', 'files are')} empty and left out"
    if len(reasons) > empty:
        yield f"{_many(len(reasons) - empty, 'file', 'files')} cannot be used and are left out"
    if listing.left_out:
        yield f"{_many(len(listing.left_out), 'entry is', 'entries are')} no item and left out"


def _shapes(facts: Facts, good: NDArray[np.intp]) -> Iterator[str]:
    sizes = facts.sizes[good].astype(np.float64)
    tiny = int((sizes < TINY).any(axis=1).sum())
    if tiny and (np.median(sizes, axis=0) >= TINY).all():
        yield f"{_many(tiny, 'sample has', 'samples have')} fewer than {TINY} cells along an axis"
    logs = np.log(sizes)
    logs -= logs.mean(axis=1, keepdims=True)
    off = np.abs(logs - np.median(logs, axis=0)).max(axis=1)
    axes = sizes.shape[1]
    # aspect = ratio of two axes; with both measured from their mean it is twice the distance
    odd = int((off * axes / max(axes - 1, 1) > np.log(ODD_ASPECT)).sum())
    if odd:
        yield (
            f"{_many(odd, 'sample has', 'samples have')} an aspect more than {ODD_ASPECT} times "
            "off the usual one"
        )


def _copies(
    copies: Copies, every: Copies, kinds: NDArray[np.int64], parts: NDArray[np.int8]
) -> Iterator[str]:
    if copies.count:
        many = _many(copies.count, "sample is an exact copy", "samples are exact copies")
        yield f"{many} of another"
    changed = every.count - copies.count
    if changed:
        many = _many(changed, "sample is a copy", "samples are copies")
        yield f"{many} of another but for size, encoding, brightness, wording or mirroring"
    if not every.count:
        return
    across, torn = every.differing(parts), every.differing(kinds)
    if across:
        yield (
            f"{_many(across, 'sample lies', 'samples lie')} in two given parts, itself or as a "
            "copy: scores on the given test part may flatter"
        )
    if torn:
        yield f"{_many(torn, 'sample has copies', 'samples have copies')} under different classes"


def _changed(
    listing: Listing, good: NDArray[np.intp], hashes: NDArray[np.uint64], every: Copies
) -> tuple[tuple[str, ...], ...]:
    """Keys of the first groups whose members are not all exactly equal."""
    found = (rows for rows in every.groups() if len(np.unique(hashes[rows])) > 1)
    return tuple(
        tuple(listing.keys[good[row]] for row in rows[:KEYS_SHOWN])
        for rows in itertools.islice(found, GROUPS_SHOWN)
    )


def _classes(listing: Listing, counts: dict[str, NDArray[np.intp]]) -> Iterator[str]:
    for part, count in counts.items():
        gone = [listing.classes[i] for i in np.flatnonzero(count == 0)]
        if gone:
            yield f"no sample in the {part} part of {_names(gone)}"
    total = sum(counts.values(), np.zeros(len(listing.classes), np.intp))
    few = [listing.classes[i] for i in np.flatnonzero((total > 0) & (total < FEW))]
    if few:
        yield f"under {FEW} samples of {_names(few)}"
    if len(listing.classes) == 1 and listing.target == "label":
        yield "there is only one class: nothing to tell apart"
    there = total[total > 0]
    if len(there) and there.max() > IMBALANCE * there.min():
        most, least = (
            listing.classes[i]
            for i in (np.argmax(total), np.argmin(total + (total == 0) * there.max()))
        )
        look = "balanced accuracy" if listing.target == "label" else "each class by itself"
        yield (
            f"{most!r} has {there.max() / there.min():.0f} times as many samples as {least!r}: "
            f"look at {look}"
        )


def _modes_met(facts: Facts, good: NDArray[np.intp]) -> Iterator[str]:
    met = _modes(facts, good)
    if len(met) > 1:
        shown = ", ".join(f"{name or 'unnamed'} ({count})" for name, count in met.items())
        if data_of(facts.form.axes) == "signal":
            yield f"recordings are of several kinds: {shown}; all are brought to one"
            return
        to = {1: "grey", 3: "colour"}.get(facts.form.channels, f"{facts.form.channels} channels")
        yield f"colour modes are mixed: {shown}; all are brought to {to}"


def _modes(facts: Facts, good: NDArray[np.intp]) -> dict[str, int]:
    count = np.bincount(facts.mode[good], minlength=len(facts.form.modes))
    return {name: int(n) for name, n in zip(facts.form.modes, count, strict=True) if n}


def _digest(
    hashes: NDArray[np.uint64],
    labels: NDArray[np.int32],
    parts: NDArray[np.int8],
    listing: Listing,
    aims: Aims,
) -> str:
    """One hash of all content, targets and parts, whatever the order of the files."""
    columns: tuple[NDArray[Any], ...] = ()
    if aims.on_grid:
        columns = (aims.truths,)
    elif aims.values is not None:
        columns = tuple(aims.values.T[::-1])
    order = np.lexsort((*columns, parts, labels, hashes))
    names = "\0".join((*listing.classes, *listing.outputs))
    mixed = hashlib.blake2b(names.encode("utf-8", "surrogatepass"), digest_size=16)
    told: tuple[NDArray[Any], ...] = (hashes, labels, parts, *columns)
    for column in told:
        mixed.update(column[order].tobytes())
    return mixed.hexdigest()


def _many(count: int, one: str, more: str) -> str:
    return f"{count:,} {one if count == 1 else more}"


def _names(names: list[str]) -> str:
    shown = ", ".join(map(repr, names[:5]))
    return shown + (f" and {len(names) - 5} more" if len(names) > 5 else "")
