"""Planted label noise: how many flipped labels come first, and what fixing them gains.

    python benchmarks/label_noise.py [mnist] [trec] [--seeds 1 2 3] [--budget 120 | --epochs 8]
        [--data ../shared/data]

5 % of the training labels are flipped to another class. `labels` ranks them; then networks are
trained on the noisy labels, without the suspects, and with the suspects' likely labels instead, all
for the same time. They are judged on the set's own test part, whose labels are left alone and are
not looked at before. Choices were made on other flips (seeds from 11 on).
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
from foveal.verbs.labels import Doubt, doubts_of
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


def flipped(listing: Listing, seed: int) -> tuple[Listing, set[str]]:
    """The listing with flipped labels, and the keys of these."""
    chance, labels = np.random.default_rng(seed), listing.labels.copy()
    known = np.flatnonzero((listing.parts == 0) & (labels >= 0))
    rows = chance.permutation(known)[: round(NOISE * len(known))]
    classes = len(listing.classes)
    labels[rows] = (labels[rows] + chance.integers(1, classes, len(rows))) % classes
    return dataclasses.replace(listing, labels=labels), {listing.keys[int(i)] for i in rows}


def accuracy(listing: Listing, wish: Wish) -> float:
    with tempfile.TemporaryDirectory() as folder:
        survey = surveyed(listing, "skip")
        report = train_survey(survey, wish, None, Path(folder) / "run", time.monotonic())
    return report.test["accuracy"].value


def fixed(noisy: Listing, found: list[Doubt], how: str) -> Listing:
    """The listing as `train --exclude` and `--relabel` make it from the table of `labels`."""
    likely = {doubt.sample: noisy.classes.index(doubt.likely) for doubt in found if doubt.suspect}
    labels = noisy.labels.copy()
    for row, key in enumerate(noisy.keys):
        if key in likely:
            labels[row] = likely[key] if how == "relabelled" else -1
    return dataclasses.replace(noisy, labels=labels, drawn=noisy.labels)


def one(name: str, asked: argparse.Namespace, seed: int) -> tuple[float, ...]:
    """Share of the flipped labels among the first 7 %; accuracy as it was, without, corrected."""
    plain = listed(name, asked.data)
    noisy, wrong = flipped(plain, seed)
    survey, started = surveyed(noisy, "skip"), time.monotonic()
    each = None if asked.budget is None else asked.budget / 4
    wish = Wish(budget=each, epochs=asked.epochs, folds=4)
    found = doubts_of(survey, wish, started, SILENT)
    first = {doubt.sample for doubt in found[: round(FIRST * len(found))]}
    suspect = {doubt.sample for doubt in found if doubt.suspect}
    true = dict(zip(plain.keys, (plain.classes[k] for k in plain.labels.tolist()), strict=True))
    told = sum(true[doubt.sample] == doubt.likely for doubt in found if doubt.sample in suspect)
    share = len(first & wrong) / len(wrong)
    print(
        f"{name}, flips {seed}: {len(wrong)} of {len(found)} flipped; {share:.1%} of them in the "
        f"first {FIRST:.0%}; {len(suspect)} suspect, {len(suspect & wrong)} of them flipped, "
        f"{told} corrected; {time.monotonic() - started:.0f} s",
        flush=True,
    )
    wish = Wish(budget=asked.budget, epochs=asked.epochs, seed=seed)
    scores = [accuracy(noisy, wish)]
    scores += [accuracy(fixed(noisy, found, how), wish) for how in ("left out", "relabelled")]
    print(
        f"{name}, flips {seed}: accuracy {scores[0]:.4f}; suspects left out {scores[1]:.4f}; "
        f"relabelled {scores[2]:.4f}, on the same test part",
        flush=True,
    )
    return share, *scores


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("sets", nargs="*", default=list(SETS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--budget", type=float, help="seconds of a training, and of the ranking")
    parser.add_argument("--epochs", type=float, help="instead of a budget")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    asked = parser.parse_args()
    if asked.budget is None and asked.epochs is None:
        asked.budget = 120.0
    for name in asked.sets:
        rows = np.array([one(name, asked, seed) for seed in asked.seeds])
        print(f"{name}, means: " + ", ".join(f"{value:.4f}" for value in rows.mean(0)), flush=True)


if __name__ == "__main__":
    main()
