"""Accuracy on text: 10-fold cross-validation on MR and Subj, the official split of TREC.

    python benchmarks/text.py [MR] [Subj] [TREC] [--folds 10] [--seed 0] [--data FOLDER]

Every fold goes the whole road of `foveal train` on a listing with a given split: vocabulary,
counts and weights come from its training rows alone. Prints the network and both baselines.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from foveal.datasets.layouts import find_listing
from foveal.datasets.listing import Listing, parts_present
from foveal.verbs.plan import Wish
from foveal.verbs.source import surveyed
from foveal.verbs.train import train_survey

SETS = {"MR": ("rt-polarity.all", None), "Subj": ("subj.all", None)}
SETS["TREC"] = ("TREC.train.all", "TREC.test.all")


def folds(labels: np.ndarray, count: int, seed: int) -> np.ndarray:
    """The fold of each item, every class spread evenly."""
    rng, out = np.random.default_rng(seed), np.zeros(len(labels), int)
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        out[rows] = np.arange(len(rows)) % count
    return out


def one(listing: Listing, seed: int) -> tuple[float, dict[str, float], float]:
    """Accuracy, baselines and seconds of one split."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        wish = Wish(budget=600.0, seed=seed)
        survey = surveyed(listing, "skip", remember=False)
        report = train_survey(survey, wish, None, Path(folder) / "run", started)
    return report.test["accuracy"].value, report.baselines, time.monotonic() - started


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("sets", nargs="*", default=list(SETS))
    parser.add_argument("--folds", type=int, default=10)
    parser.add_argument("--most", type=int, default=10, help="folds that are run")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", default="../shared/data/sentences")
    asked = parser.parse_args()
    for name in asked.sets:
        path, test = SETS[name]
        found = find_listing(
            Path(asked.data) / path, test=None if test is None else Path(asked.data) / test
        )
        if test is not None:
            listings = [found] * min(3, asked.most)
        else:
            fold = folds(found.labels, asked.folds, asked.seed)
            listings = []
            for i in range(min(asked.folds, asked.most)):
                parts = np.where(fold == i, 2, 0).astype(np.int8)
                stamp = f"{found.stamp}-{asked.seed}-{i}"
                has = parts_present(parts)
                listings.append(dataclasses.replace(found, parts=parts, has_parts=has, stamp=stamp))
        scores, others, seconds = [], [], []
        for i, listing in enumerate(listings):
            score, baselines, took = one(listing, asked.seed + (i if test else 0))
            scores.append(score)
            others.append(baselines)
            seconds.append(took)
            print(f"{name} {i}: {score:.4f} in {took:.0f} s; {baselines}", flush=True)
        spread = statistics.stdev(scores) if len(scores) > 1 else 0.0
        print(f"{name}: {statistics.mean(scores):.4f} (spread {spread:.4f}), ", end="")
        print(f"{statistics.median(seconds):.0f} s each; ", end="")
        means = {k: round(statistics.mean(o[k] for o in others), 4) for k in others[0]}
        print(means, flush=True)


if __name__ == "__main__":
    main()
