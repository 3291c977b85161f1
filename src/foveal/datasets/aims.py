"""What is to be learned of the usable items: counts, moments, and doubts about it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ..target import Number
from .facts import Facts
from .listing import Listing
from .truths import truth_of

FLAT = 1e-9  # a spread below this share of the mean is none
MOSTLY = 0.9  # of the samples with one and the same number, which hardly varies then


class Aims:
    """The targets of the items at ``good`` of a listing.

    facts: what was noted of them; where targets lie on the grid, ``values`` tells from it which
    classes a sample has somewhere.
    """

    def __init__(self, listing: Listing, good: NDArray[np.intp], facts: Facts) -> None:
        self.listing, self.good = listing, good
        self.labels = listing.labels[good]
        self.known = self.labels >= 0
        self.values: NDArray[np.float32] | None
        self.values = None if listing.values is None else listing.values[good]
        self.on_grid = truth_of(listing.target) is not None
        self.truths = facts.truths[good]
        if self.on_grid:
            self.values = (facts.cover[good] > 0).astype(np.float32)

    def counts(self, here: NDArray[np.bool_]) -> NDArray[np.intp]:
        """Samples of each class (K,) among those ``here``, or that have it among others."""
        rows, classes = here & self.known, len(self.listing.classes)
        if self.listing.target == "label":
            return np.bincount(self.labels[rows], minlength=classes)
        if self.listing.target == "numbers" or self.values is None:
            return np.zeros(0, np.intp)
        return np.asarray(self.values[rows].sum(0), np.intp)

    def numbers(self, parts: NDArray[np.int8]) -> tuple[Number, ...]:
        """Mean and spread of each number over the training part (over all where there is none)."""
        if self.listing.target != "numbers" or self.values is None:
            return ()
        rows = self.known & (parts == 0)
        values = self.values[rows if rows.any() else self.known].astype(np.float64)
        if not len(values):
            values = np.zeros((1, len(self.listing.outputs)))
        return tuple(
            Number(name, float(column.mean()), float(column.std()))
            for name, column in zip(self.listing.outputs, values.T, strict=True)
        )

    def groups(self) -> int:
        """How many groups must stay together."""
        groups = self.listing.groups
        return 0 if groups is None else len(np.unique(groups[self.good][groups[self.good] >= 0]))

    def why(self) -> dict[str, str]:
        """How target and groups were told, where there is something to say."""
        told = {"target": self.listing.target_why, "groups": self.listing.group_why}
        return {key: text for key, text in told.items() if text}

    def kinds(self) -> NDArray[np.int64]:
        """Equal where targets are equal, (N,); -1 where none is known."""
        if self.on_grid:
            return np.where(self.known, (self.truths >> np.uint64(1)).astype(np.int64), -1)
        if self.values is None or not len(self.values):
            return self.labels.astype(np.int64)
        _, kinds = np.unique(self.values, axis=0, return_inverse=True)
        return np.where(self.known, kinds.reshape(-1), -1).astype(np.int64)

    def doubts(self) -> Iterator[str]:
        """Sentences about the targets themselves."""
        missing = int((~self.known).sum())
        if missing:
            many = "sample has" if missing == 1 else "samples have"
            yield f"{missing:,} {many} no known target: nothing is learned from or judged by them"
        if self.values is None or not self.known.any():
            return
        values = self.values[self.known].astype(np.float64)
        if self.on_grid or self.listing.target == "labels":
            none = int((values.sum(1) == 0).sum())
            if none:
                many = "sample has" if none == 1 else "samples have"
                yield f"{none:,} {many} none of the classes"
            return
        for name, column in zip(self.listing.outputs, values.T, strict=True):
            common, count = _commonest(column)
            if column.std() <= FLAT * max(abs(column.mean()), 1e-30):
                yield f"{name!r} is {common:g} everywhere: there is nothing to learn about it"
            elif count > MOSTLY * len(column):
                share = count / len(column)
                yield f"{name!r} is {common:g} in {share:.0%} of the samples: it hardly varies"


def _commonest(column: NDArray[np.float64]) -> tuple[float, int]:
    found, counts = np.unique(column, return_counts=True)
    at = int(counts.argmax())
    return float(found[at]), int(counts[at])
