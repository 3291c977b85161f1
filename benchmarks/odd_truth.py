"""Planted faults in masks and boxes: how many of the touched samples come first in the ranking.

    python benchmarks/odd_truth.py [hippocampus] [bccd] [--budget 300] [--data ../shared/data]

In 5 % of the samples that are learned from, the truth is spoilt, each in one of three ways in turn:
of masks two classes are exchanged, all is shifted by four cells along the first axis, or one
structure is missing; of boxes one is missing, one has another class, or one is invented where none
lies. `labels` ranks all samples. Printed: how many of the spoilt ones are among the first 7 %.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from foveal.datasets.layouts import find_listing
from foveal.datasets.listing import Listing
from foveal.grid import Sample
from foveal.progress import SILENT
from foveal.verbs.labels import doubts_of
from foveal.verbs.plan import Wish
from foveal.verbs.source import surveyed

SETS = {"hippocampus": "hippocampus", "bccd": "bccd/BCCD"}
NOISE, FIRST = 0.05, 0.07


def spoilt_mask(y: Any, way: int, chance: np.random.Generator) -> Any:
    known = np.unique(y[(y > 0) & (y < 255)])
    if way == 1:
        return np.roll(y, 4, 0)
    if way == 0 and len(known) > 1:
        a, b = known[:2]
        return np.where(y == a, b, np.where(y == b, a, y)).astype(y.dtype)
    return np.where(y == chance.choice(known), 0, y).astype(y.dtype)


def spoilt_boxes(
    y: Any, way: int, chance: np.random.Generator, size: tuple[int, ...], classes: int
) -> Any:
    which = int(chance.integers(len(y)))
    if way == 0:
        return np.delete(y, which, 0)
    y = y.copy()
    if way == 1:
        y[which, 0] = (y[which, 0] + chance.integers(1, classes)) % classes
        return y
    rank = len(size)
    wide = y[which, 1 + rank :] - y[which, 1 : 1 + rank]
    for _ in range(1000):
        low = chance.uniform(0, np.maximum(np.array(size) - wide, 1))
        box = np.concatenate([y[which, :1], low, low + wide]).astype(y.dtype)
        apart = (y[:, 1 : 1 + rank] >= box[1 + rank :]) | (y[:, 1 + rank :] <= box[1 : 1 + rank])
        if apart.any(1).all():
            break
    return np.concatenate([y, box[None]])


def spoilt(listing: Listing, seed: int) -> tuple[Listing, dict[str, int]]:
    """The listing with spoilt truths, and how each of them was spoilt."""
    chance = np.random.default_rng(seed)
    known = np.flatnonzero((listing.parts < 2) & (listing.labels >= 0))
    able = [int(i) for i in chance.permutation(known) if np.any(listing.read(int(i)).y)]
    rows = {row: k % 3 for k, row in enumerate(able[: round(NOISE * len(known))])}
    plain: Callable[[int], Sample] = listing.read

    def read(row: int) -> Sample:
        sample = plain(row)
        if row not in rows:
            return sample
        own = np.random.default_rng([seed, row])
        if listing.target == "mask":
            y = spoilt_mask(sample.y, rows[row], own)
        else:
            y = spoilt_boxes(sample.y, rows[row], own, sample.x.shape[1:], len(listing.classes))
        return dataclasses.replace(sample, y=y)

    made = dataclasses.replace(listing, read=read, stamp=f"{listing.stamp} spoilt {seed}", also={})
    return made, {listing.keys[row]: way for row, way in rows.items()}


def one(name: str, asked: argparse.Namespace) -> None:
    listing, wrong = spoilt(find_listing(asked.data / SETS[name]), asked.seed)
    survey, started = surveyed(listing, "skip"), time.monotonic()
    found = doubts_of(survey, Wish(budget=asked.budget / 4, folds=4), started, SILENT)
    wrong = {key: way for key, way in wrong.items() if key in {d.sample for d in found}}
    first = {doubt.sample for doubt in found[: round(FIRST * len(found))]}
    suspect = {doubt.sample for doubt in found if doubt.suspect}
    ways = Counter(way for key, way in wrong.items() if key in first)
    print(
        f"{name}: {len(wrong)} of {len(found)} spoilt; {len(first & set(wrong)) / len(wrong):.1%} "
        f"of them in the first {FIRST:.0%} (by kind {dict(sorted(ways.items()))} of "
        f"{dict(sorted(Counter(wrong.values()).items()))}); {len(suspect)} suspect, "
        f"{len(suspect & set(wrong))} of them spoilt; {time.monotonic() - started:.0f} s",
        flush=True,
    )
    for doubt in found[:12]:
        print(f"  {doubt.sample in wrong!s:5} {doubt.score:.2f} {doubt.sample}: {doubt.why}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("sets", nargs="*", default=list(SETS))
    parser.add_argument("--budget", type=float, default=300.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    asked = parser.parse_args()
    for name in asked.sets:
        one(name, asked)


if __name__ == "__main__":
    main()
