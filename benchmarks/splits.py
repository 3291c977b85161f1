"""What a split is worth: honest parts beside parts drawn at random, on real data.

    python benchmarks/splits.py [digits] [brain-mri] [driving] [--seeds 3] [--budget 60]

Three ways to draw a test part, each over the whole road of `foveal train`:

* planned: as Foveal draws it (copies, speakers and stretches of a drive stay on one side);
* random: every fifth item at random, whatever belongs together. Its figure flatters;
* index (spoken digits only): recordings 0 to 4 of each speaker and digit are the test part, the
  protocol of the set's own authors.

Prints the score of every seed, then mean and spread.
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
from foveal.report import Report
from foveal.verbs.plan import Wish
from foveal.verbs.source import surveyed
from foveal.verbs.train import train_survey

SETS = {
    "digits": ("spoken-digits", ("planned", "index")),
    "brain-mri": ("brain-mri", ("planned", "random")),
    "driving": ("driving", ("planned", "random")),
}
TEST_SHARE = 0.2


def drawn(listing: Listing, way: str, seed: int) -> Listing:
    """``listing`` with its test part drawn in one of three ways."""
    if way == "planned":
        return listing
    parts = np.zeros(len(listing), np.int8)
    if way == "index":
        counters = [int(Path(key).stem.rpartition("_")[2]) for key in listing.keys]
        parts[np.array(counters) < 5] = 2
    else:
        chance = np.random.default_rng(seed)
        for label in np.unique(listing.labels):
            rows = chance.permutation(np.flatnonzero(listing.labels == label))
            parts[rows[: round(TEST_SHARE * len(rows))]] = 2
    has, stamp = parts_present(parts), f"{listing.stamp}-{way}-{seed}"
    # Groups would keep the validation part honest; here nothing is to be kept together.
    return dataclasses.replace(listing, parts=parts, has_parts=has, stamp=stamp, groups=None)


def one(listing: Listing, budget: float, seed: int) -> Report:
    """The whole road, once."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        survey = surveyed(listing, "skip", remember=False)
        wish = Wish(budget=budget, seed=seed)
        return train_survey(survey, wish, None, Path(folder) / "run", started)


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("sets", nargs="*", default=list(SETS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--budget", type=float, default=60.0)
    parser.add_argument("--data", default="../shared/data")
    asked = parser.parse_args()
    for name in asked.sets:
        folder, ways = SETS[name]
        found = find_listing(Path(asked.data) / folder)
        for way in ways:
            scores: dict[str, list[float]] = {}
            for seed in range(asked.seeds):
                report = one(drawn(found, way, seed), asked.budget, seed)
                told = [
                    f"{k} {s.value:.4f} ({s.low:.4f} to {s.high:.4f})"
                    for k, s in report.test.items()
                ]
                print(
                    f"{name} {way} seed {seed}: {'; '.join(told[:3])}; {report.baselines}",
                    flush=True,
                )
                for key, score in report.test.items():
                    scores.setdefault(key, []).append(score.value)
            for key, values in list(scores.items())[:3]:
                spread = statistics.stdev(values) if len(values) > 1 else 0.0
                print(
                    f"{name} {way}: {key} {statistics.mean(values):.4f}, spread {spread:.4f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
