"""Planted label noise: how many flipped labels come first, and what fixing them gains.

    python benchmarks/label_noise.py [mnist] [trec] [--budget 120] [--data ../shared/data]

5 % of the training labels are flipped to another class. `labels` ranks them; then a network is
trained on the noisy labels, and one without the suspects, with the same budget. Both are judged on
the set's own test part, whose labels are left alone and are not looked at before.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
import time
from pathlib import Path

import numpy as np

from foveal.datasets.layouts import find_listing
from foveal.datasets.listing import Listing
from foveal.progress import SILENT
from foveal.verbs.labels import doubts_of
from foveal.verbs.plan import Wish
from foveal.verbs.source import surveyed
from foveal.verbs.train import train_survey

SETS = {"mnist": ("mnist", None), "trec": ("TREC.train.all", "TREC.test.all")}
NOISE, FIRST, MOST = 0.05, 0.07, 10_000


def listed(name: str, data: Path) -> Listing:
    """The set with at most 10,000 training samples; the others of training have no label."""
    path, test = SETS[name]
    folder = data if test is None else data / "sentences"
    listing = find_listing(folder / path, test=None if test is None else folder / test)
    train = np.flatnonzero(listing.parts == 0)
    aside = np.random.default_rng(0).permutation(train)[MOST:]
    labels = listing.labels.copy()
    labels[aside] = -1
    return dataclasses.replace(listing, labels=labels)


def flipped(listing: Listing) -> tuple[Listing, set[str]]:
    """The listing with flipped labels, and the keys of these."""
    chance, labels = np.random.default_rng(1), listing.labels.copy()
    known = np.flatnonzero((listing.parts == 0) & (labels >= 0))
    rows = chance.permutation(known)[: round(NOISE * len(known))]
    classes = len(listing.classes)
    labels[rows] = (labels[rows] + chance.integers(1, classes, len(rows))) % classes
    return dataclasses.replace(listing, labels=labels), {listing.keys[int(i)] for i in rows}


def accuracy(listing: Listing, budget: float) -> float:
    with tempfile.TemporaryDirectory() as folder:
        wish = Wish(budget=budget)
        survey = surveyed(listing, "skip")
        report = train_survey(survey, wish, None, Path(folder) / "run", time.monotonic())
    return report.test["accuracy"].value


def one(name: str, data: Path, budget: float) -> None:
    noisy, wrong = flipped(listed(name, data))
    survey = surveyed(noisy, "skip")
    found = doubts_of(survey, Wish(budget=budget / 4, folds=4), time.monotonic(), SILENT)
    first = {doubt.sample for doubt in found[: round(FIRST * len(found))]}
    suspect = {doubt.sample for doubt in found if doubt.suspect}
    print(
        f"{name}: {len(wrong)} of {len(found)} flipped; {len(first & wrong) / len(wrong):.1%} of "
        f"them in the first {FIRST:.0%}; {len(suspect)} suspect, {len(suspect & wrong)} of them "
        "flipped",
        flush=True,
    )
    labels = noisy.labels.copy()
    labels[[i for i, key in enumerate(noisy.keys) if key in suspect]] = -1
    before = accuracy(noisy, budget)
    after = accuracy(dataclasses.replace(noisy, labels=labels, drawn=noisy.labels), budget)
    print(f"{name}: accuracy {before:.4f} -> {after:.4f} on the same test part", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("sets", nargs="*", default=list(SETS))
    parser.add_argument("--budget", type=float, default=120.0)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    asked = parser.parse_args()
    for name in asked.sets:
        one(name, asked.data, asked.budget)


if __name__ == "__main__":
    main()
